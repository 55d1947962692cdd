//! Durations, in the two spellings that Envoy's configurations have.

use std::{fmt, ops::RangeInclusive, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};

/// A duration as it is written: `"1.5s"`, as protobuf's JSON spells it, or
/// `{"seconds": 1, "nanos": 500000000}`, as its fields are named.
pub(super) enum RawDuration {
    Text(String),
    Parts(RawParts),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawParts {
    #[serde(default)]
    seconds: u32,
    #[serde(default)]
    nanos: u32,
}

impl RawDuration {
    /// The duration, if it lies within `bounds`, in seconds.
    pub(super) fn within(&self, bounds: RangeInclusive<f64>) -> Result<Duration, String> {
        self.duration().filter(|duration| bounds.contains(&duration.as_secs_f64())).ok_or_else(
            || {
                let (least, most) = (bounds.start(), bounds.end());
                format!("{self} is not a duration from `{least}s` to `{most}s`")
            },
        )
    }

    fn duration(&self) -> Option<Duration> {
        match self {
            Self::Text(text) => text
                .strip_suffix('s')
                .filter(|number| number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
                .and_then(|number| number.parse::<f64>().ok())
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
            Self::Parts(RawParts { seconds, nanos }) => {
                (*nanos < 1_000_000_000).then(|| Duration::new((*seconds).into(), *nanos))
            }
        }
    }
}

impl fmt::Display for RawDuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(formatter, "`{text}`"),
            Self::Parts(_) => formatter.write_str("it"),
        }
    }
}

impl<'de> Deserialize<'de> for RawDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EitherSpelling)
    }
}

/// An untagged enum would do the same, and lose which member is wrong.
struct EitherSpelling;

impl<'de> Visitor<'de> for EitherSpelling {
    type Value = RawDuration;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a duration, such as `1.5s`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<RawDuration, E> {
        Ok(RawDuration::Text(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<RawDuration, A::Error> {
        RawParts::deserialize(MapAccessDeserializer::new(access)).map(RawDuration::Parts)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: Value) -> Result<Duration, String> {
        let raw: RawDuration = serde_json::from_value(value).map_err(|error| error.to_string())?;
        raw.within(0.1..=60.0)
    }

    #[test]
    fn takes_both_spellings() {
        for (value, millis) in [
            (json!("5s"), 5_000),
            (json!("0.25s"), 250),
            (json!({"seconds": 5}), 5_000),
            (json!({"seconds": 1, "nanos": 500_000_000}), 1_500),
            (json!({"nanos": 100_000_000}), 100),
            (json!("60s"), 60_000),
        ] {
            assert_eq!(read(value.clone()), Ok(Duration::from_millis(millis)), "{value}");
        }
    }

    #[test]
    fn refuses_what_is_no_duration_or_out_of_bounds() {
        let bounds = "is not a duration from `0.1s` to `60s`";
        for (value, expected) in [
            (json!("2m"), format!("`2m` {bounds}")),
            (json!("61s"), format!("`61s` {bounds}")),
            (json!("-1s"), format!("`-1s` {bounds}")),
            (json!("1e1s"), format!("`1e1s` {bounds}")),
            (json!("s"), format!("`s` {bounds}")),
            (json!({}), format!("it {bounds}")),
            (json!({"seconds": 1, "nanos": 1_000_000_000}), format!("it {bounds}")),
            (json!({"second": 1}), "unknown field `second`".to_owned()),
            (json!({"seconds": -1}), "invalid value: integer `-1`".to_owned()),
            (json!(5), "invalid type: integer `5`, expected a duration, such as".to_owned()),
        ] {
            let error = read(value.clone()).unwrap_err();
            assert!(error.starts_with(&expected), "{value}: {error}");
        }
    }
}

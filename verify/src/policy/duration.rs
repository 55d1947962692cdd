//! Durations, in the two spellings that Envoy's configurations have.

use std::{fmt, iter, ops::RangeInclusive, time::Duration};

use serde_json::Value;

use crate::read::{FromValue, ReadError, objects};

/// A duration as it is written: `"1.5s"`, as protobuf's JSON spells it, or
/// `{"seconds": 1, "nanos": 500000000}`, as its fields are named.
pub(super) enum RawDuration {
    Text(String),
    Parts(RawParts),
}

objects! {
    pub(super) struct RawParts {
        seconds: u32 = default,
        nanos: u32 = default,
    }
}

impl RawDuration {
    /// The duration, if it lies within `bounds`.
    pub(super) fn within(&self, bounds: RangeInclusive<Duration>) -> Result<Duration, String> {
        self.duration().filter(|duration| bounds.contains(duration)).ok_or_else(|| {
            let (least, most) = (seconds(*bounds.start()), seconds(*bounds.end()));
            format!("{self} is not a duration from `{least}s` to `{most}s`")
        })
    }

    fn duration(&self) -> Option<Duration> {
        match self {
            Self::Text(text) => parse_seconds(text.strip_suffix('s')?),
            Self::Parts(RawParts { seconds, nanos }) => {
                (*nanos < 1_000_000_000).then(|| Duration::new((*seconds).into(), *nanos))
            }
        }
    }
}

/// Digits with or without a point, down to nanoseconds. Not by way of a floating-point number: its
/// parser is 15 KiB of Wasm.
fn parse_seconds(number: &str) -> Option<Duration> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_digits = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let seconds = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let digits = fraction.bytes().chain(iter::repeat(b'0')).take(9);
    let nanos = digits.fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0'));
    Some(Duration::new(seconds, nanos))
}

/// As [`parse_seconds`] takes them.
fn seconds(duration: Duration) -> String {
    let number = format!("{}.{:09}", duration.as_secs(), duration.subsec_nanos());
    number.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl fmt::Display for RawDuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(formatter, "`{text}`"),
            Self::Parts(_) => formatter.write_str("it"),
        }
    }
}

impl Default for RawDuration {
    fn default() -> Self {
        Self::Parts(RawParts::default())
    }
}

impl FromValue for RawDuration {
    fn from_value(value: &Value) -> Result<Self, ReadError> {
        match value {
            Value::String(text) => Ok(Self::Text(text.clone())),
            Value::Object(_) => RawParts::from_value(value).map(Self::Parts),
            _ => Err(ReadError::kind(value, "a duration, such as `1.5s`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Duration, String> {
        let raw = RawDuration::from_value(&value).map_err(|error| error.reason)?;
        raw.within(Duration::from_millis(100)..=Duration::from_secs(60))
    }

    #[test]
    fn takes_both_spellings() {
        for (value, millis) in [
            (json!("5s"), 5_000),
            (json!("0.25s"), 250),
            (json!(".5s"), 500),
            (json!("5.s"), 5_000),
            (json!("0.1000000001s"), 100),
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
            (json!(".s"), format!("`.s` {bounds}")),
            (json!("1.2.3s"), format!("`1.2.3s` {bounds}")),
            (json!("1.+1s"), format!("`1.+1s` {bounds}")),
            (json!("99999999999999999999s"), format!("`99999999999999999999s` {bounds}")),
            (json!({}), format!("it {bounds}")),
            (json!({"seconds": 1, "nanos": 1_000_000_000}), format!("it {bounds}")),
            (json!({"second": 1}), "unknown field `second`".to_owned()),
            (json!({"seconds": -1}), "invalid value: integer".to_owned()),
            (json!(5), "invalid type: integer, expected a duration, such as".to_owned()),
        ] {
            let error = read(value.clone()).unwrap_err();
            assert!(error.starts_with(&expected), "{value}: {error}");
        }
    }
}

//! Durations as protobuf, Kubernetes and YAML in the wild spell them.

use std::{ops::RangeInclusive, time::Duration};

use super::{ImportError, Notes, members::Node};

/// Reads `300s`, `1m30s`, `0.5s` or `{seconds: 300, nanos: 0}`.
pub(super) fn read(node: &Node<'_>) -> Result<Duration, ImportError> {
    let duration = if node.value.is_object() {
        from_members(node)?
    } else {
        from_text(node.string().map_err(|_| not_a_duration(node))?)
    };
    duration.ok_or_else(|| not_a_duration(node))
}

/// The duration as a policy spells it, brought within what Postern takes.
pub(super) fn within(
    node: &Node<'_>,
    bounds: RangeInclusive<f64>,
    notes: &mut Notes,
) -> Result<String, ImportError> {
    let seconds = read(node)?.as_secs_f64();
    let clamped = seconds.clamp(*bounds.start(), *bounds.end());
    if clamped.to_bits() != seconds.to_bits() {
        notes.left_out(
            &node.place,
            format!("`{seconds}s` is out of bounds, it is `{clamped}s` now"),
        );
    }
    Ok(format!("{clamped}s"))
}

fn not_a_duration(node: &Node<'_>) -> ImportError {
    node.not("a duration such as `5s`")
}

fn from_members(node: &Node<'_>) -> Result<Option<Duration>, ImportError> {
    let mut members = node.members()?;
    let seconds = members.take("seconds").map_or(Ok(0), |node| node.integer())?;
    let nanos = members.take("nanos").map_or(Ok(0), |node| node.integer())?;
    if !members.rest().is_empty() {
        return Ok(None);
    }
    let parts = (u64::try_from(seconds), u32::try_from(nanos));
    let (Ok(seconds), Ok(nanos @ 0..1_000_000_000)) = parts else { return Ok(None) };
    Ok(Some(Duration::new(seconds, nanos)))
}

fn from_text(mut text: &str) -> Option<Duration> {
    let mut total = 0.0;
    while !text.is_empty() {
        let end = text.find(|sign: char| !sign.is_ascii_digit() && sign != '.')?;
        let (number, rest) = text.split_at_checked(end)?;
        let unit_end = rest.find(|sign: char| !sign.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (unit, rest) = rest.split_at_checked(unit_end)?;
        let seconds = match unit {
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * seconds;
        text = rest;
    }
    Duration::try_from_secs_f64(total).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read_value(value: &Value) -> Option<f64> {
        read(&Node::new("d", value)).ok().map(|duration| duration.as_secs_f64())
    }

    #[test]
    fn reads_all_spellings() {
        for (value, seconds) in [
            (json!("300s"), Some(300.0)),
            (json!("0.5s"), Some(0.5)),
            (json!("1m30s"), Some(90.0)),
            (json!("250ms"), Some(0.25)),
            (json!({"seconds": 300}), Some(300.0)),
            (json!({"seconds": "1", "nanos": 500_000_000}), Some(1.5)),
            (json!({"seconds": -1}), None),
            (json!({"seconds": 1, "nano": 1}), None),
            (json!("300"), None),
            (json!("s"), None),
            (json!("-1s"), None),
            (json!(5), None),
        ] {
            assert_eq!(read_value(&value), seconds, "{value}");
        }
    }

    #[test]
    fn tells_what_it_clamps() {
        let mut notes = Notes::default();
        let value = json!("0.01s");
        let text = within(&Node::new("d", &value), 0.1..=60.0, &mut notes).unwrap();
        assert_eq!(text, "0.1s");
        assert_eq!(notes.to_string(), "left out: d: `0.01s` is out of bounds, it is `0.1s` now\n");
        let value = json!({"seconds": 60});
        assert_eq!(within(&Node::new("d", &value), 0.1..=60.0, &mut notes).unwrap(), "60s");
    }
}

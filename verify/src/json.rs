//! JSON that means one thing only: a member stands once in its object, at any depth.
//!
//! RFC 8259 §4 leaves duplicate names to the parser, and two parsers that choose differently
//! see two different tokens. RFC 7515 §4 and RFC 7519 §4 let a verifier reject them.

use std::{cell::Cell, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::denial::Denial;

/// Why a text is not a strict JSON value.
#[derive(Debug)]
pub(crate) enum JsonError {
    /// An object names a member twice.
    DuplicateMember,
    /// Not JSON, not UTF-8, nested too deep, or a number beyond the range of a double.
    Malformed(serde_json::Error),
}

impl fmt::Display for JsonError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateMember => formatter.write_str("a member stands twice in one object"),
            Self::Malformed(error) => error.fmt(formatter),
        }
    }
}

/// Parses one JSON value that fills `text`.
pub(crate) fn parse(text: &[u8]) -> Result<Value, JsonError> {
    let duplicate = Cell::new(false);
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    Strict(&duplicate)
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| {
            if duplicate.get() { JsonError::DuplicateMember } else { JsonError::Malformed(error) }
        })
}

/// Parses one JSON object that fills `text`; `None` where it is another kind of value.
pub(crate) fn parse_object(text: &[u8]) -> Result<Option<Map<String, Value>>, JsonError> {
    Ok(match parse(text)? {
        Value::Object(members) => Some(members),
        _ => None,
    })
}

/// Parses a token's JSON object; `malformed` is the denial of anything else.
pub(crate) fn object(text: &[u8], malformed: Denial) -> Result<Map<String, Value>, Denial> {
    match parse_object(text) {
        Ok(Some(members)) => Ok(members),
        Ok(None) | Err(JsonError::Malformed(_)) => Err(malformed),
        Err(JsonError::DuplicateMember) => Err(Denial::DuplicateMember),
    }
}

/// Builds a [`Value`] and notes in the cell when an object repeats a name.
#[derive(Clone, Copy)]
struct Strict<'a>(&'a Cell<bool>);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("number out of range"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            if members.contains_key(&name) {
                self.0.set(true);
                return Err(A::Error::custom("duplicate member"));
            }
            let value = access.next_value_seed(self)?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

/// A document whose texts are wiped when it has been read.
pub(crate) struct Wiped(pub(crate) Value);

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => zeroize::Zeroize::zeroize(text),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_serde_json_on_plain_documents() {
        let text = br#"{"a": [1, -2, 3.5, true, null, "x\u00e9"], "b": {"a": {}}}"#;
        assert_eq!(parse(text).unwrap(), serde_json::from_slice::<Value>(text).unwrap());
    }

    #[test]
    fn refuses_a_repeated_member_at_any_depth_and_in_any_spelling() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"[{"a":1},[{"b":{"c":1,"c":1}}]]"#,
        ] {
            assert!(matches!(parse(text.as_bytes()), Err(JsonError::DuplicateMember)), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_json() {
        let deep = "[".repeat(10_000);
        for text in ["", "{", "{} {}", "{'a':1}", "[1,]", "1e999", "NaN", r#""\ud800""#, &deep] {
            assert!(matches!(parse(text.as_bytes()), Err(JsonError::Malformed(_))), "{text:.20}");
        }
        assert!(matches!(parse(b"\"\xff\""), Err(JsonError::Malformed(_))));
        assert!(matches!(parse(b"\xef\xbb\xbf{}"), Err(JsonError::Malformed(_))));
    }
}

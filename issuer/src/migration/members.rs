//! The members of one JSON object, taken one by one, so that what was not understood is known.

use std::{collections::BTreeMap, fmt};

use chrono::DateTime;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::{Value, error::Category};

use crate::{clock::Timestamp, secret::SecretText};

/// The end of the year 9999: what is later are milliseconds.
const LATEST_SECONDS: u64 = 253_402_300_799;
const SHOWN_NAME_CHARS: usize = 64;

/// What is wrong with a line. Says no value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault(String);

impl Fault {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    fn member(name: &str, reason: impl fmt::Display) -> Self {
        Self(format!("`{}`: {reason}", shown(name)))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Not `Debug`: they may be secrets.
pub(super) struct Members(BTreeMap<String, Value>);

impl Members {
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        if !text.trim_start().starts_with('{') {
            return Err(Fault::new("it is no JSON object"));
        }
        serde_json::from_str(text).map_err(|error| {
            // The error's own text may quote a value.
            Fault::new(match error.classify() {
                Category::Data => "a member comes twice".to_owned(),
                _ => format!("it is not valid JSON, at its column {}", error.column()),
            })
        })
    }

    /// The object that is the only member, if it has that name.
    pub(super) fn unwrap(mut self, name: &str) -> Self {
        match (self.0.len(), self.0.get_mut(name)) {
            (1, Some(Value::Object(inner))) => Self(std::mem::take(inner).into_iter().collect()),
            _ => self,
        }
    }

    /// Takes attributes of DynamoDB for the values that they hold: `{"S": "x"}` for `"x"`.
    pub(super) fn plain(self) -> Self {
        Self(self.0.into_iter().map(|(name, value)| (name, plain(value))).collect())
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<SecretText>, Fault> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(SecretText::new(text))),
            Some(_) => Err(Fault::member(name, "it is no text")),
        }
    }

    pub(super) fn required_text(&mut self, name: &str) -> Result<SecretText, Fault> {
        self.text(name)?.ok_or_else(|| Fault::member(name, "it is missing"))
    }

    /// A text that is something else in the end.
    pub(super) fn parsed<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Fault> {
        let text = self.text(name)?;
        let parsed = text.map(|text| parse(text.expose())).transpose();
        parsed.map_err(|reason| Fault::member(name, reason))
    }

    pub(super) fn required<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, Fault> {
        self.parsed(name, parse)?.ok_or_else(|| Fault::member(name, "it is missing"))
    }

    pub(super) fn seconds(&mut self, name: &str) -> Result<Option<u64>, Fault> {
        let whole = |value: Value| {
            let reason = "it is no whole number of seconds";
            value.as_u64().ok_or_else(|| Fault::member(name, reason))
        };
        self.take(name).map(whole).transpose()
    }

    pub(super) fn moment(&mut self, name: &str) -> Result<Option<Timestamp>, Fault> {
        self.take(name).map(|value| moment(name, &value)).transpose()
    }

    /// The names of all that there is, as they stand.
    pub(super) fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }

    /// The names of what was not taken.
    pub(super) fn rest(&self) -> impl Iterator<Item = String> {
        self.0.keys().map(|name| shown(name))
    }

    /// Fails if something was not taken.
    pub(super) fn finish(self) -> Result<(), Fault> {
        match self.rest().next() {
            Some(name) => Err(Fault::new(format!("`{name}`: there is no such member here"))),
            None => Ok(()),
        }
    }
}

/// Seconds since 1970, or RFC 3339.
pub(super) fn moment(name: &str, value: &Value) -> Result<Timestamp, Fault> {
    let seconds = match value {
        Value::String(text) => {
            let moment = DateTime::parse_from_rfc3339(text).ok();
            moment.and_then(|moment| u64::try_from(moment.timestamp()).ok())
        }
        value => value.as_u64(),
    };
    let seconds = seconds.filter(|seconds| *seconds <= LATEST_SECONDS);
    seconds.map(Timestamp).ok_or_else(|| {
        Fault::member(name, "it is neither seconds since 1970 nor a time as RFC 3339 writes it")
    })
}

/// A name that the user chose, fit for a terminal.
pub(super) fn shown(name: &str) -> String {
    name.chars().take(SHOWN_NAME_CHARS).flat_map(char::escape_debug).collect()
}

fn plain(value: Value) -> Value {
    let Value::Object(mut attribute) = value else {
        return value;
    };
    if attribute.len() != 1 {
        return Value::Object(attribute);
    }
    match attribute.iter_mut().next() {
        Some((kind, inner)) if kind == "S" || kind == "BOOL" => inner.take(),
        Some((kind, _)) if kind == "NULL" => Value::Null,
        _ => Value::Object(attribute),
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member comes twice"));
            }
        }
        Ok(Members(members))
    }
}

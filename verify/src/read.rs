//! Typed values out of a JSON value, and which member it was that did not fit.
//!
//! Not by serde's derive: a policy has many types, and an instance of a deserializer for each of
//! them is 150 KiB of Wasm more. Nor does a message here quote the value that did not fit, which
//! can be a secret.

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value};

/// Which member does not fit, and why. Never quotes a value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ReadError {
    /// Such as `match.headers[0].name`; empty for the whole.
    pub(crate) member: String,
    pub(crate) reason: String,
}

/// What a JSON value can be read as.
pub(crate) trait FromValue: Sized {
    /// Reads all of the value.
    ///
    /// # Errors
    ///
    /// [`ReadError`] names the first member that does not fit, in the order of their names, or else
    /// the first one that is missing.
    fn from_value(value: &Value) -> Result<Self, ReadError>;

    /// What a missing member is; `None` where it may not be missing.
    fn absent() -> Option<Self> {
        None
    }
}

/// Structures that are written as JSON objects, without unknown members. Behind a member's type may
/// stand `= default`, where it can be left out, and `as "name"`, where JSON has another name for it.
/// An `Option` can always be left out.
macro_rules! objects {
    ($(
        $(#[$meta:meta])*
        $visibility:vis struct $object:ident {$(
            $(#[$member_meta:meta])*
            $member:ident: $type:ty $(= $default:ident)? $(as $name:literal)?,
        )*}
    )*) => {$(
        $(#[$meta])*
        #[derive(Default)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
        $visibility struct $object {$(
            $(#[$member_meta])*
            $(#[cfg_attr(feature = "schema", schemars($default))])?
            $(#[cfg_attr(feature = "schema", schemars(rename = $name))])?
            $visibility $member: $type,
        )*}

        impl $crate::read::FromValue for $object {
            fn from_value(value: &serde_json::Value) -> Result<Self, $crate::read::ReadError> {
                #[allow(unused_mut, reason = "an object without members has none to read")]
                let mut members = $crate::read::Members::of(value)?;
                let object = Self {$(
                    $member: $crate::read::objects!(
                        @read members, $crate::read::objects!(@name $member $($name)?) $(, $default)?
                    ),
                )*};
                members.end(object)
            }
        }
    )*};
    (@name $member:ident) => { stringify!($member) };
    (@name $member:ident $name:literal) => { $name };
    (@read $members:ident, $name:expr) => { $members.read($name) };
    (@read $members:ident, $name:expr, default) => { $members.read_or_default($name) };
}
pub(crate) use objects;

/// The members of an object, of which one after the other is read. What does not fit is kept until
/// the end, so that reading a member is one call.
pub(crate) struct Members<'v> {
    all: &'v Map<String, Value>,
    known: Vec<&'static str>,
    misfit: Option<(&'static str, ReadError)>,
    missing: Option<&'static str>,
}

impl<'v> Members<'v> {
    /// # Errors
    ///
    /// Where it is no object.
    pub(crate) fn of(value: &'v Value) -> Result<Self, ReadError> {
        let all = value.as_object().ok_or_else(|| ReadError::kind(value, "an object"))?;
        Ok(Self { all, known: Vec::new(), misfit: None, missing: None })
    }

    /// The member of this name, or any value where it does not fit.
    pub(crate) fn read<T: FromValue + Default>(&mut self, name: &'static str) -> T {
        match self.find(name) {
            Some(value) => self.value(name, T::from_value(value)),
            None => T::absent().unwrap_or_else(|| {
                self.missing.get_or_insert(name);
                T::default()
            }),
        }
    }

    /// The same, but that it can be left out.
    pub(crate) fn read_or_default<T: FromValue + Default>(&mut self, name: &'static str) -> T {
        let found = self.find(name);
        found.map_or_else(T::default, |value| self.value(name, T::from_value(value)))
    }

    /// What was read, if everything fits and nothing is left.
    ///
    /// # Errors
    ///
    /// The first member that does not fit or is unknown, or else the first one that is missing.
    pub(crate) fn end<T>(self, object: T) -> Result<T, ReadError> {
        match self.error() {
            Some(error) => Err(error),
            None => Ok(object),
        }
    }

    fn find(&mut self, name: &'static str) -> Option<&'v Value> {
        self.known.push(name);
        self.all.get(name)
    }

    fn value<T: Default>(&mut self, name: &'static str, read: Result<T, ReadError>) -> T {
        read.unwrap_or_else(|error| {
            self.note(name, error);
            T::default()
        })
    }

    fn note(&mut self, name: &'static str, error: ReadError) {
        if self.misfit.as_ref().is_none_or(|(first, _)| name < *first) {
            self.misfit = Some((name, error));
        }
    }

    fn error(self) -> Option<ReadError> {
        let is_unknown = |name: &&String| !self.known.contains(&name.as_str());
        let unknown = self.all.keys().filter(is_unknown).min();
        match (unknown, self.misfit, self.missing) {
            (Some(name), Some((other, error)), _) if other < name.as_str() => {
                Some(error.within(other))
            }
            (Some(name), ..) => Some(unknown_member(name, &self.known)),
            (None, Some((name, error)), _) => Some(error.within(name)),
            (None, None, Some(name)) => Some(ReadError::new(format!("missing field `{name}`"))),
            (None, None, None) => None,
        }
    }
}

fn unknown_member(name: &str, known: &[&str]) -> ReadError {
    let expected = match known {
        [] => "there are no fields".to_owned(),
        [only] => format!("expected `{only}`"),
        [one, other] => format!("expected `{one}` or `{other}`"),
        many => format!("expected one of `{}`", many.join("`, `")),
    };
    ReadError::new(format!("unknown field `{name}`, {expected}")).within(name)
}

impl ReadError {
    fn new(reason: impl Into<String>) -> Self {
        Self { member: String::new(), reason: reason.into() }
    }

    /// The value is of another kind than what was expected.
    pub(crate) fn kind(found: &Value, expected: &str) -> Self {
        let found = match found {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "floating point",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "sequence",
            Value::Object(_) => "map",
        };
        Self::new(format!("invalid type: {found}, expected {expected}"))
    }

    /// The same, seen from what holds the value as `name`.
    pub(crate) fn within(mut self, name: &str) -> Self {
        if !(name.is_empty() || self.member.is_empty() || self.member.starts_with('[')) {
            self.member.insert(0, '.');
        }
        self.member.insert_str(0, name);
        self
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.reason)
    }
}

impl FromValue for Value {
    fn from_value(value: &Value) -> Result<Self, ReadError> {
        Ok(value.clone())
    }
}

impl FromValue for bool {
    fn from_value(value: &Value) -> Result<Self, ReadError> {
        value.as_bool().ok_or_else(|| ReadError::kind(value, "a boolean"))
    }
}

impl FromValue for String {
    fn from_value(value: &Value) -> Result<Self, ReadError> {
        let text = value.as_str().ok_or_else(|| ReadError::kind(value, "a string"))?;
        Ok(text.to_owned())
    }
}

/// How messages call integers of all widths.
const WHOLE_NUMBER: &str = "a whole number";

fn integer(value: &Value) -> Result<i128, ReadError> {
    let integer = value.as_i64().map(i128::from).or(value.as_u64().map(i128::from));
    integer.ok_or_else(|| ReadError::kind(value, WHOLE_NUMBER))
}

macro_rules! integers {
    ($($type:ty)*) => {$(
        impl FromValue for $type {
            fn from_value(value: &Value) -> Result<Self, ReadError> {
                Self::try_from(integer(value)?).map_err(|_| {
                    ReadError::new(format!("invalid value: integer, expected {WHOLE_NUMBER}"))
                })
            }
        }
    )*};
}
integers! { u16 u32 u64 i64 }

impl FromValue for f64 {
    fn from_value(value: &Value) -> Result<Self, ReadError> {
        value.as_f64().ok_or_else(|| ReadError::kind(value, "f64"))
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Result<Self, ReadError> {
        if value.is_null() { Ok(None) } else { T::from_value(value).map(Some) }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: FromValue> FromValue for Vec<T> {
    fn from_value(value: &Value) -> Result<Self, ReadError> {
        let items = value.as_array().ok_or_else(|| ReadError::kind(value, "a sequence"))?;
        let mut read = Self::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            read.push(T::from_value(item).map_err(|error| error.within(&format!("[{index}]")))?);
        }
        Ok(read)
    }
}

impl<T: FromValue> FromValue for BTreeMap<String, T> {
    fn from_value(value: &Value) -> Result<Self, ReadError> {
        let members = value.as_object().ok_or_else(|| ReadError::kind(value, "a map"))?;
        let mut read = Self::new();
        for (name, value) in members {
            read.insert(name.clone(), T::from_value(value).map_err(|error| error.within(name))?);
        }
        Ok(read)
    }
}

//! Reading the members of an event.

use serde_json::{Map, Value};

/// Why an event cannot be taken. Says nothing of what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// It is of no kind that is known here.
    #[error("the event is of no kind that this function takes")]
    Unknown,
    /// A member is missing or is not what it is in the documentation of AWS.
    #[error("the event's `{0}` is missing or malformed")]
    Member(&'static str),
    /// The answer's body could not be read.
    #[error("the answer cannot be read")]
    Answer,
}

/// The text at a path of member names; none where there is none, or another thing.
pub(crate) fn text<'e>(event: &'e Value, path: &[&str]) -> Option<&'e str> {
    path.iter().try_fold(event, |value, name| value.get(*name))?.as_str()
}

/// The same, of the event itself and needed.
pub(crate) fn needed<'e>(event: &'e Value, name: &'static str) -> Result<&'e str, EventError> {
    event.get(name).and_then(Value::as_str).ok_or(EventError::Member(name))
}

/// An object that may be null or missing.
pub(crate) fn object<'e>(
    event: &'e Value,
    name: &'static str,
) -> Result<Option<&'e Map<String, Value>>, EventError> {
    match event.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(members)) => Ok(Some(members)),
        Some(_) => Err(EventError::Member(name)),
    }
}

/// Names and values of an object of texts.
pub(crate) fn single<'e>(
    event: &'e Value,
    name: &'static str,
) -> Result<Vec<(&'e str, &'e str)>, EventError> {
    let members = object(event, name)?.into_iter().flatten();
    let pair = |(key, value): (&'e String, &'e Value)| Some((key.as_str(), value.as_str()?));
    members.map(pair).collect::<Option<_>>().ok_or(EventError::Member(name))
}

/// Names and values of an object of lists of texts, each list in its order; `None` without the
/// object.
pub(crate) fn multiple<'e>(
    event: &'e Value,
    name: &'static str,
) -> Result<Option<Vec<(&'e str, &'e str)>>, EventError> {
    let Some(members) = object(event, name)? else { return Ok(None) };
    let mut pairs = Vec::new();
    for (key, values) in members {
        for value in values.as_array().ok_or(EventError::Member(name))? {
            pairs.push((key.as_str(), value.as_str().ok_or(EventError::Member(name))?));
        }
    }
    Ok(Some(pairs))
}

//! The body of an event.

use base64ct::{Base64, Encoding};
use serde_json::Value;

use super::event::EventError;

/// The bytes that the client sent.
pub(super) fn body(event: &Value) -> Result<Vec<u8>, EventError> {
    let text = match event.get("body") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::String(text)) => text,
        Some(_) => return Err(EventError::Member("body")),
    };
    match event.get("isBase64Encoded") {
        Some(Value::Bool(true)) => Base64::decode_vec(text).map_err(|_| EventError::Member("body")),
        None | Some(Value::Bool(false) | Value::Null) => Ok(text.clone().into_bytes()),
        Some(_) => Err(EventError::Member("isBase64Encoded")),
    }
}

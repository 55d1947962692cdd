//! The router's answer, as the event's source wants it.

use axum::{
    body::to_bytes,
    http::{
        HeaderMap, HeaderName,
        header::{CONTENT_LENGTH, SET_COOKIE},
    },
    response::Response,
};
use base64ct::{Base64, Encoding};
use serde_json::{Map, Value, json};

use super::event::EventError;

/// Lambda takes no answer of more than 6 MB.
const MAX_BODY_BYTES: usize = 4 << 20;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// API Gateway, format 1.0.
    FormatOne,
    /// API Gateway, format 2.0, and Function URLs.
    FormatTwo,
    /// A load balancer, whose target group has lists of header values or has not.
    LoadBalancer { lists: bool },
}

pub(super) async fn answer(response: Response, source: Source) -> Result<Value, EventError> {
    let (mut parts, body) = response.into_parts();
    // Who sends the answer counts for itself.
    parts.headers.remove(CONTENT_LENGTH);
    let body = to_bytes(body, MAX_BODY_BYTES).await.map_err(|_| EventError::Answer)?;
    let (body, is_encoded) = match std::str::from_utf8(&body) {
        Ok(text) => (text.to_owned(), false),
        Err(_) => (Base64::encode_string(&body), true),
    };
    let mut answer = json!({
        "statusCode": parts.status.as_u16(),
        "body": body,
        "isBase64Encoded": is_encoded,
    });
    match source {
        Source::FormatOne | Source::LoadBalancer { lists: true } => {
            insert(&mut answer, "multiValueHeaders", lists(&parts.headers));
        }
        Source::FormatTwo => {
            let cookies: Vec<String> = values(&parts.headers, SET_COOKIE.as_str()).collect();
            parts.headers.remove(SET_COOKIE);
            insert(&mut answer, "headers", joined(&parts.headers));
            insert(&mut answer, "cookies", json!(cookies));
        }
        Source::LoadBalancer { lists: false } => {
            insert(&mut answer, "headers", joined(&parts.headers));
        }
    }
    if matches!(source, Source::LoadBalancer { .. }) {
        insert(&mut answer, "statusDescription", json!(parts.status.to_string()));
    }
    Ok(answer)
}

fn insert(answer: &mut Value, name: &str, value: Value) {
    if let Value::Object(members) = answer {
        members.insert(name.to_owned(), value);
    }
}

fn lists(headers: &HeaderMap) -> Value {
    let names = headers.keys().map(HeaderName::as_str);
    let lists = names.map(|name| {
        let values: Vec<String> = values(headers, name).collect();
        (name.to_owned(), json!(values))
    });
    Value::Object(lists.collect::<Map<String, Value>>())
}

/// Several fields of one name are one with commas (RFC 9110 §5.3), but for `Set-Cookie`.
fn joined(headers: &HeaderMap) -> Value {
    let names = headers.keys().map(HeaderName::as_str);
    let fields = names.map(|name| {
        let values: Vec<String> = values(headers, name).collect();
        (name.to_owned(), json!(values.join(", ")))
    });
    Value::Object(fields.collect::<Map<String, Value>>())
}

fn values(headers: &HeaderMap, name: &str) -> impl Iterator<Item = String> {
    let values = headers.get_all(name).iter();
    values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

//! Answers of the first-party API: JSON that no cache keeps.

use axum::{
    body::Body,
    http::{
        HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::Response,
};
use serde_json::{Value, json};

const OVERLOAD_RETRY_SECONDS: HeaderValue = HeaderValue::from_static("1");
// RFC 6750, section 3: a challenge needs at least one parameter; no `error` when the client
// sent no credentials.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"postern\"");
const INVALID_TOKEN: HeaderValue =
    HeaderValue::from_static("Bearer realm=\"postern\", error=\"invalid_token\"");

/// `status` with `body`.
pub(super) fn json(status: StatusCode, body: &Value) -> Response {
    let mut response = empty(status);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *response.body_mut() = Body::from(body.to_string());
    response
}

/// `status` with `{"message": text}`.
pub(super) fn message(status: StatusCode, text: &str) -> Response {
    json(status, &json!({ "message": text }))
}

/// 401 to a request without a token.
pub(super) fn no_token() -> Response {
    challenge("No token", CHALLENGE)
}

/// 401 to a token that is refused.
pub(super) fn refused_token(text: &str) -> Response {
    challenge(text, INVALID_TOKEN)
}

/// 503 to a request that may succeed in a moment.
pub(super) fn retry_later(text: &str) -> Response {
    let mut response = message(StatusCode::SERVICE_UNAVAILABLE, text);
    response.headers_mut().insert(RETRY_AFTER, OVERLOAD_RETRY_SECONDS);
    response
}

/// 429 to a request that may be repeated after some seconds (RFC 6585, section 4).
pub(super) fn too_many(text: &str, seconds: u64) -> Response {
    let mut response = message(StatusCode::TOO_MANY_REQUESTS, text);
    response.headers_mut().insert(RETRY_AFTER, seconds.into());
    response
}

/// `status` without a body.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn challenge(text: &str, challenge: HeaderValue) -> Response {
    let mut response = message(StatusCode::UNAUTHORIZED, text);
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    response
}

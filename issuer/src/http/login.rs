//! `POST /login`.

use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::StatusCode,
    response::Response,
};
use serde_json::{Value, json};

use super::{
    Service,
    answer::{json, message},
    unavailable,
};
use crate::{secret::SecretText, token::IssuedToken};

const MISSING_MEMBERS: &str = "Missing domain, username or password";

struct Credentials {
    domain: String,
    username: String,
    password: SecretText,
}

pub(super) async fn login(
    State(service): State<Service>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let credentials = match body {
        Ok(body) => Credentials::parse(&body),
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            return message(StatusCode::PAYLOAD_TOO_LARGE, "Body too large");
        }
        Err(_) => Err("Invalid JSON body"),
    };
    let Credentials { domain, username, password } = match credentials {
        Ok(credentials) => credentials,
        Err(text) => return message(StatusCode::BAD_REQUEST, text),
    };
    match service.issuer.login(&domain, &username, password).await {
        Ok(issued) => token(&issued),
        Err(refusal) => unavailable(&refusal)
            .unwrap_or_else(|| message(StatusCode::BAD_REQUEST, &refusal.to_string())),
    }
}

/// 200 with a token, as RFC 6749, section 5.1, names its members but for `token`.
pub(super) fn token(issued: &IssuedToken) -> Response {
    let IssuedToken { token, expires_in } = issued;
    let body = json!({
        "token": token.expose(), "token_type": "Bearer", "expires_in": expires_in
    });
    json(StatusCode::OK, &body)
}

impl Credentials {
    fn parse(body: &[u8]) -> Result<Self, &'static str> {
        let mut body: Value = serde_json::from_slice(body).map_err(|_| "Invalid JSON body")?;
        let mut member = |name: &str| match body.get_mut(name).map(Value::take) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(MISSING_MEMBERS),
        };
        let password = member("password").map(SecretText::new)?;
        Ok(Self { domain: member("domain")?, username: member("username")?, password })
    }
}

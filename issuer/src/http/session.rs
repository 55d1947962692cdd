//! The routes that take a token: `/refresh`, `/status`, `/auth`, `/logout`.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde_json::json;

use super::{
    Service,
    answer::{empty, json, message, no_token, refused_token},
    login,
    token_header::{self, Form, TokenHeaderError},
    unavailable,
};
use crate::issuer::Refusal;

/// Why a request with a token, or without, is refused.
enum Refused {
    NoToken,
    Token(Refusal),
}

impl Service {
    fn token<'h>(&self, headers: &'h HeaderMap, form: Form) -> Result<&'h [u8], Refused> {
        token_header::token(headers, &self.token_header, form).map_err(|error| match error {
            TokenHeaderError::Missing => Refused::NoToken,
            TokenHeaderError::Invalid => Refused::Token(Refusal::Token),
        })
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::Token(refusal)
    }
}

pub(super) async fn refresh(State(service): State<Service>, headers: HeaderMap) -> Response {
    let answer = async {
        let token = service.token(&headers, Form::BearerOrBare)?;
        let issued = service.issuer.refresh(token).await?;
        Ok(login::token(&issued))
    };
    answer.await.unwrap_or_else(unauthorized)
}

pub(super) async fn status(State(service): State<Service>, headers: HeaderMap) -> Response {
    let answer = async {
        let status = service.issuer.status(service.token(&headers, Form::Bearer)?).await?;
        let body = json!({
            "valid": status.valid,
            "expired": status.expired,
            "expiryString": status.expires_at.to_string(),
        });
        Ok(json(StatusCode::OK, &body))
    };
    answer.await.unwrap_or_else(unauthorized)
}

pub(super) async fn authorize(State(service): State<Service>, headers: HeaderMap) -> Response {
    let answer = async {
        let identity = service.issuer.authorize(service.token(&headers, Form::Bearer)?).await?;
        let body = json!({ "domain": identity.domain.as_str(), "sub": identity.subject });
        Ok(json(StatusCode::OK, &body))
    };
    answer.await.unwrap_or_else(forbidden)
}

pub(super) async fn logout(State(service): State<Service>, headers: HeaderMap) -> Response {
    let answer = async {
        service.issuer.logout(service.token(&headers, Form::Bearer)?).await?;
        Ok(empty(StatusCode::NO_CONTENT))
    };
    answer.await.unwrap_or_else(unauthorized)
}

fn unauthorized(refused: Refused) -> Response {
    match refused {
        Refused::NoToken => no_token(),
        Refused::Token(refusal) => {
            unavailable(&refusal).unwrap_or_else(|| refused_token(&refusal.to_string()))
        }
    }
}

/// `/auth` tells who came without a token from who came with a wrong one by the status alone.
fn forbidden(refused: Refused) -> Response {
    match refused {
        Refused::NoToken => no_token(),
        Refused::Token(refusal) => unavailable(&refusal)
            .unwrap_or_else(|| message(StatusCode::FORBIDDEN, &refusal.to_string())),
    }
}

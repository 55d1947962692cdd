//! `GET /{domain}/edge/keys`.

use axum::{
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ETAG, InvalidHeaderValue},
    },
    response::Response,
};

use super::{
    Service,
    answer::{empty, message, no_token, refused_token, retry_later},
    key_set::holds,
    not_found,
    token_header::{Form, TokenHeaderError, token},
    unavailable,
};
use crate::issuer::{EdgeKeys, EdgeRefusal, Refusal};

pub(super) async fn hand_out(
    State(service): State<Service>,
    domain: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let Ok(Path(domain)) = domain else {
        return not_found().await;
    };
    let polls = &service.issuer.edge_counts().polls;
    // Always this header, whichever the users' tokens are read from.
    let assertion = match token(&headers, &AUTHORIZATION, Form::Bearer) {
        Ok(assertion) => assertion,
        Err(error) => {
            polls.count("invalid_assertion");
            return match error {
                TokenHeaderError::Missing => no_token(),
                TokenHeaderError::Invalid => refused_token("Invalid assertion"),
            };
        }
    };
    let is_held = |etag: &str| holds(&headers, etag);
    match service.issuer.edge_keys(&domain, assertion, is_held).await {
        Ok(keys) => {
            polls.count(if keys.bundle.is_some() { "sent" } else { "not_modified" });
            answer(keys).unwrap_or_else(|_| empty(StatusCode::INTERNAL_SERVER_ERROR))
        }
        Err(refusal) => {
            polls.count(outcome(&refusal));
            refuse(refusal)
        }
    }
}

fn answer(keys: EdgeKeys) -> Result<Response, InvalidHeaderValue> {
    let EdgeKeys { bundle, etag, max_age } = keys;
    let mut response =
        empty(if bundle.is_some() { StatusCode::OK } else { StatusCode::NOT_MODIFIED });
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, format!("private, max-age={max_age}").try_into()?);
    headers.insert(ETAG, etag.try_into()?);
    if let Some(bundle) = bundle {
        // RFC 7515, section 9.2.1.
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jose"));
        *response.body_mut() = Body::from(bundle.expose().to_owned());
    }
    Ok(response)
}

fn outcome(refusal: &EdgeRefusal) -> &'static str {
    match refusal {
        EdgeRefusal::Domain => "unknown_domain",
        EdgeRefusal::Assertion => "invalid_assertion",
        EdgeRefusal::NotEnrolled => "not_enrolled",
        EdgeRefusal::Removed => "removed",
        EdgeRefusal::Overloaded => "overloaded",
        EdgeRefusal::Failed(_) => "failed",
    }
}

fn refuse(refusal: EdgeRefusal) -> Response {
    let text = refusal.to_string();
    match refusal {
        EdgeRefusal::Domain => message(StatusCode::NOT_FOUND, &text),
        EdgeRefusal::Assertion => refused_token(&text),
        EdgeRefusal::NotEnrolled => message(StatusCode::FORBIDDEN, &text),
        EdgeRefusal::Removed => message(StatusCode::GONE, &text),
        EdgeRefusal::Overloaded => retry_later(&text),
        EdgeRefusal::Failed(failure) => unavailable(&Refusal::Failed(failure))
            .unwrap_or_else(|| empty(StatusCode::INTERNAL_SERVER_ERROR)),
    }
}

//! `GET /{domain}/.well-known/jwks.json`.

use axum::{
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, InvalidHeaderValue},
    },
    response::Response,
};

use super::{
    Service,
    answer::{empty, message},
    not_found, unavailable,
};
use crate::{issuer::Refusal, key_set::Publication};

/// How long a cache may serve what it has while the issuer is out of order (RFC 5861).
const STALE_IF_ERROR_SECONDS: u64 = 86_400;

pub(super) async fn publish(
    State(service): State<Service>,
    domain: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let Ok(Path(domain)) = domain else {
        return not_found().await;
    };
    let publication = service.issuer.publication(&domain).await;
    let response = match publication {
        Ok(Some(publication)) => answer(publication, &headers).ok(),
        Ok(None) => Some(message(StatusCode::NOT_FOUND, "Invalid domain")),
        Err(failure) => unavailable(&Refusal::Failed(failure)),
    };
    response.unwrap_or_else(|| empty(StatusCode::INTERNAL_SERVER_ERROR))
}

fn answer(publication: Publication, headers: &HeaderMap) -> Result<Response, InvalidHeaderValue> {
    let Publication { document, etag, max_age } = publication;
    let held = holds(headers, &etag);
    let caching = format!("public, max-age={max_age}, stale-if-error={STALE_IF_ERROR_SECONDS}");
    let mut response = empty(if held { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    response.headers_mut().insert(CACHE_CONTROL, caching.try_into()?);
    response.headers_mut().insert(ETAG, etag.try_into()?);
    if !held {
        // RFC 7517, section 8.5.2.
        let content_type = HeaderValue::from_static("application/jwk-set+json");
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        *response.body_mut() = Body::from(document);
    }
    Ok(response)
}

/// Whether the client has this very document. The comparison is weak (RFC 9110, section 13.1.2):
/// a proxy that compresses may have weakened the tag.
pub(super) fn holds(headers: &HeaderMap, etag: &str) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

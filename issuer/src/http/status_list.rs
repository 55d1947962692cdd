//! `GET /{domain}/status-lists/{list}`.

use axum::{
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, InvalidHeaderValue},
    },
    response::Response,
};

use super::{Service, answer::empty, key_set::holds, not_found, unavailable};
use crate::{issuer::Refusal, status_list::ListPublication};

pub(super) async fn publish(
    State(service): State<Service>,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let Ok(Path((domain, number))) = path else {
        return not_found().await;
    };
    let Some(number) = list_number(&number) else {
        return not_found().await;
    };
    let response = match service.issuer.status_list(&domain, number).await {
        Ok(Some(publication)) => answer(&publication, &headers).ok(),
        Ok(None) => return not_found().await,
        Err(failure) => unavailable(&Refusal::Failed(failure)),
    };
    response.unwrap_or_else(|| empty(StatusCode::INTERNAL_SERVER_ERROR))
}

/// In the one form that tokens have it in: each list has one URL.
fn list_number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number: &u32| number.to_string() == text)
}

fn answer(
    publication: &ListPublication,
    headers: &HeaderMap,
) -> Result<Response, InvalidHeaderValue> {
    let ListPublication { token, etag, max_age } = publication;
    let held = holds(headers, etag);
    let mut response = empty(if held { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    let caching = format!("public, max-age={max_age}");
    response.headers_mut().insert(CACHE_CONTROL, caching.try_into()?);
    response.headers_mut().insert(ETAG, etag.try_into()?);
    if !held {
        let content_type = HeaderValue::from_static("application/statuslist+jwt");
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        *response.body_mut() = Body::from(token.clone());
    }
    Ok(response)
}

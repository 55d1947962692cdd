//! A bound on how long a request may take.

use std::time::Duration;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use tokio::time::timeout;

use super::answer;

/// What is not answered in time, reading the body included, is told to come back.
pub(crate) async fn limit(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    let response = timeout(limit, next.run(request)).await;
    response.unwrap_or_else(|_| answer::retry_later("Timed out"))
}

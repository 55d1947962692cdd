//! One log line per request.

use std::time::Instant;

use axum::{extract::Request, middleware::Next, response::Response};

/// A longer path is cut: what waits to be written takes memory.
const PATH_MAX_CHARS: usize = 256;

/// Logs method, path, status and time, and nothing else: queries and headers can hold tokens.
pub(super) async fn log(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let path: String = request.uri().path().chars().take(PATH_MAX_CHARS).collect();
    let start = Instant::now();
    let response = next.run(request).await;
    let milliseconds = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let status = response.status().as_u16();
    tracing::info!(%method, path, status, ms = milliseconds, "request");
    response
}

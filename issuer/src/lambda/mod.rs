//! The issuer as a Lambda function: events in, answers out.

mod answer;
mod body;
pub(crate) mod event;
pub(crate) mod path;
mod request;
#[cfg(test)]
mod tests;

use axum::Router;
use serde_json::Value;
use tower::ServiceExt;

pub use self::event::EventError;

/// Answers an event of API Gateway (REST and HTTP APIs, formats 1.0 and 2.0), of a Function URL or of
/// an Application Load Balancer by the router.
///
/// The router sees the request as `postern serve` would: the stage is no part of the path, and
/// header fields are neither lost nor merged beyond what the event itself has merged.
///
/// # Errors
///
/// [`EventError`] where the event is none of these. The service then answers for us, with a status
/// of 500 or more.
pub async fn answer(router: Router, event: &Value) -> Result<Value, EventError> {
    let (request, source) = request::request(event)?;
    // The router has an answer for everything.
    let response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
    answer::answer(response, source).await
}

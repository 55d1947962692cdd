//! The issuer's routes.

mod answer;
mod cors;
mod edge_keys;
mod key_set;
mod login;
mod request_log;
mod session;
mod status_list;
pub(crate) mod time_limit;
mod token_header;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderName, StatusCode, header::ALLOW},
    middleware::{from_fn, from_fn_with_state},
    response::Response,
    routing::{MethodRouter, get, post},
};

use self::answer::{json, message};
use crate::{
    issuer::{Issuer, Refusal},
    origin::Origin,
};

const BODY_LIMIT_BYTES: usize = 16 * 1024;
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// What every route works with.
#[derive(Clone)]
struct Service {
    issuer: Arc<Issuer>,
    token_header: HeaderName,
}

/// The first-party API, the published key sets and status lists, and what enrolled edges ask for. Tokens
/// are read from `token_header`, in
/// `Bearer` form, and bare where that is not ambiguous. A request that takes longer than 30
/// seconds, for want of its body, say, is answered 503. Pages of any origin may read what is published;
/// those of `origins` may use the first-party API, and no others.
pub fn router(issuer: Arc<Issuer>, token_header: HeaderName, origins: &[Origin]) -> Router {
    let first_party = within_limits(
        Router::new()
            .route("/login", post(login::login))
            .route("/refresh", get_alone(get(session::refresh)))
            .route("/status", get_alone(get(session::status)))
            .route("/auth", get_alone(get(session::authorize)))
            .route("/logout", post(session::logout)),
    );
    let public = Router::new()
        .route("/{domain}/.well-known/jwks.json", get(key_set::publish))
        .route("/{domain}/status-lists/{list}", get(status_list::publish));
    let edges = Router::new().route("/{domain}/edge/keys", get_alone(get(edge_keys::hand_out)));
    let health = Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz));
    within_limits(health)
        .merge(within_limits(edges))
        .merge(cors::for_origins(origins, &token_header, first_party))
        .merge(cors::for_everyone(within_limits(public)))
        .fallback(not_found)
        .layer(from_fn(request_log::log))
        .with_state(Service { issuer, token_header })
}

/// What a request may take. A page reads the answers that say so, too: CORS goes around this.
fn within_limits(router: Router<Service>) -> Router<Service> {
    router
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_LIMIT_BYTES))
        .layer(from_fn_with_state(REQUEST_LIMIT, time_limit::limit))
}

/// Without HEAD, which axum answers as GET otherwise: a refresh whose answer is thrown away costs
/// the token, and proxies that check whether a link lives send HEAD.
fn get_alone(route: MethodRouter<Service>) -> MethodRouter<Service> {
    let refuse = async || ([(ALLOW, "GET")], method_not_allowed().await);
    route.head(refuse).fallback(refuse)
}

async fn healthz() -> Response {
    json(StatusCode::OK, &serde_json::json!({ "status": "alive" }))
}

async fn readyz(State(service): State<Service>) -> Response {
    match service.issuer.ready().await {
        Ok(()) => json(StatusCode::OK, &serde_json::json!({ "status": "ready" })),
        Err(failure) => {
            tracing::error!(%failure, "not ready");
            message(StatusCode::SERVICE_UNAVAILABLE, "Not ready")
        }
    }
}

async fn not_found() -> Response {
    message(StatusCode::NOT_FOUND, "Not found")
}

async fn method_not_allowed() -> Response {
    message(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed")
}

/// The answer to what has nothing to do with what this request says.
fn unavailable(refusal: &Refusal) -> Option<Response> {
    match refusal {
        Refusal::Overloaded => Some(answer::retry_later(&refusal.to_string())),
        Refusal::TooManyAttempts { seconds_left } => {
            Some(answer::too_many(&refusal.to_string(), *seconds_left))
        }
        Refusal::Failed(failure) if failure.may_pass() => {
            tracing::warn!(%failure, "request refused for now");
            Some(answer::retry_later("Try again later"))
        }
        Refusal::Failed(failure) => {
            tracing::error!(%failure, "request failed");
            Some(message(StatusCode::INTERNAL_SERVER_ERROR, &refusal.to_string()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;

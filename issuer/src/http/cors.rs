//! Which pages of other origins may read which answers (the Fetch standard's CORS protocol).
//!
//! Never with credentials: tokens travel in a header that the page itself sets, so no browser has
//! anything of its own to add.

use std::time::Duration;

use axum::{
    Router,
    http::{
        HeaderName, HeaderValue, Method,
        header::{
            ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
            ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
            AGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE,
        },
    },
    middleware::map_response,
    response::Response,
};
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

use crate::origin::Origin;

/// How long a browser may remember the answer to a preflight, and so an origin that the operator
/// has taken away.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(600);

/// Lets pages of any origin read what is public.
pub(super) fn for_everyone<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD])
        .allow_headers([IF_NONE_MATCH])
        .expose_headers([AGE, ETAG, RETRY_AFTER])
        .max_age(PREFLIGHT_MAX_AGE)
        .vary([]);
    router.layer(cors)
}

/// Lets pages of these origins use the first-party API. Without any, nothing changes.
pub(super) fn for_origins<S: Clone + Send + Sync + 'static>(
    origins: &[Origin],
    token_header: &HeaderName,
    router: Router<S>,
) -> Router<S> {
    if origins.is_empty() {
        return router;
    }
    let origins = origins.iter().filter_map(|origin| HeaderValue::from_str(origin.as_str()).ok());
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([CONTENT_TYPE, token_header.clone()])
        .expose_headers([RETRY_AFTER, WWW_AUTHENTICATE])
        .max_age(PREFLIGHT_MAX_AGE)
        .vary([ORIGIN]);
    router.layer(cors).layer(map_response(tell_strangers_nothing))
}

/// `CorsLayer` tells every page what the allowed ones may send.
async fn tell_strangers_nothing(mut response: Response) -> Response {
    let headers = response.headers_mut();
    if !headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        for name in [
            ACCESS_CONTROL_ALLOW_HEADERS,
            ACCESS_CONTROL_ALLOW_METHODS,
            ACCESS_CONTROL_EXPOSE_HEADERS,
            ACCESS_CONTROL_MAX_AGE,
        ] {
            headers.remove(name);
        }
    }
    response
}

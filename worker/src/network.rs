//! Asking an issuer.

use std::{pin::pin, time::Duration};

use futures_util::{
    StreamExt,
    future::{Either, select},
};
use postern_verify::Fetch;
use worker::{
    AbortController, AbortSignal, Delay, Headers, Method, Request, RequestInit, RequestRedirect,
    Response,
};

use crate::store::{self, Copy};

/// What the issuer answers within the time that it has; `None` where it does not. `is_whole` is whether it
/// is to say all of it again where nothing has changed.
pub(crate) async fn ask(fetch: &Fetch, is_whole: bool) -> Option<Copy> {
    let controller = AbortController::default();
    let signal = controller.signal();
    let answer = within(fetch.source.timeout, answer(fetch, is_whole, &signal)).await;
    if answer.is_none() {
        controller.abort();
    }
    answer.flatten()
}

/// What comes of something within a time; `None` where nothing does.
pub(crate) async fn within<T>(time: Duration, what: impl Future<Output = T>) -> Option<T> {
    match select(pin!(what), pin!(Delay::from(time))).await {
        Either::Left((outcome, _)) => Some(outcome),
        Either::Right(_) => None,
    }
}

async fn answer(fetch: &Fetch, is_whole: bool, signal: &AbortSignal) -> Option<Copy> {
    let request = worker::Fetch::Request(request(fetch, is_whole)?);
    let mut response = request.send_with_signal(signal).await.ok()?;
    let field = |name| response.headers().get(name).ok().flatten();
    Some(Copy {
        at: 0.0,
        status: response.status_code(),
        etag: field("etag"),
        cache_control: field("cache-control"),
        age: field("age"),
        body: body(&mut response, fetch.max_bytes).await?,
        until: 0,
    })
}

fn request(fetch: &Fetch, is_whole: bool) -> Option<Request> {
    let headers = Headers::new();
    headers.set("accept", fetch.accept).ok()?;
    if let Some(authorization) = &fetch.authorization {
        headers.set("authorization", authorization).ok()?;
    }
    if let Some(etag) = fetch.if_none_match.as_ref().filter(|_| !is_whole) {
        headers.set("if-none-match", std::str::from_utf8(etag).ok()?).ok()?;
    }
    let mut init = RequestInit::new();
    // Where keys are is for the policy to say.
    init.with_method(Method::Get).with_headers(headers).with_redirect(RequestRedirect::Manual);
    Request::new_with_init(&store::url(fetch), &init).ok()
}

/// The body, no longer than it may be, and so that the core can tell that one is.
async fn body(response: &mut Response, max_bytes: usize) -> Option<String> {
    let mut bytes = Vec::new();
    let Ok(mut chunks) = response.stream() else { return Some(String::new()) };
    while let Some(chunk) = chunks.next().await {
        bytes.extend_from_slice(&chunk.ok()?);
        if bytes.len() > max_bytes {
            break;
        }
    }
    String::from_utf8(bytes).ok()
}

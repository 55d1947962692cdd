//! Asking an issuer.

use std::pin::pin;

use futures_util::{
    StreamExt,
    future::{Either, select},
};
use postern_verify::{Fetch, MAX_JWK_SET_BYTES};
use worker::{
    AbortController, AbortSignal, Delay, Headers, Method, Request, RequestInit, RequestRedirect,
    Response,
};

use crate::store::{self, Copy};

/// What the issuer answers within the time that it has; `None` where it does not, or too much.
pub(crate) async fn ask(fetch: &Fetch) -> Option<Copy> {
    let controller = AbortController::default();
    let signal = controller.signal();
    let answer = pin!(answer(fetch, &signal));
    match select(answer, pin!(Delay::from(fetch.source.timeout))).await {
        Either::Left((answer, _)) => answer,
        Either::Right(_) => {
            controller.abort();
            None
        }
    }
}

async fn answer(fetch: &Fetch, signal: &AbortSignal) -> Option<Copy> {
    let request = worker::Fetch::Request(request(fetch)?);
    let mut response = request.send_with_signal(signal).await.ok()?;
    let field = |name| response.headers().get(name).ok().flatten();
    Some(Copy {
        at: 0.0,
        status: response.status_code(),
        etag: field("etag"),
        cache_control: field("cache-control"),
        age: field("age"),
        body: body(&mut response).await?,
    })
}

fn request(fetch: &Fetch) -> Option<Request> {
    let headers = Headers::new();
    headers.set("accept", fetch.accept).ok()?;
    if let Some(etag) = &fetch.if_none_match {
        headers.set("if-none-match", std::str::from_utf8(etag).ok()?).ok()?;
    }
    let mut init = RequestInit::new();
    // Where keys are is for the policy to say.
    init.with_method(Method::Get).with_headers(headers).with_redirect(RequestRedirect::Manual);
    Request::new_with_init(&store::url(fetch), &init).ok()
}

/// The body, no longer than a key set may be, and so that the core can tell that one is.
async fn body(response: &mut Response) -> Option<String> {
    let mut bytes = Vec::new();
    let Ok(mut chunks) = response.stream() else { return Some(String::new()) };
    while let Some(chunk) = chunks.next().await {
        bytes.extend_from_slice(&chunk.ok()?);
        if bytes.len() > MAX_JWK_SET_BYTES {
            break;
        }
    }
    String::from_utf8(bytes).ok()
}

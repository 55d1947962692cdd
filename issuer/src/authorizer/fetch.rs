//! Fetching the key sets that are due.

use std::{net::IpAddr, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{
        HeaderMap, HeaderValue, Request, Uri,
        header::{ACCEPT, AGE, CACHE_CONTROL, ETAG, IF_NONE_MATCH},
    },
};
use http_body_util::{BodyExt, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use postern_verify::{Fetch, Fetched, Gate, HttpUri, KeyUpdate, MAX_JWK_SET_BYTES, Policy};
use tokio::{task::JoinSet, time::timeout};

use super::{log, settings::SettingsError};

/// How long a fetch may take, even where the policy allows more: a client waits for it.
const LIMIT: Duration = Duration::from_secs(2);
/// How many fetches are made at once; the next ones follow when these have ended.
const MAX_AT_ONCE: usize = 8;
/// How often it is looked for more: a configuration, and the key set that it names.
const MAX_ROUNDS: usize = 2;

type HttpClient = Client<HttpsConnector<HttpConnector>, Body>;

/// What fetches, by connections that stay open.
pub(super) struct Fetcher {
    client: HttpClient,
}

/// An answer of an issuer.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Fetcher {
    /// What fetches the keys of this policy. There are no redirects: where keys are is for the policy
    /// to say.
    pub(super) fn new(policy: &Policy) -> Result<Self, SettingsError> {
        for (member, http_uri) in policy.http_uris() {
            if !is_safe(http_uri) {
                return Err(SettingsError::KeysInClear { member });
            }
        }
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
            .map_err(|error| SettingsError::Certificates(error.to_string()))?
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector) })
    }

    /// Makes every fetch that is due, and those that become due by them. None is left under way.
    pub(super) async fn fetch_due(&self, gate: &mut Gate, now: fn() -> Duration) {
        for _ in 0..MAX_ROUNDS {
            let mut under_way = JoinSet::new();
            while under_way.len() < MAX_AT_ONCE
                && let Some(fetch) = gate.keys_mut().poll_fetch(now())
            {
                let client = self.client.clone();
                under_way.spawn(async move {
                    let answer = ask(&client, &fetch).await;
                    (fetch, answer)
                });
            }
            if under_way.is_empty() {
                return;
            }
            for (fetch, answer) in under_way.join_all().await {
                end(gate, &fetch, answer, now());
            }
        }
    }
}

fn end(gate: &mut Gate, fetch: &Fetch, answer: Option<Answer>, now: Duration) {
    let fetched = match &answer {
        None => Fetched::Failed,
        Some(Answer { status, headers, body }) => {
            let field = |name| headers.get(name).map(HeaderValue::as_bytes);
            Fetched::Response {
                status: *status,
                etag: field(ETAG),
                cache_control: field(CACHE_CONTROL),
                age: field(AGE),
                body,
            }
        }
    };
    match gate.keys_mut().handle_fetched(fetch, fetched, now) {
        Ok(KeyUpdate::Replaced { keys, skipped }) => log::keys(fetch, keys, &skipped),
        Ok(KeyUpdate::Unchanged | KeyUpdate::Ignored | KeyUpdate::Discovered) => {}
        Err(error) => log::not_fetched(fetch, &error.to_string()),
    }
}

/// What the issuer answers in time; `None` where it does not, or too much.
async fn ask(client: &HttpClient, fetch: &Fetch) -> Option<Answer> {
    // What an issuer's configuration names has not been looked at before.
    if !is_safe(&fetch.source) {
        return None;
    }
    timeout(fetch.source.timeout.min(LIMIT), answer(client, fetch)).await.ok().flatten()
}

async fn answer(client: &HttpClient, fetch: &Fetch) -> Option<Answer> {
    let response = client.request(request(fetch)?).await.ok()?;
    let (parts, body) = response.into_parts();
    // One more, so that the core can tell that it is too long.
    let body = Limited::new(body, MAX_JWK_SET_BYTES + 1).collect().await.ok()?.to_bytes();
    Some(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
}

fn request(fetch: &Fetch) -> Option<Request<Body>> {
    let HttpUri { scheme, authority, path, .. } = &fetch.source;
    let uri = Uri::builder().scheme(scheme.as_str()).authority(authority.as_str());
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = uri.path_and_query(path.as_str()).build().ok()?;
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static(fetch.accept));
    if let Some(etag) = &fetch.if_none_match {
        headers.insert(IF_NONE_MATCH, HeaderValue::from_bytes(etag).ok()?);
    }
    Some(request)
}

/// Keys that come in clear are anybody's, but for those of this machine.
fn is_safe(http_uri: &HttpUri) -> bool {
    if http_uri.scheme == "https" {
        return true;
    }
    let authority = http_uri.authority.as_str();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

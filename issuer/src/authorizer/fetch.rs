//! Fetching the key sets that are due.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    http::{
        HeaderMap, HeaderValue, Request, Uri,
        header::{ACCEPT, AGE, AUTHORIZATION, CACHE_CONTROL, ETAG, IF_NONE_MATCH},
    },
};
use http_body_util::{BodyExt, Limited};
use postern_verify::{Fetch, Fetched, Gate, HttpUri, KeyUpdate, Policy};
use tokio::{task::JoinSet, time::timeout};

use super::{log, settings::SettingsError};
use crate::{
    edge::is_loopback,
    http_client::{HttpClient, http_client},
};

/// How long a fetch may take, even where the policy allows more: a client waits for it.
const LIMIT: Duration = Duration::from_secs(2);
/// How many fetches are made at once; the next ones follow when these have ended.
const MAX_AT_ONCE: usize = 8;
/// How often it is looked for more: a configuration, and the key set that it names.
const MAX_ROUNDS: usize = 2;

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
        let client = http_client();
        let client = client.map_err(|error| SettingsError::Certificates(error.to_string()))?;
        Ok(Self { client })
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
    let body =
        Limited::new(body, fetch.max_bytes.saturating_add(1)).collect().await.ok()?.to_bytes();
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
    if let Some(authorization) = &fetch.authorization {
        let mut value = HeaderValue::from_str(authorization).ok()?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Some(request)
}

/// Keys that come in clear are anybody's, but for those of this machine.
fn is_safe(http_uri: &HttpUri) -> bool {
    http_uri.scheme == "https" || is_loopback(&http_uri.authority)
}

#[cfg(test)]
mod tests {
    use std::{
        net::SocketAddr,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering::SeqCst},
        },
        time::Instant,
    };

    use postern_verify::{Decision, Gate, Request};
    use serde_json::json;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    fn now() -> Duration {
        Duration::from_secs(1_800_000_000)
    }

    /// A server that answers each request with these bytes, and then as often as it can with more.
    async fn server(answer: String, more: bool) -> (SocketAddr, Arc<AtomicUsize>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, SeqCst);
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                while more && stream.write_all(&[b' '; 4096]).await.is_ok() {}
            }
        });
        (address, count)
    }

    /// Whether a request waits for keys after they were asked for at `address`.
    async fn is_without_keys(address: SocketAddr) -> bool {
        let policy = json!({
            "providers": {"shop": {
                "issuer": "https://auth.example.com/shop",
                "remote_jwks": {"http_uri": {"uri": format!("http://{address}/keys")}},
            }},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "shop"}}],
        });
        let policy = Policy::parse(policy.to_string().as_bytes()).unwrap();
        let fetcher = Fetcher::new(&policy).unwrap();
        let mut gate = Gate::new(policy);
        fetcher.fetch_due(&mut gate, now).await;
        let token = "Bearer eyJhbGciOiJFZERTQSIsImtpZCI6ImEifQ.eyJpc3MiOiJodHRwczovL2F1dGguZXhhbXBs\
                     ZS5jb20vc2hvcCJ9.AAAA";
        let headers = vec![("authorization", token.as_bytes())];
        let decision = gate.decide_at_once(&Request::new("GET", b"/", headers), now());
        match decision {
            Decision::Deny(denied) => denied.denial.code() == "keys_unavailable",
            _ => false,
        }
    }

    fn answer(head: &str, body: &str) -> String {
        format!(
            "HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
    }

    const KEYS: &str = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "b",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    #[tokio::test]
    async fn keys_are_taken_from_where_the_policy_says_and_from_nowhere_else() {
        let (address, count) = server(answer("200 OK", KEYS), false).await;
        assert!(!is_without_keys(address).await);
        assert_eq!(count.load(SeqCst), 1);
        let elsewhere = format!("302 Found\r\nlocation: http://{address}/keys");
        let (redirects, _) = server(answer(&elsewhere, ""), false).await;
        assert!(is_without_keys(redirects).await);
        assert_eq!(count.load(SeqCst), 1, "the redirect was followed");
    }

    #[tokio::test]
    async fn an_answer_without_end_is_given_up() {
        let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_owned();
        let (address, _) = server(head, true).await;
        assert!(is_without_keys(address).await);
    }

    #[tokio::test]
    async fn an_issuer_that_does_not_answer_holds_nobody_up_for_long() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let start = Instant::now();
        assert!(is_without_keys(listener.local_addr().unwrap()).await);
        assert!(start.elapsed() < LIMIT + Duration::from_secs(1));
    }
}

//! Rotation under load: no request fails because of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use postern_tests::{Client, Issuer, Protocol, Request};

use crate::shop::{API, DOMAIN, Shop};

const ROTATIONS: usize = 4;
const LIMIT: Duration = Duration::from_secs(25);

/// What one client did: how many requests, and by which keys its tokens were signed.
struct Report {
    requests: u64,
    headers: BTreeSet<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotation_under_continuous_requests_loses_none() {
    let shop = Shop::open(&["--jwks-max-age", "1"]).await;
    let (envoy, _upstream) = shop.gate().await;
    let oldest = shop.login().await;
    let ended = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let token = shop.login().await;
        let client = Caller {
            gate: envoy.client(protocol),
            issuer: shop.issuer.client(),
            oldest: oldest.clone(),
            ended: Arc::clone(&ended),
        };
        clients.push(tokio::spawn(client.call_and_refresh(token)));
    }
    rotate(&shop.issuer).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    ended.store(true, Ordering::SeqCst);
    // The gate has not become one that lets everything pass.
    let mut forged = oldest;
    forged.replace_range(forged.len() - 8.., "AAAAAAAA");
    let answer = envoy.client(Protocol::Http1).send(Request::get(API).bearer(&forged)).await;
    assert_eq!(answer.unwrap().code(), "signature_invalid");
    for client in clients {
        let report = client.await.unwrap();
        assert!(report.requests > 100, "only {} requests", report.requests);
        let keys = report.headers.len();
        assert!(keys > ROTATIONS, "tokens of {keys} keys over {ROTATIONS} rotations");
    }
}

async fn rotate(issuer: &Issuer) {
    let start = Instant::now();
    let mut done = 0;
    while done < ROTATIONS {
        // Refused while caches may hold a set without the next key: then try again.
        match issuer.keys_rotate(DOMAIN) {
            Ok(_) => done += 1,
            Err(refusal) => assert!(start.elapsed() < LIMIT, "after {done} rotations: {refusal}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

struct Caller {
    gate: Client,
    issuer: Client,
    oldest: String,
    ended: Arc<AtomicBool>,
}

impl Caller {
    async fn call_and_refresh(self, mut token: String) -> Report {
        let mut report = Report { requests: 0, headers: BTreeSet::new() };
        while !self.ended.load(Ordering::SeqCst) {
            report.headers.insert(token.split('.').next().unwrap().to_owned());
            for candidate in [&token, &self.oldest] {
                let answer = self.gate.send(Request::get(API).bearer(candidate)).await.unwrap();
                assert_eq!(answer.status, 200, "{}", answer.body);
                report.requests += 1;
            }
            let answer = self.issuer.send(Request::get("/refresh").bearer(&token)).await.unwrap();
            assert_eq!(answer.status, 200, "{}", answer.body);
            token = answer.text("token");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        report
    }
}

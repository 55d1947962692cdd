//! One fetch per process: the worker threads share what one of them has fetched.

use std::time::Duration;

use postern_tests::{
    Envoy, EnvoyConfig, ForgedKeys, Key, KeyServer, Protocol, Request, Upstream, now, wait_until,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const ISSUER: &str = "https://issuer.example/shared";
const WORKERS: u8 = 8;
const LIMIT: Duration = Duration::from_secs(20);

fn policy(server: &KeyServer, claim: &str) -> Value {
    let uri = format!("http://127.0.0.1:{}/jwks.json", server.port());
    json!({
        "providers": { "shared": {
            "issuer": ISSUER,
            "remote_jwks": { "http_uri": { "uri": uri, "cluster": "issuer" } },
            "claim_to_headers": [{ "header_name": "x-user-id", "claim_name": claim }],
        } },
        "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "shared" } }],
    })
}

fn token(keys: &ForgedKeys, kid: &str) -> String {
    let header = json!({ "alg": "ES256", "kid": kid });
    let claims = json!({ "iss": ISSUER, "sub": "user-1", "exp": now() + 300 });
    keys.sign(Key::Es256, header.to_string(), claims.to_string())
}

/// Envoy gives connections to its threads in no order: of so many, each thread gets some.
async fn statuses(envoy: &Envoy, request: &Request, connections: usize) -> Vec<u16> {
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let (client, request) = (envoy.client(Protocol::Http1), request.clone());
        tasks.spawn(async move { client.send(request).await.unwrap().status });
    }
    let mut statuses = tasks.join_all().await;
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

/// Modules without a `vm_id` share their data with all others that have none: what any of them could
/// write is not to be trusted, so that each thread, two workers and the main one, fetches for itself.
#[tokio::test]
async fn without_a_vm_id_nothing_is_shared() {
    let keys = ForgedKeys::generate().unwrap();
    let server = KeyServer::start(&keys.jwks()).await.unwrap();
    server.answer();
    let upstream = Upstream::start(0).await.unwrap();
    let config = EnvoyConfig::for_test(server.port(), upstream.port()).unwrap();
    let config = config.policy(&policy(&server, "sub")).unwrap();
    let config = config.replace("vm_id: postern\n", "vm_id: ''\n").unwrap();
    let envoy = Envoy::start(&config).await.unwrap();
    wait_until("three fetches", LIMIT, async || server.requests() == 3).await.unwrap();
    let request = Request::get("/").bearer(&token(&keys, "es"));
    assert_eq!(statuses(&envoy, &request, 16).await, [200]);
    assert_eq!(server.requests(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_workers_make_one_request() {
    let keys = ForgedKeys::generate().unwrap();
    let server = KeyServer::start(&keys.jwks()).await.unwrap();
    let upstream = Upstream::start(0).await.unwrap();
    let config = EnvoyConfig::for_test(server.port(), upstream.port()).unwrap();
    let config = config.policy(&policy(&server, "sub")).unwrap();
    let envoy = Envoy::start_with_workers(&config, WORKERS).await.unwrap();
    wait_until("a fetch", LIMIT, async || server.requests() > 0).await.unwrap();
    // Requests wait in all threads, and what one of them fetches is all that they need.
    let request = Request::get("/").bearer(&token(&keys, "es"));
    let waiting = tokio::spawn({
        let (client, request) = (envoy.client(Protocol::Http1), request.clone());
        async move { client.send(request).await.unwrap().status }
    });
    server.answer();
    assert_eq!(waiting.await.unwrap(), 200);
    assert_eq!(statuses(&envoy, &request, 64).await, [200]);
    assert_eq!(server.requests(), 1, "threads fetched by themselves");

    // The cooldown after a fetch is over; of all threads that meet a new key id, one asks.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let unknown = Request::get("/").bearer(&token(&keys, "unknown"));
    assert_eq!(statuses(&envoy, &unknown, 64).await, [401]);
    assert_eq!(server.requests(), 2, "one more fetch for the unknown key");

    envoy.wait_for_counter("wasmcustom.postern.provider.shared.fetch.successes", 2).await.unwrap();
    assert_eq!(
        envoy.counter("wasmcustom.postern.provider.shared.keys.generation").await.unwrap(),
        1,
        "the keys have not changed"
    );
}

//! Requests that a grammar makes up, by the hundred thousand, through a real Envoy: none traps the
//! filter, none gets past it, and each is answered.
//!
//! `POSTERN_FUZZ_REQUESTS` and `POSTERN_FUZZ_SEED` make another run; a failure names its seed.

mod clients;
mod grammar;
mod oracle;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use postern_tests::{
    Envoy, EnvoyConfig, KeyServer, Protocol, Request, Upstream, base64url, wait_until,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::local_gate::ISSUER;
use clients::{Client, Tally};
use oracle::Oracle;
use tokens::Tokens;

const REQUESTS: usize = 100_000;
const SEED: u64 = 1;
/// Clients at once; each has its own numbers. One in six speaks HTTP/2.
const CLIENTS: usize = 6;

/// Behind pipelined requests that it refuses, Envoy closes without a word, after a second.
const CLOSES_SOON: &str = "delayed_close_timeout: 0.01s\n          codec_type: AUTO";

const REMOTE_ISSUER: &str = "https://issuer.example/remote";
const SECRET: &[u8] = b"a secret of more than thirty-two bytes";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_generated_request_traps_the_filter_or_gets_past_it() {
    let (requests, seed) = (setting("REQUESTS", REQUESTS), setting("SEED", SEED));
    println!("POSTERN_FUZZ_SEED={seed} POSTERN_FUZZ_REQUESTS={requests}");
    let tokens = Arc::new(Tokens::generate());
    let server = KeyServer::start(&tokens.remote_keys()).await.unwrap();
    server.answer();
    let upstream = Upstream::start(0).await.unwrap();
    let config = EnvoyConfig::for_test(server.port(), upstream.port());
    let config = config.and_then(|config| config.policy(&policy(&tokens, true)));
    let config = config.and_then(|config| config.replace("codec_type: AUTO", CLOSES_SOON));
    let config = config.unwrap();
    let envoy = Envoy::start(&config).await.unwrap();
    await_remote_keys(&envoy, &tokens).await;

    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let oracle = Oracle::new(Arc::clone(&tokens), &policy(&tokens, false));
        let protocol = if number == 0 { Protocol::Http2 } else { Protocol::Http1 };
        let client = Client::new(envoy.gate(), protocol, oracle, seed + number as u64);
        clients.spawn(client.send(requests / CLIENTS + 1));
    }
    let tally = clients.join_all().await.into_iter().fold(Tally::default(), Tally::plus);
    println!("{tally:?}");
    assert!(tally.answered >= requests);
    assert!(tally.allowed > requests / 5 && tally.compared > requests / 20, "{tally:?}");
    assert_unharmed(&envoy).await;
    await_remote_keys(&envoy, &tokens).await;
}

fn setting<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
    let given = std::env::var(format!("POSTERN_FUZZ_{name}")).ok();
    given.map_or(otherwise, |text| text.parse().ok().unwrap())
}

/// What one thread has fetched, the other may not have.
async fn await_remote_keys(envoy: &Envoy, tokens: &Tokens) {
    let request = Request::get("/remote/a").bearer(&tokens.remote[0].text);
    let client = envoy.client(Protocol::Http1);
    for _ in 0..20 {
        wait_until("remote keys", Duration::from_secs(20), || async {
            client.send(request.clone()).await.is_ok_and(|answer| answer.status == 200)
        })
        .await
        .unwrap();
    }
}

/// Every trap is in the log, and each start of a fresh VM in a counter.
async fn assert_unharmed(envoy: &Envoy) {
    let log = envoy.log();
    let trap =
        ["failed: Uncaught", "panicked", "VM failed"].iter().find(|sign| log.contains(**sign));
    assert_eq!(trap, None, "{log}");
    let stats = envoy.admin().send(Request::get("/stats?filter=vm_reload")).await.unwrap().body;
    assert!(stats.contains("wasm.postern.vm_reload_success: 0"), "{stats}");
    assert!(stats.lines().all(|line| line.ends_with(": 0")), "{stats}");
}

/// The policy in Envoy, or its like for a gate in this process, that has all keys.
fn policy(tokens: &Tokens, fetched: bool) -> Value {
    let mut local = tokens.local_keys();
    let secret = json!({"kty": "oct", "kid": "hs", "alg": "HS256", "k": base64url(SECRET)});
    local["keys"].as_array_mut().unwrap().push(secret);
    let remote = if fetched {
        let uri = json!({"uri": "http://issuer.example/jwks", "cluster": "issuer"});
        ("remote_jwks", json!({ "http_uri": uri }))
    } else {
        ("local_jwks", json!({ "inline_string": tokens.remote_keys().to_string() }))
    };
    let provider = |issuer: &str, places: Value, (member, keys): (&str, Value)| {
        let mut provider = json!({
            "issuer": issuer,
            "audiences": ["api"],
            "algorithms": ["HS256", "ES256", "RS256", "EdDSA"],
            "claim_to_headers": [{ "header_name": "x-user-id", "claim_name": "sub" }],
        });
        provider[member] = keys;
        provider.as_object_mut().unwrap().extend(places.as_object().unwrap().clone());
        provider
    };
    let local = ("local_jwks", json!({ "inline_string": local.to_string() }));
    let places = json!({
        "from_headers": [{ "name": "x-token", "value_prefix": "Token " }],
        "from_cookies": ["session"],
        "from_params": ["token"],
    });
    let requires = |name: &str| json!({ "provider_name": name });
    json!({
        "providers": {
            "local": provider(ISSUER, json!({}), local.clone()),
            "places": provider(ISSUER, places, local),
            "remote": provider(REMOTE_ISSUER, json!({}), remote),
        },
        "rules": [
            { "match": { "path": "/open" } },
            { "match": { "prefix": "/open/" } },
            { "match": { "prefix": "/api/" }, "requires": requires("local") },
            { "match": { "prefix": "/scoped/" }, "requires": requires("local"),
              "scopes": ["orders"] },
            { "match": { "prefix": "/places/" }, "requires": requires("places") },
            { "match": { "prefix": "/remote/" }, "requires": requires("remote") },
        ],
    })
}

//! A new policy while requests go on: the listener's file is swapped, and Envoy takes it up.

mod load;

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use postern_tests::{
    Envoy, EnvoyConfig, ForgedKeys, Key, KeyServer, Protocol, Request, Seen, Upstream, wait_until,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::local_gate::{HEADER, ISSUER, claims};
use load::{Load, Tokens};

/// How long a connection of an old policy is told beforehand that it will be closed. Envoy's default
/// is 5 seconds, and 10 minutes (`--drain-time-s`) until those are cut off that send nothing.
const DRAIN_TIMEOUT: &str = "drain_timeout: 0.3s\n          codec_type: AUTO";
const LIMIT: Duration = Duration::from_secs(20);
const CLIENTS: usize = 3;
const SWAPS: u64 = 6;
/// Rounds of the load between one swap and the next.
const ROUNDS: u64 = 60;

/// An Envoy whose listener stands in a file that is swapped.
struct ChangingGate {
    envoy: Envoy,
    _upstream: Upstream,
    server: KeyServer,
    keys: ForgedKeys,
    config: EnvoyConfig,
    folder: TempDir,
}

impl ChangingGate {
    async fn open() -> Self {
        let keys = ForgedKeys::generate().unwrap();
        let server = KeyServer::start(&keys.jwks()).await.unwrap();
        server.answer();
        let upstream = Upstream::start(0).await.unwrap();
        let config = EnvoyConfig::for_test(server.port(), upstream.port());
        let config = config.and_then(|config| config.replace("codec_type: AUTO", DRAIN_TIMEOUT));
        let config = config.unwrap();
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("listener.yaml");
        let first = config.clone().policy(&policy(0, &keys)).unwrap();
        let (bootstrap, listener) = first.with_listener_in(&file).unwrap();
        std::fs::write(file, listener).unwrap();
        let envoy = Envoy::start(&bootstrap).await.unwrap();
        Self { envoy, _upstream: upstream, server, keys, config, folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("listener.yaml")
    }

    /// Puts a policy in the place of the one in force.
    fn swap(&self, policy: &Value) {
        let config = self.config.clone().policy(policy).unwrap();
        let (_, listener) = config.with_listener_in(&self.file()).unwrap();
        let fresh = self.folder.path().join("fresh.yaml");
        std::fs::write(&fresh, listener).unwrap();
        std::fs::rename(fresh, self.file()).unwrap();
    }

    async fn wait_for(&self, number: u64) {
        let client = self.envoy.client(Protocol::Http1);
        let request = Request::get(&format!("/new/{number}")).bearer(&self.token(json!({})));
        let what = format!("policy {number}");
        wait_until(&what, LIMIT, || async {
            client.send(request.clone()).await.unwrap().status == 200
        })
        .await
        .unwrap();
    }

    fn token(&self, changes: Value) -> String {
        let mut claims = claims();
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        self.keys.sign(Key::Es256, HEADER, claims.to_string())
    }

    fn tokens(&self) -> Tokens {
        let valid = self.token(json!({}));
        let mut forged = valid.clone();
        forged.replace_range(forged.len() - 8.., "AAAAAAAA");
        let expired = self.token(json!({ "exp": 1_000_000_000 }));
        let stranger = self.token(json!({ "iss": "https://issuer.example/stranger" }));
        Tokens { valid, invalid: vec![forged, expired, stranger] }
    }
}

/// Policies that differ in their claim headers, in their rules, and in where keys come from.
fn policy(number: u64, keys: &ForgedKeys) -> Value {
    let source = if number % 3 == 2 {
        let uri =
            json!({"uri": "http://issuer.example/jwks", "cluster": "issuer", "timeout": "5s"});
        ("remote_jwks", json!({ "http_uri": uri }))
    } else {
        ("local_jwks", json!({ "inline_string": keys.jwks().to_string() }))
    };
    let mut provider = json!({
        "issuer": ISSUER,
        "audiences": ["api"],
        "claim_to_headers": [{ "header_name": format!("x-policy-{number}"), "claim_name": "sub" }],
    });
    provider[source.0] = source.1;
    let name = format!("provider-{number}");
    let requires = json!({ "provider_name": name });
    json!({
        "providers": { name: provider },
        "rules": [
            { "match": { "prefix": "/api/" }, "requires": requires },
            { "match": { "path": format!("/new/{number}") }, "requires": requires },
        ],
    })
}

/// Which policy let a request through.
fn policy_number(seen: &Seen) -> u64 {
    let numbers = seen.headers.iter().filter_map(|(name, _)| name.strip_prefix("x-policy-"));
    let numbers: Vec<u64> = numbers.map(|number| number.parse().unwrap()).collect();
    assert_eq!(numbers.len(), 1, "{:?}", seen.headers);
    numbers[0]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_policy_comes_into_force_and_no_request_fails_or_gets_past() {
    let gate = ChangingGate::open().await;
    let load = Load::start(gate.envoy.gate(), &gate.tokens(), CLIENTS);
    for number in 1..=SWAPS {
        let before = load.rounds();
        wait_until("some load", LIMIT, async || load.rounds() >= before + ROUNDS).await.unwrap();
        gate.swap(&policy(number, &gate.keys));
        gate.wait_for(number).await;
    }
    // Old connections stay with the policy that they were accepted under, until they are told to close.
    wait_until("the last policy for everyone", LIMIT, async || {
        load.last.iter().all(|last| last.load(Ordering::SeqCst) == SWAPS)
    })
    .await
    .unwrap();
    let old = Request::get(&format!("/new/{}", SWAPS - 1)).bearer(&gate.token(json!({})));
    let answer = gate.envoy.client(Protocol::Http2).send(old).await.unwrap();
    assert_eq!(answer.code(), "no_matching_rule");
    for report in load.end().await {
        assert!(
            report.connections > 1 && report.allowed > ROUNDS && report.denied > ROUNDS,
            "{report:?}"
        );
    }
    drop(gate.server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_policy_is_rejected_and_the_old_one_stays_in_force() {
    let gate = ChangingGate::open().await;
    let load = Load::start(gate.envoy.gate(), &gate.tokens(), CLIENTS);
    let mut bad = policy(1, &gate.keys);
    bad["rules"][0]["match"] = json!({ "prefx": "/api/" });
    gate.swap(&bad);
    wait_until("a rejection", LIMIT, || async {
        gate.envoy.counter("listener_manager.lds.update_rejected").await.unwrap() == 1
    })
    .await
    .unwrap();
    assert!(gate.envoy.log().contains("bad policy: rules[0].match.prefx"), "{}", gate.envoy.log());
    let before = load.rounds();
    wait_until("some load", LIMIT, async || load.rounds() >= before + ROUNDS).await.unwrap();
    assert!(load.last.iter().all(|last| last.load(Ordering::SeqCst) == 0));
    gate.wait_for(0).await;

    gate.swap(&policy(1, &gate.keys));
    gate.wait_for(1).await;
    for report in load.end().await {
        assert!(report.allowed > 0 && report.denied > 0, "{report:?}");
    }
}

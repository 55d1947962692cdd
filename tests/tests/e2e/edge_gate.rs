//! A gate that is an enrolled edge, before an issuer that is the test.

use std::time::Duration;

use postern_tests::{
    Connection, EdgeIssuer, Envoy, EnvoyConfig, ForgedEdge, Key, Protocol, Published, Request,
    Upstream, now, secret_keys, wait_until,
};
use serde_json::{Value, json};

const RUNTIME: &str = "runtime: envoy.wasm.runtime.v8\n";
const VARIABLE: &str = "environment_variables: { host_env_keys: [POSTERN_EDGE] }\n";
pub(crate) const LIMIT: Duration = Duration::from_secs(20);
/// So many that the kernel gives some to each of the two worker threads.
const CONNECTIONS: usize = 24;

/// A secret of the domain, under its `kid`.
pub(crate) type Secret<'a> = (&'a str, &'a [u8]);
pub(crate) const CURRENT: Secret<'_> = ("current", &[7; 32]);
pub(crate) const NEXT: Secret<'_> = ("next", &[8; 32]);

/// An issuer, and an edge that it has enrolled; the Envoy is to be started.
pub(crate) struct EdgeWorld {
    pub(crate) issuer: EdgeIssuer,
    pub(crate) edge: ForgedEdge,
    pub(crate) upstream: Upstream,
}

impl EdgeWorld {
    pub(crate) async fn open() -> Self {
        let issuer = EdgeIssuer::start().await.unwrap();
        let edge = ForgedEdge::generate().unwrap();
        Self { issuer, edge, upstream: Upstream::start(0).await.unwrap() }
    }

    pub(crate) fn credential(&self) -> String {
        self.edge.credential(&self.issuer.url()).to_string()
    }

    /// A policy with one provider of HS256, which is changed.
    pub(crate) fn policy(&self, change: impl FnOnce(&mut Value)) -> Value {
        let mut provider = json!({
            "issuer": self.issuer.url(),
            "algorithms": ["HS256"],
            "edge_keys": { "http_uri": { "cluster": "issuer", "timeout": "2s" } },
            "claim_to_headers": [{ "header_name": "x-user-id", "claim_name": "sub" }],
        });
        change(&mut provider);
        json!({
            "providers": { "shop": provider },
            "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "shop" } }],
        })
    }

    /// A configuration that hands the variable of the edge over.
    pub(crate) fn config(&self, policy: &Value) -> EnvoyConfig {
        let config = EnvoyConfig::for_test(self.issuer.port(), self.upstream.port());
        with_variable(config.and_then(|config| config.policy(policy)).unwrap())
    }

    pub(crate) async fn start(&self, policy: &Value) -> Envoy {
        Envoy::start_as_edge(&self.config(policy), &self.credential()).await.unwrap()
    }

    /// Publishes a good bundle of these secrets.
    pub(crate) fn publish(&self, sequence: u64, max_age: u64, secrets: &[Secret<'_>]) {
        let bundle = self.edge.bundle(&self.issuer.url(), sequence, &secret_keys(secrets));
        let etag = format!("{sequence}.good");
        self.issuer.publish(Published::new(&etag, max_age, &bundle));
    }

    /// Publishes a list that says this, signed with a secret of the domain.
    pub(crate) fn publish_list(&self, etag: &str, secret: Secret<'_>, claims: &Value) {
        let header = json!({ "alg": "HS256", "kid": secret.0, "typ": "statuslist+jwt" });
        let (header, claims) = (header.to_string(), claims.to_string());
        let list = self.edge.issuer_keys.sign(Key::Hs256(secret.1), header, claims);
        self.issuer.publish_list(Some(Published::new(etag, 5, &list)));
    }

    pub(crate) fn token(&self, secret: Secret<'_>) -> String {
        self.token_with(secret, &json!({}))
    }

    /// A token with more claims.
    pub(crate) fn token_with(&self, secret: Secret<'_>, claims: &Value) -> String {
        let header = json!({ "alg": "HS256", "kid": secret.0 });
        let mut all = json!({
            "iss": self.issuer.url(), "sub": "user-1", "iat": now(), "exp": now() + 300,
        });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        self.edge.issuer_keys.sign(Key::Hs256(secret.1), header.to_string(), all.to_string())
    }
}

/// The same, where the variable of the edge is handed to the filter.
pub(crate) fn with_variable(config: EnvoyConfig) -> EnvoyConfig {
    config.replace(RUNTIME, &format!("{RUNTIME}{:18}{VARIABLE}", "")).unwrap()
}

/// Connections to all worker threads.
pub(crate) async fn connections(envoy: &Envoy) -> Vec<Connection> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(Protocol::Http2, envoy.gate()).await.unwrap());
    }
    connections
}

/// What all connections are told of a token, each different answer once: `200`, or the code.
pub(crate) async fn verdicts(connections: &mut [Connection], token: &str) -> Vec<String> {
    let mut verdicts = Vec::new();
    for connection in connections {
        let answer = connection.send(Request::get("/").bearer(token)).await.unwrap();
        let verdict = if answer.status == 200 { "200".to_owned() } else { answer.code() };
        if !verdicts.contains(&verdict) {
            verdicts.push(verdict);
        }
    }
    verdicts
}

/// Waits until every thread says so.
pub(crate) async fn everywhere(connections: &mut [Connection], token: &str, verdict: &str) {
    let deadline = tokio::time::Instant::now() + LIMIT;
    loop {
        let now = verdicts(connections, token).await;
        if now == [verdict] {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{verdict} is not everywhere: {now:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits for this many polls for keys.
pub(crate) async fn polls(issuer: &EdgeIssuer, number: usize) {
    let what = format!("{number} polls");
    wait_until(&what, LIMIT, async || issuer.polls().len() >= number).await.unwrap();
}

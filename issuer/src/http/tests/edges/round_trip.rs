//! The issuer and the verify core together: what one hands out, the other takes.

use std::time::Duration;

use postern_verify::{
    Counters, Decision, EdgeCredential, Fetch, Fetched, Gate, KeyUpdate, Policy, Request as Asked,
};

use super::*;

struct Edge {
    gate: Gate,
}

impl Edge {
    fn new(credential: &Value) -> Self {
        let policy = json!({
            "providers": { "shop": {
                "issuer": ISSUER,
                "audiences": ["api"],
                "algorithms": ["HS256", "ES256"],
                "edge_keys": {},
            }},
            "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "shop" } }],
        });
        let policy = Policy::parse(policy.to_string().as_bytes()).unwrap();
        let credential = EdgeCredential::parse(credential.to_string().as_bytes()).unwrap();
        Self { gate: Gate::new(policy).with_edges(vec![credential]).unwrap() }
    }

    /// Asks the issuer for what is due, at once: answers with the status and what came of it.
    async fn poll(&mut self, fixture: &Fixture) -> Option<(u16, KeyUpdate)> {
        let now = Duration::from_secs(fixture.now());
        let fetch = self.gate.keys_mut().poll_fetch(now)?;
        let got = ask(fixture, &fetch).await;
        let fetched = Fetched::Response {
            status: got.status,
            etag: Some(got.header("etag").as_bytes()),
            cache_control: Some(got.header("cache-control").as_bytes()),
            age: None,
            body: got.body.as_bytes(),
        };
        let update = self.gate.keys_mut().handle_fetched(&fetch, fetched, now).unwrap();
        Some((got.status, update))
    }

    fn lets_in(&mut self, fixture: &Fixture, token: &str) -> bool {
        let bearer = format!("Bearer {token}");
        let headers = vec![("authorization", bearer.as_bytes())];
        let now = Duration::from_secs(fixture.now());
        let asked = Asked::new("GET", b"/", headers);
        matches!(self.gate.decide_at_once(&asked, now), Decision::Allow(_))
    }

    fn counters(&self) -> Counters {
        self.gate.counters()
    }
}

async fn ask(fixture: &Fixture, fetch: &Fetch) -> Got {
    assert_eq!(
        format!("{}{}", fetch.source.authority, fetch.source.path),
        "auth.example.com/shop/edge/keys"
    );
    let bearer = fetch.authorization.as_ref().unwrap().strip_prefix("Bearer ").unwrap();
    let etag = fetch.if_none_match.as_ref().map(|etag| String::from_utf8(etag.clone()).unwrap());
    get(fixture, PATH, bearer, etag.as_deref()).await
}

#[tokio::test]
async fn an_edge_takes_what_the_issuer_hands_out_through_rotations() {
    for algorithm in [SigningAlgorithm::Hs256, SigningAlgorithm::Es256] {
        let fixture = Fixture::with(algorithm, AUTHORIZATION).await;
        let envoy = Process::enrolled(&fixture, "envoy", &["shop"]).await;
        let mut edge = Edge::new(&envoy.credential);
        let old = fixture.login("shop").await;
        assert!(!edge.lets_in(&fixture, &old), "it has no keys yet");
        assert!(matches!(
            edge.poll(&fixture).await,
            Some((200, KeyUpdate::Replaced { keys: 2, .. }))
        ));
        assert!(edge.lets_in(&fixture, &old));
        let status = async || fixture.ports.keys_status(&shop()).await.unwrap();
        assert!(!status().await.is_proven);
        fixture.clock.advance(130);
        assert!(matches!(edge.poll(&fixture).await, Some((304, KeyUpdate::Unchanged))));
        assert!(status().await.is_proven, "its second poll says what it holds");

        fixture.ports.rotate_keys(&shop(), Rotation::Regular).await.unwrap();
        let new = fixture.login("shop").await;
        assert!(edge.lets_in(&fixture, &new), "it had the next key");
        fixture.clock.advance(130);
        assert!(matches!(
            edge.poll(&fixture).await,
            Some((200, KeyUpdate::Replaced { keys: 3, .. }))
        ));
        assert!(edge.lets_in(&fixture, &new));

        fixture.ports.rotate_keys(&shop(), Rotation::Compromised).await.unwrap();
        fixture.clock.advance(130);
        edge.poll(&fixture).await.unwrap();
        let fresh = fixture.login("shop").await;
        assert!(edge.lets_in(&fixture, &fresh) && !edge.lets_in(&fixture, &new));
        assert_eq!(edge.counters().bundles_refused, 0);
    }
}

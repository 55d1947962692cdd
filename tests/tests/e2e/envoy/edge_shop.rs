//! An enrolled edge before the real issuer: a domain of secrets, revocation, rotation, removal.

use std::time::{Duration, Instant};

use postern_tests::{
    Envoy, EnvoyConfig, Protocol, Request, Upstream, claims_of, header_of, wait_until,
};
use serde_json::{Value, json};

use crate::edge_gate::{LIMIT, connections, everywhere, verdicts, with_variable};
use crate::shop::{DOMAIN, Shop, USERNAME};

const OPTIONS: [&str; 4] = ["--alg", "HS256", "--jwks-max-age", "1"];

struct EnrolledShop {
    shop: Shop,
    envoy: Envoy,
    _upstream: Upstream,
}

impl EnrolledShop {
    async fn open() -> Self {
        let shop = Shop::open(&OPTIONS).await;
        let url = shop.issuer.url();
        let enrol = ["edge", "enrol", "envoy", "--domain", DOMAIN, "--issuer-url", &url];
        let credential = shop.issuer.postern(&enrol, "").unwrap();
        let upstream = Upstream::start(0).await.unwrap();
        let config = EnvoyConfig::for_test(shop.issuer.port(), upstream.port());
        let config = config.and_then(|config| config.policy(&policy(&url))).unwrap();
        let envoy = Envoy::start_as_edge(&with_variable(config), credential.trim()).await.unwrap();
        Self { shop, envoy, _upstream: upstream }
    }

    fn postern(&self, arguments: &[&str]) -> String {
        self.shop.issuer.postern(arguments, "").unwrap()
    }

    /// How the issuer says that the edge stands.
    fn standing(&self) -> Value {
        let edges: Value =
            serde_json::from_str(&self.postern(&["edge", "list", "--json"])).unwrap();
        edges[0]["domains"][0].clone()
    }
}

fn policy(url: &str) -> Value {
    json!({
        "providers": { "shop": {
            "issuer": format!("{url}/{DOMAIN}"),
            "audiences": [DOMAIN],
            "algorithms": ["HS256"],
            "edge_keys": { "http_uri": { "cluster": "issuer" } },
            "status_list": { "cluster": "issuer", "max_age": "1s" },
        } },
        "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "shop" } }],
    })
}

#[tokio::test]
async fn a_logout_and_the_end_of_all_sessions_are_in_force_everywhere_within_seconds() {
    let world = EnrolledShop::open().await;
    let mut all = connections(&world.envoy).await;
    let (mine, other) = (world.shop.login().await, world.shop.login().await);
    assert_eq!(header_of(&mine)["alg"], "HS256");
    assert!(claims_of(&mine)["status"]["status_list"]["idx"].is_u64(), "{}", claims_of(&mine));
    assert_eq!(verdicts(&mut all, &mine).await, ["200"]);
    assert_eq!(verdicts(&mut all, &other).await, ["200"]);

    let logout = Request::post("/logout", &Value::Null).bearer(&mine);
    let answer = world.shop.issuer.client().send(logout).await.unwrap();
    assert!(answer.status < 300, "{}", answer.body);
    let since = Instant::now();
    everywhere(&mut all, &mine, "token_revoked").await;
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
    assert_eq!(verdicts(&mut all, &other).await, ["200"]);

    // Tokens of the same second are not told apart.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    world.postern(&["user", "end-sessions", DOMAIN, USERNAME]);
    let since = Instant::now();
    let ended = async |all: &mut Vec<_>| {
        let verdicts = verdicts(all, &other).await;
        !verdicts.contains(&"200".to_owned())
    };
    while !ended(&mut all).await {
        assert!(since.elapsed() < Duration::from_secs(10), "the sessions go on");
    }
    tokio::time::sleep(Duration::from_millis(1100)).await;
    everywhere(&mut all, &world.shop.login().await, "200").await;
}

#[tokio::test]
async fn a_rotation_fails_no_request_and_the_issuer_sees_one_process_that_holds_all() {
    let world = EnrolledShop::open().await;
    let mut all = connections(&world.envoy).await;
    let old = world.shop.login().await;
    everywhere(&mut all, &old, "200").await;
    wait_until("the edge is ready for the next key", LIMIT, async || {
        world.standing()["state"] == "holds next"
    })
    .await
    .unwrap();
    let before = world.standing();
    assert_eq!(before["instances"], 1, "two worker threads are one edge: {before}");

    world.postern(&["keys", "rotate", DOMAIN]);
    // Nobody waits for the edge here: what is signed at once by the new key passes at once.
    let fresh = world.shop.login().await;
    assert_ne!(header_of(&fresh)["kid"], header_of(&old)["kid"], "nothing was rotated");
    assert_eq!(verdicts(&mut all, &fresh).await, ["200"]);
    assert_eq!(verdicts(&mut all, &old).await, ["200"]);
    wait_until("the edge holds the next generation", LIMIT, async || {
        world.standing()["generation"].as_u64() > before["generation"].as_u64()
    })
    .await
    .unwrap();
    assert_eq!(world.standing()["instances"], 1);

    world.postern(&["edge", "remove", "envoy"]);
    everywhere(&mut all, &fresh, "keys_unavailable").await;
    let answer = world.envoy.client(Protocol::Http1).send(Request::get("/").bearer(&fresh)).await;
    assert_eq!(answer.unwrap().status, 503);
}

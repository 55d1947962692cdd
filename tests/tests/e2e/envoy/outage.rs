//! The gate while the issuer is away.

use std::time::Duration;

use postern_tests::{
    Envoy, EnvoyConfig, ForgedKeys, Key, Protocol, Request, Upstream, base64url, now,
};
use serde_json::json;

use crate::shop::{API, DOMAIN, Shop};

#[tokio::test]
async fn no_keys_at_start_is_503_and_heals() {
    let mut shop = Shop::closed(&[]);
    let (envoy, upstream) = shop.gate().await;
    // What it would say with keys cannot be known: nobody is called unauthorized.
    let claims = json!({
        "iss": format!("{}/{DOMAIN}", shop.issuer.url()),
        "aud": DOMAIN,
        "exp": now() + 300,
    });
    let header = r#"{"alg":"ES256","kid":"any"}"#;
    let keys = ForgedKeys::generate().unwrap();
    let forged = keys.sign(Key::Es256, header, claims.to_string());
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let client = envoy.client(protocol);
        let answer = client.send(Request::get(API).bearer(&forged)).await.unwrap();
        assert_eq!((answer.status, answer.code().as_str()), (503, "keys_unavailable"));
        let seconds: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
        assert_eq!(answer.header("www-authenticate"), "");
        // What needs no keys is decided without them.
        assert_eq!(client.send(Request::get(API)).await.unwrap().code(), "token_missing");
        let stranger = format!("{}.{}.{}", base64url(header), base64url("{}"), base64url("x"));
        let answer = client.send(Request::get(API).bearer(&stranger)).await.unwrap();
        assert_eq!(answer.code(), "issuer_unknown");
        assert_eq!(client.send(Request::get("/healthz")).await.unwrap().status, 200);
    }
    assert_eq!(upstream.requests(), 2, "only the open path");

    shop.issuer.start().await.unwrap();
    let request = Request::get(API).bearer(&shop.login().await);
    envoy.wait_for_status(&request, 200, Duration::from_secs(25)).await.unwrap();
    // Now that there are keys, the forgery is one; each thread waits for its own.
    let forgery = Request::get(API).bearer(&forged);
    envoy.wait_for_status(&forgery, 401, Duration::from_secs(25)).await.unwrap();
}

#[tokio::test]
async fn keys_that_were_fetched_outlive_the_issuer() {
    let mut shop = Shop::open(&["--jwks-max-age", "1"]).await;
    let token = shop.login().await;
    let (envoy, _upstream) = shop.gate().await;
    let mut forged = token.clone();
    forged.replace_range(forged.len() - 8.., "AAAAAAAA");
    let request = Request::get(API).bearer(&token);
    // From here on, each of Envoy's threads has them: one has fetched them for all.
    envoy.wait_for_status(&request, 200, Duration::from_secs(10)).await.unwrap();
    shop.issuer.stop();
    // Longer than the key set's `max-age`: the gate has asked for a fresh one, in vain.
    let end = std::time::Instant::now() + Duration::from_secs(5);
    while std::time::Instant::now() < end {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let answer = envoy.client(protocol).send(request.clone()).await.unwrap();
            assert_eq!(answer.status, 200, "{}", answer.body);
            let answer = envoy.client(protocol).send(Request::get(API).bearer(&forged)).await;
            assert_eq!(answer.unwrap().code(), "signature_invalid");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The host refuses to send the fetch at all. That must not keep the worker from anything else.
#[tokio::test]
async fn a_cluster_without_hosts_or_without_existence_is_503_and_nothing_worse() {
    let keys = ForgedKeys::generate().unwrap();
    let upstream = Upstream::start(0).await.unwrap();
    let published = EnvoyConfig::for_test(1, upstream.port()).unwrap();
    let endpoints = "      cluster_name: issuer\n      endpoints:\n      - lb_endpoints:\n        \
                     - endpoint:\n            address:\n              socket_address: { address: \
                     127.0.0.1, port_value: 1 }\n";
    let no_hosts = published.clone().replace(endpoints, "      cluster_name: issuer\n").unwrap();
    let no_cluster =
        published.replace(r#""cluster": "issuer""#, r#""cluster": "nowhere""#).unwrap();
    for config in [no_hosts, no_cluster] {
        let issuer = &config.read_policy().unwrap()["providers"][DOMAIN]["issuer"];
        let claims = json!({ "iss": issuer, "aud": DOMAIN, "exp": now() + 300 });
        let token = keys.sign(Key::Es256, r#"{"alg":"ES256","kid":"x"}"#, claims.to_string());
        let envoy = Envoy::start(&config).await.unwrap();
        for _ in 0..10 {
            let client = envoy.client(Protocol::Http1);
            let answer = client.send(Request::get(API).bearer(&token)).await.unwrap();
            assert_eq!((answer.status, answer.code().as_str()), (503, "keys_unavailable"));
            assert_eq!(client.send(Request::get("/healthz")).await.unwrap().status, 200);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let attempts = envoy.log().matches("were not fetched").count();
        assert!((1..=20).contains(&attempts), "{attempts} fetches in a second or two");
    }
}

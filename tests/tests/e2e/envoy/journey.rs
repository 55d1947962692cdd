//! A user's way, as the tour shows it: from no token to a session that has ended.

use std::{net::TcpListener, process::Command};

use hyper::Method;
use postern_tests::{Protocol, Request, Seen, base64url, claims_of};
use serde_json::json;

use crate::shop::{API, DOMAIN, PASSWORD, Shop, USERNAME};

#[tokio::test]
async fn over_http1() {
    journey(Protocol::Http1).await;
}

#[tokio::test]
async fn over_http2() {
    journey(Protocol::Http2).await;
}

async fn journey(protocol: Protocol) {
    let shop = Shop::open(&[]).await;
    let (envoy, upstream) = shop.gate().await;
    let gate = envoy.client(protocol);
    let deny = async |request: Request, status: u16, code: &str| {
        let before = upstream.requests();
        let answer = gate.send(request).await.unwrap();
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
        assert_eq!(upstream.requests(), before, "a denied request reached the upstream");
        answer
    };
    let pass = async |token: &str| {
        let answer = gate.send(Request::get(API).bearer(token)).await.unwrap();
        let seen = Seen::read(&answer).unwrap();
        let subject = claims_of(token)["sub"].as_str().unwrap().to_owned();
        assert_eq!(seen.all("x-user-id"), [subject]);
        assert_eq!(seen.all("x-user-name"), [USERNAME]);
        assert!(seen.all("authorization").is_empty(), "the token went upstream");
    };

    // Nothing is open but what the policy opens.
    let answer = deny(Request::get(API), 401, "token_missing").await;
    assert!(answer.header("www-authenticate").starts_with("Bearer"));
    deny(Request::get("/"), 403, "no_matching_rule").await;
    assert_eq!(gate.send(Request::get("/healthz")).await.unwrap().status, 200);

    let token = shop.login().await;
    pass(&token).await;

    // The same token with another user in it.
    let mut claims = claims_of(&token);
    claims["sub"] = json!("admin");
    let parts: Vec<&str> = token.split('.').collect();
    let forged = format!("{}.{}.{}", parts[0], base64url(claims.to_string()), parts[2]);
    let answer = deny(Request::get(API).bearer(&forged), 401, "signature_invalid").await;
    assert!(answer.header("www-authenticate").contains("error=\"invalid_token\""));

    // Another domain of the same issuer.
    shop.issuer.domain_create("blog", &[]).unwrap();
    shop.issuer.user_create("blog", USERNAME, PASSWORD).unwrap();
    let other = shop.issuer.token("blog", USERNAME, PASSWORD).await.unwrap();
    deny(Request::get(API).bearer(&other), 401, "issuer_unknown").await;

    let answer = shop.issuer.refresh(&token).await.unwrap();
    let fresh = answer.text("token");
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_ne!(fresh, token);
    pass(&fresh).await;

    // The first `next` key was published with the first `current` one, so it may sign at once.
    shop.issuer.keys_rotate(DOMAIN).unwrap();
    let rotated = shop.login().await;
    assert_ne!(header_of(&rotated), header_of(&fresh), "the same key still signs");
    pass(&rotated).await;
    pass(&fresh).await;

    let logout = Request::get("/logout").method(Method::POST).bearer(&fresh);
    assert_eq!(shop.issuer.client().send(logout).await.unwrap().status, 204);
    assert_eq!(shop.issuer.refresh(&fresh).await.unwrap().status, 401);
    assert_eq!(shop.issuer.refresh(&rotated).await.unwrap().status, 200, "another session");
}

fn header_of(token: &str) -> &str {
    token.split('.').next().unwrap()
}

/// The tour itself, with every step's expectation: the same token and the same forgery before Envoy,
/// workerd and Node.
#[test]
fn the_tour_through_envoy_workerd_and_node_has_no_surprises() {
    let ports: Vec<TcpListener> =
        (0..5).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let names = ["gate", "issuer", "upstream", "admin", "worker"];
    let mut tour = Command::new(env!("CARGO_BIN_EXE_tour"));
    for (name, port) in names.iter().zip(&ports) {
        let port = port.local_addr().unwrap().port();
        tour.arg(format!("--port-{name}={port}"));
    }
    drop(ports);
    let output = tour.arg("--once").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let failure = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{failure}");
    assert!(said.contains("what Node says: signature_invalid"), "{said}");
}

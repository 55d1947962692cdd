//! Rules that answer otherwise than by the book, rules on trial, and the proxy's own cryptography.

use hyper::Method;
use postern_tests::{Protocol, Request, Seen};
use serde_json::json;

use crate::local_gate::LocalGate;

async fn gate() -> LocalGate {
    LocalGate::open_with(|config| {
        let mut policy = config.read_policy()?;
        let bearer = json!({"provider_name": "bearer"});
        let location = "https://login.example.com/?back={original_url}";
        let rules = policy["rules"].as_array_mut().unwrap();
        rules.extend([
            json!({"match": {"prefix": "/browser/"}, "requires": bearer,
                   "deny_response": {"status": 404, "redirect": {"location": location}}}),
            json!({"match": {"prefix": "/trial/"}, "requires": bearer, "name": "trial",
                   "report_only": true}),
            json!({"match": {"prefix": "/scoped/"}, "requires": bearer, "scopes": ["orders"]}),
        ]);
        config.policy(&policy)
    })
    .await
}

#[tokio::test]
async fn a_rule_answers_as_it_says() {
    let gate = gate().await;
    let client = gate.envoy.client(Protocol::Http2);
    let page = Request::get("/browser/a?x=1").header("accept", "text/html");
    let answer = client.send(page).await.unwrap();
    assert_eq!(answer.status, 302);
    let location = answer.header("location");
    assert!(location.starts_with("https://login.example.com/?back=http%3A%2F%2F"), "{location}");
    assert!(location.ends_with("%2Fbrowser%2Fa%3Fx%3D1"), "{location}");
    let answer = client.send(Request::get("/browser/a")).await.unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (404, "token_missing"));

    let call =
        Request::get("/api/a").method(Method::POST).header("content-type", "application/grpc");
    let answer = client.send(call).await.unwrap();
    assert_eq!((answer.status, answer.header("grpc-status")), (200, "16"));
    assert!(answer.header("grpc-message").starts_with("token_missing"));

    let answer = client.send(Request::get("/scoped/a").bearer(&gate.token())).await.unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (403, "insufficient_scope"));
    assert!(answer.header("www-authenticate").ends_with("scope=\"orders\""));
}

#[tokio::test]
async fn a_rule_on_trial_lets_through_and_tells() {
    let gate = gate().await;
    let client = gate.envoy.client(Protocol::Http1);
    let answer = client.send(Request::get("/trial/a").bearer("a.b.c")).await.unwrap();
    assert_eq!(answer.status, 200);
    let seen = Seen::read(&answer).unwrap();
    let report = "deny; code=token_malformed; rule=trial";
    assert_eq!(seen.all("x-postern-report-only"), [report]);
    assert_eq!(seen.all("authorization"), ["Bearer a.b.c"], "the token stays");
    let spoofed = Request::get("/open").header("x-postern-report-only", "allow");
    let seen = Seen::read(&client.send(spoofed).await.unwrap()).unwrap();
    assert!(seen.all("x-postern-report-only").is_empty());
    gate.envoy.wait_for_counter("wasmcustom.postern.would_deny", 1).await.unwrap();
    assert!(gate.envoy.log().contains("rule `trial` would have denied, token_malformed"));
}

#[tokio::test]
async fn the_proxys_cryptography_is_used() {
    let gate = LocalGate::open().await;
    let client = gate.envoy.client(Protocol::Http1);
    for _ in 0..16 {
        let request = Request::get("/api/a").bearer(&gate.token());
        assert_eq!(client.send(request).await.unwrap().status, 200);
    }
    // Both threads have asked, and one has found out for both.
    let log = gate.envoy.log();
    assert_eq!(log.matches("the proxy's cryptography checks ES256").count(), 1, "{log}");
}

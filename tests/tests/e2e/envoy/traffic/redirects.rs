//! Internal redirects: Envoy follows the upstream's answer itself, and the gate looks again.

use postern_tests::{Protocol, Request, Response, Seen};
use serde_json::json;

use super::{ROUTE, gate, spoofed};
use crate::local_gate::LocalGate;

async fn redirecting_gate() -> LocalGate {
    let route = "route:
                  cluster: upstream
                  internal_redirect_policy: { max_internal_redirects: 3 }";
    gate(json!({}), &[(ROUTE, route)]).await
}

/// The answer in the end to a request that the upstream answers with a redirect.
async fn redirected(gate: &LocalGate, from: &str, to: &str, token: Option<&str>) -> Response {
    let place = format!("http://{}{to}", gate.envoy.gate());
    let request = spoofed(Request::get(from)).header("x-redirect-to", place);
    let request = token.iter().fold(request, |request, token| request.bearer(token));
    gate.envoy.client(Protocol::Http1).send(request).await.unwrap()
}

#[tokio::test]
async fn a_redirect_does_not_get_around_the_gate() {
    let gate = redirecting_gate().await;
    for (to, code) in [
        ("/api/secret", "token_missing"),
        ("/open/../api/secret", "token_missing"),
        ("/%61pi/secret", "token_missing"),
        ("//api/secret", "token_missing"),
        ("/elsewhere", "no_matching_rule"),
        ("/open;/../api/secret", "token_missing"),
        ("/open/a;b/../../api/secret", "token_missing"),
    ] {
        let before = gate.upstream.requests();
        let answer = redirected(&gate, "/open/a", to, None).await;
        assert_eq!(answer.code(), code, "{to}: {}", answer.status);
        assert_eq!(gate.upstream.requests(), before + 1, "{to} was reached");
    }
    let answer = redirected(&gate, "/open/a", "/api/secret", Some("a.b.c")).await;
    assert_eq!((answer.status, answer.code().as_str()), (401, "token_malformed"));
}

#[tokio::test]
async fn a_redirected_request_is_what_the_gate_made_of_it() {
    let gate = redirecting_gate().await;
    let token = gate.token();
    let answer = redirected(&gate, "/open/a", "/open/b", None).await;
    let seen = Seen::read(&answer).unwrap();
    assert_eq!(seen.target, "/open/b");
    assert!(seen.all("x-user-id").is_empty());
    // The identity belongs to the first path only; nobody has verified it for the second.
    let answer = redirected(&gate, "/api/a", "/open/b", Some(&token)).await;
    assert!(Seen::read(&answer).unwrap().all("x-user-id").is_empty());
    // The first pass has taken the token away, so the second finds none ...
    let answer = redirected(&gate, "/api/a", "/api/b", Some(&token)).await;
    assert_eq!((answer.status, answer.code().as_str()), (401, "token_missing"));
    // ... unless the provider forwards it.
    let answer = redirected(&gate, "/kept/a", "/api/b", Some(&token)).await;
    let seen = Seen::read(&answer).unwrap();
    assert_eq!((seen.target.as_str(), seen.all("x-user-id")), ("/api/b", vec!["user-1"]));
}

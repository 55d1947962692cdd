//! Whatever names a second path, in a header or in a route: the gate decides on the one requested.

use hyper::Method;
use postern_tests::{Protocol, Request, Seen};
use serde_json::json;

use super::{ROUTE, assert_identified, gate};

const PROTOCOLS: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];
/// What some servers and frameworks take for the path, and CVE-2023-27487 is about.
const SECOND_PATHS: [&str; 7] = [
    "x-envoy-original-path",
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
    "x-forwarded-uri",
    "x-forwarded-path",
    "x-accel-redirect",
];
const SECOND_METHODS: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

#[tokio::test]
async fn a_header_that_names_another_path_does_not_change_which_rule_decides() {
    let gate = gate(json!({}), &[]).await;
    for protocol in PROTOCOLS {
        let client = gate.envoy.client(protocol);
        for name in SECOND_PATHS {
            let before = gate.upstream.requests();
            let answer = client.send(Request::get("/api/a").header(name, "/open/a")).await.unwrap();
            assert_eq!((answer.status, answer.code().as_str()), (401, "token_missing"), "{name}");
            let answer = client.send(Request::get("/none").header(name, "/open/a")).await.unwrap();
            assert_eq!(answer.code(), "no_matching_rule", "{name}");
            assert_eq!(gate.upstream.requests(), before);
            let request = Request::get("/api/a").header(name, "/open/a").bearer(&gate.token());
            assert_identified(&Seen::read(&client.send(request).await.unwrap()).unwrap());
            let answer = client.send(Request::get("/open/a").header(name, "/api/a")).await.unwrap();
            assert_eq!(Seen::read(&answer).unwrap().target, "/open/a", "{name}");
        }
        for name in SECOND_METHODS {
            // There is a rule for GET only.
            let request = Request::get("/v1/a").method(Method::POST).header(name, "GET");
            let answer = client.send(request.bearer(&gate.token())).await.unwrap();
            assert_eq!(answer.code(), "no_matching_rule", "{name}");
        }
    }
}

/// Envoy writes this header, and the client's does not get past it.
#[tokio::test]
async fn a_route_that_rewrites_the_path_does_so_behind_the_gate() {
    let prefix = "route: { cluster: upstream, prefix_rewrite: /open/v1/ }";
    let regex = r#"route:
                  cluster: upstream
                  regex_rewrite: { pattern: { regex: "^/" }, substitution: "/open/v1/" }"#;
    for route in [prefix, regex] {
        let gate = gate(json!({}), &[(ROUTE, route)]).await;
        for protocol in PROTOCOLS {
            let client = gate.envoy.client(protocol);
            let request = Request::get("/api/a?x=1").header("x-envoy-original-path", "/fake");
            let before = gate.upstream.requests();
            let answer = client.send(request.clone()).await.unwrap();
            assert_eq!((answer.status, answer.code().as_str()), (401, "token_missing"));
            assert_eq!(gate.upstream.requests(), before);
            let answer = client.send(request.bearer(&gate.token())).await.unwrap();
            let seen = Seen::read(&answer).unwrap();
            assert_identified(&seen);
            assert_eq!(seen.target, "/open/v1/api/a?x=1");
            assert_eq!(seen.all("x-envoy-original-path"), ["/api/a?x=1"]);
        }
    }
}

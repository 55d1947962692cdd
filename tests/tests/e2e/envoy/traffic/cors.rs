//! A browser's preflight has no token.

use hyper::Method;
use postern_tests::{Protocol, Request, Response, Seen};
use serde_json::json;

use super::{ROUTE, assert_identified, gate, spoofed};
use crate::local_gate::LocalGate;

const ORIGIN: &str = "https://app.example";
const PROTOCOLS: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

fn preflight() -> Request {
    let options = Request::get("/api/a").method(Method::OPTIONS);
    options.header("origin", ORIGIN).header("access-control-request-method", "PUT")
}

async fn send(gate: &LocalGate, protocol: Protocol, request: Request) -> Response {
    gate.envoy.client(protocol).send(request).await.unwrap()
}

/// As the comment in `envoy.yaml` says: the gate comes after CORS.
#[tokio::test]
async fn envoys_own_cors_filter_in_front_answers_preflights_and_opens_nothing_else() {
    let filters = r#"http_filters:
          - name: envoy.filters.http.cors
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors"#;
    let route = format!(
        r#"{ROUTE}
                typed_per_filter_config:
                  envoy.filters.http.cors:
                    "@type": type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy
                    allow_origin_string_match: [{{ exact: "{ORIGIN}" }}]
                    allow_methods: PUT"#
    );
    let gate = gate(json!({}), &[("http_filters:", filters), (ROUTE, &route)]).await;
    for protocol in PROTOCOLS {
        let answer = send(&gate, protocol, preflight()).await;
        assert_eq!((answer.status, answer.header("access-control-allow-methods")), (200, "PUT"));
        let put = || Request::get("/api/a").method(Method::PUT).header("origin", ORIGIN);
        let before = gate.upstream.requests();
        let answer = send(&gate, protocol, put()).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "token_missing"));
        // Without it a page could not read why.
        assert_eq!(answer.header("access-control-allow-origin"), ORIGIN);
        let half = Request::get("/api/a").method(Method::OPTIONS).header("origin", ORIGIN);
        assert_eq!(send(&gate, protocol, half).await.status, 401);
        assert_eq!(gate.upstream.requests(), before);
        assert_identified(
            &Seen::read(&send(&gate, protocol, put().bearer(&gate.token())).await).unwrap(),
        );
    }
}

#[tokio::test]
async fn a_policy_may_let_preflights_through_to_the_upstream() {
    for (bypass, status) in [(true, 200), (false, 401)] {
        let gate = gate(json!({ "bypass_cors_preflight": bypass }), &[]).await;
        for protocol in PROTOCOLS {
            let answer = send(&gate, protocol, spoofed(preflight())).await;
            assert_eq!(answer.status, status, "{}", answer.body);
            if bypass {
                let seen = Seen::read(&answer).unwrap();
                assert_eq!(seen.method, "OPTIONS");
                assert!(seen.all("x-user-id").is_empty());
            }
            let before = gate.upstream.requests();
            for not_quite in [
                preflight().method(Method::GET),
                Request::get("/api/a").method(Method::OPTIONS).header("origin", ORIGIN),
                Request::get("/api/a").method(Method::OPTIONS),
            ] {
                let answer = send(&gate, protocol, not_quite).await;
                assert_eq!((answer.status, answer.code().as_str()), (401, "token_missing"));
            }
            assert_eq!(gate.upstream.requests(), before);
        }
    }
}

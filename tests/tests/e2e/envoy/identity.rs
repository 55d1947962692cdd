//! What follows the gate knows who it is: the access log, RBAC, and the routes.

use std::time::Duration;

use postern_tests::{EnvoyConfig, Failure, Key, Protocol, Request, Seen, wait_until};
use serde_json::json;

use crate::local_gate::{HEADER, LocalGate, claims};

const ROUTER: &str = "          - name: envoy.filters.http.router\n";
const PREFIX: &str = "stat_prefix: gate\n";

/// An access log on standard output, in the formatters that the README names.
const ACCESS_LOG: &str = r#"stat_prefix: gate
          access_log:
          - name: envoy.access_loggers.stdout
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog
              log_format:
                text_format_source:
                  inline_string: "access path=%PATH(NQ)% provider=%FILTER_STATE(wasm.postern.provider:PLAIN)% subject=%FILTER_STATE(wasm.postern.subject:PLAIN)% issuer=%FILTER_STATE(wasm.postern.issuer:PLAIN)% domain=%FILTER_STATE(wasm.postern.domain:PLAIN)% code=%FILTER_STATE(wasm.postern.code:PLAIN)% details=%RESPONSE_CODE_DETAILS% payload=%FILTER_STATE(wasm.postern.metadata.claims:TYPED)% name=%CEL(filter_state['wasm.postern.metadata.claims'].username)% failed=%FILTER_STATE(wasm.postern.metadata.failed:TYPED)%\n"
"#;

/// Only one user may pass RBAC behind the gate.
const RBAC: &str = r#"          - name: envoy.filters.http.rbac
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
              rules:
                action: ALLOW
                policies:
                  one-user:
                    permissions: [ any: true ]
                    principals:
                    - filter_state:
                        key: wasm.postern.subject
                        string_match: { exact: user-1 }
                  open:
                    permissions: [ url_path: { path: { exact: /open } } ]
                    principals: [ any: true ]
"#;

fn with_identity(config: EnvoyConfig) -> Result<EnvoyConfig, Failure> {
    let mut policy = config.read_policy()?;
    policy["identity_in_metadata"] = json!(true);
    policy["providers"]["bearer"]["payload_in_metadata"] = json!("claims");
    policy["providers"]["bearer"]["failed_status_in_metadata"] = json!("failed");
    config.policy(&policy)?.replace(PREFIX, ACCESS_LOG)?.replace(ROUTER, &format!("{RBAC}{ROUTER}"))
}

async fn access_line(gate: &LocalGate, path: &str) -> String {
    let start = format!("access path={path} ");
    let line = || gate.envoy.log().lines().find(|line| line.starts_with(&start)).map(str::to_owned);
    // Envoy writes its access log every second at the latest.
    let limit = Duration::from_secs(15);
    wait_until("an access log", limit, async || line().is_some()).await.unwrap();
    line().unwrap()
}

#[tokio::test]
async fn the_access_log_and_rbac_see_who_it_is() {
    let gate = LocalGate::open_with(with_identity).await;
    let client = gate.envoy.client(Protocol::Http1);
    let good = Request::get("/api/good").bearer(&gate.token());
    assert_eq!(client.send(good).await.unwrap().status, 200);
    let mut other = claims();
    other["sub"] = json!("user-2");
    let other = gate.keys.sign(Key::Es256, HEADER, other.to_string());
    let other = Request::get("/api/other").bearer(&other);
    assert_eq!(client.send(other).await.unwrap().status, 403, "RBAC lets user-1 through only");
    let bad = Request::get("/api/bad").bearer("a.b.c");
    assert_eq!(client.send(bad).await.unwrap().status, 401);
    assert_eq!(client.send(Request::get("/open")).await.unwrap().status, 200);

    let line = access_line(&gate, "/api/good").await;
    let identity =
        "provider=bearer subject=user-1 issuer=https://issuer.example/api domain=- code=- ";
    assert!(line.contains(identity), "{line}");
    assert!(line.contains(r#""username":"ada""#) && line.contains("name=ada "), "{line}");
    let line = access_line(&gate, "/api/bad").await;
    let refused = "provider=- subject=- issuer=- domain=- code=token_malformed \
                   details=postern_denied{token_malformed} payload=- ";
    assert!(line.contains(refused), "{line}");
    assert!(line.contains(r#""code":"token_malformed""#), "{line}");
    let line = access_line(&gate, "/open").await;
    assert!(line.contains("provider=- subject=- issuer=- domain=- code=- "), "{line}");
}

/// Without `identity_in_metadata`, the code still stands in the response's details.
#[tokio::test]
async fn a_refusal_has_its_code_in_the_details_of_the_response() {
    let gate = LocalGate::open_with(|config| config.replace(PREFIX, ACCESS_LOG)).await;
    let client = gate.envoy.client(Protocol::Http2);
    assert_eq!(client.send(Request::get("/api/none")).await.unwrap().status, 401);
    let line = access_line(&gate, "/api/none").await;
    assert!(line.contains("code=- details=postern_denied{token_missing} "), "{line}");
}

/// A route names an entry of the requirement map, or opens what the rules guard.
#[tokio::test]
async fn a_routes_metadata_decides_in_place_of_the_rules() {
    let route = |prefix: &str, metadata: &str| {
        format!(
            "              - match: {{ prefix: {prefix} }}\n                metadata: {{ \
             filter_metadata: {{ postern: {metadata} }} }}\n                route: {{ cluster: \
             upstream }}\n"
        )
    };
    let routes = [
        route("/api/named", "{ requirement_name: cookies }"),
        route("/api/disabled", "{ disabled: true }"),
        route("/api/unknown", "{ requirement_name: nowhere }"),
        route("/api/number", "{ requirement_name: 7 }"),
    ]
    .concat();
    let gate = LocalGate::open_with(|config| {
        let mut policy = config.read_policy()?;
        policy["requirement_map"] = json!({ "cookies": { "provider_name": "cookie" } });
        let marked = "              routes:\n";
        config.policy(&policy)?.replace(marked, &format!("{marked}{routes}"))
    })
    .await;
    let token = gate.token();
    let cookie = |path: &str| Request::get(path).header("cookie", format!("session={token}"));
    let client = gate.envoy.client(Protocol::Http1);
    for (request, status, code) in [
        (cookie("/api/named"), 200, ""),
        (Request::get("/api/named").bearer(&token), 401, "token_missing"),
        (Request::get("/api/disabled"), 200, ""),
        (Request::get("/api/unknown").bearer(&token), 403, "requirement_unknown"),
        (Request::get("/api/number").bearer(&token), 403, "requirement_unknown"),
        (Request::get("/api/other").bearer(&token), 200, ""),
        (Request::get("/api/other"), 401, "token_missing"),
    ] {
        let path = request.target.clone();
        let answer = client.send(request).await.unwrap();
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        if status != 200 {
            assert_eq!(answer.code(), code, "{path}");
        }
    }
}

/// A filter before the gate sets a filter state, and that decides where no rule does.
#[tokio::test]
async fn a_filter_state_decides_where_no_rule_does() {
    let setter = r#"          - name: envoy.filters.http.set_filter_state
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.set_filter_state.v3.Config
              on_request_headers:
              - object_key: my.tenant
                factory_key: envoy.string
                format_string:
                  text_format_source: { inline_string: "%REQ(x-tenant)%" }
"#;
    let gate = LocalGate::open_with(|config| {
        let mut policy = config.read_policy()?;
        policy["filter_state_rules"] = json!({
            "name": "my.tenant",
            "requires": { "red": { "provider_name": "bearer" }, "open": { "allow_missing_or_failed": {} } },
        });
        let postern = "          - name: postern\n";
        config.policy(&policy)?.replace(postern, &format!("{setter}{postern}"))
    })
    .await;
    let client = gate.envoy.client(Protocol::Http1);
    let request = |tenant: &str| Request::get("/else/where").header("x-tenant", tenant);
    let token = gate.token();
    for (request, status) in [
        (request("red").bearer(&token), 200),
        (request("red"), 401),
        (request("open"), 200),
        (request("blue").bearer(&token), 403),
        (Request::get("/else/where").bearer(&token), 403),
    ] {
        assert_eq!(client.send(request).await.unwrap().status, status);
    }
}

/// A header that the gate sets chooses the route; one that the client sets does not.
#[tokio::test]
async fn claims_choose_the_route_where_the_provider_says_so() {
    let route = "              - match: { prefix: /, headers: [{ name: x-user-name, string_match: { exact: \
                 ada } }] }\n                direct_response: { status: 418 }\n";
    let gate = LocalGate::open_with(|config| {
        let mut policy = config.read_policy()?;
        policy["providers"]["bearer"]["clear_route_cache"] = json!(true);
        let marked = "              routes:\n";
        config.policy(&policy)?.replace(marked, &format!("{marked}{route}"))
    })
    .await;
    let client = gate.envoy.client(Protocol::Http1);
    let request = Request::get("/api/a").bearer(&gate.token());
    assert_eq!(client.send(request).await.unwrap().status, 418);
    // What the client calls itself chooses nothing.
    let spoofed = Request::get("/open").header("x-user-name", "ada");
    let answer = client.send(spoofed).await.unwrap();
    assert!(Seen::read(&answer).unwrap().all("x-user-name").is_empty());
}

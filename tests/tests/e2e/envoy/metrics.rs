//! What Envoy's statistics tell of the gate.

use postern_tests::{Protocol, Request};

use crate::local_gate::LocalGate;

#[tokio::test]
async fn requests_are_counted_by_provider_and_code() {
    let gate = LocalGate::open().await;
    let client = gate.envoy.client(Protocol::Http1);
    let good = Request::get("/api/a").bearer(&gate.token());
    let mut forged = gate.token();
    forged.replace_range(forged.len() - 8.., "AAAAAAAA");
    for (request, status) in [
        (good.clone(), 200),
        (good, 200),
        (Request::get("/api/a").bearer(&forged), 401),
        (Request::get("/api/a"), 401),
        (Request::get("/open"), 200),
        (Request::get("/nowhere"), 403),
    ] {
        assert_eq!(client.send(request).await.unwrap().status, status);
    }
    for (name, value) in [
        ("allowed", 3),
        ("denied.signature_invalid", 1),
        ("denied.token_missing", 1),
        ("denied.no_matching_rule", 1),
        ("provider.bearer.allowed", 2),
        ("provider.bearer.denied.signature_invalid", 1),
        ("provider.bearer.denied.token_missing", 1),
    ] {
        gate.envoy.wait_for_counter(&format!("wasmcustom.postern.{name}"), value).await.unwrap();
    }
    // Each of the two threads that got the good token had to check it once.
    let hits = gate.envoy.counter("wasmcustom.postern.cache.hits").await.unwrap();
    let misses = gate.envoy.counter("wasmcustom.postern.cache.misses").await.unwrap();
    assert_eq!(hits + misses, 3, "{hits} hits and {misses} misses");
}

/// The tags of `envoy.yaml` turn provider and code into labels.
#[tokio::test]
async fn a_prometheus_scrape_shows_provider_and_code_as_labels() {
    let gate = LocalGate::open().await;
    let client = gate.envoy.client(Protocol::Http1);
    let good = Request::get("/api/a").bearer(&gate.token());
    assert_eq!(client.send(good).await.unwrap().status, 200);
    assert_eq!(client.send(Request::get("/api/a")).await.unwrap().status, 401);
    let code = "wasmcustom.postern.provider.bearer.denied.token_missing";
    gate.envoy.wait_for_counter(code, 1).await.unwrap();
    let scrape = Request::get("/stats/prometheus");
    let page = gate.envoy.admin().send(scrape).await.unwrap().body;
    for line in [
        r#"postern_provider_denied{postern_provider="bearer",postern_code="token_missing"} 1"#,
        r#"postern_provider_allowed{postern_provider="bearer"} 1"#,
        r#"postern_denied{postern_code="token_missing"} 1"#,
        "postern_allowed{} 1",
    ] {
        assert!(page.contains(line), "{line} is not among\n{}", postern_lines(&page));
    }
}

fn postern_lines(page: &str) -> String {
    page.lines().filter(|line| line.contains("postern")).collect::<Vec<_>>().join("\n")
}

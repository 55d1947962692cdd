//! How often filter and proxy call each other for a request: each call costs about as much as all of
//! the filter's own work.

use std::time::Duration;

use postern_tests::{Protocol, Request, wait_until};

use crate::local_gate::LocalGate;

/// The calls of one thread from the first line that holds `start` to the first one after it that
/// holds `end`, as Envoy traces them.
fn calls<'l>(log: &'l str, start: &str, end: &str) -> Vec<&'l str> {
    let thread = |line: &'l str| line.split(['[', ']']).nth(3);
    let mut lines = log.lines().skip_while(|line| !line.contains(start)).peekable();
    let own = lines.peek().and_then(|line| thread(line));
    lines
        .filter(|line| thread(line) == own)
        .take_while(|line| !line.contains(end))
        .filter_map(|line| {
            let (_, call) = line.split_once("[vm->host] env.").or(line.split_once("[host->vm] "))?;
            call.split('(').next()
        })
        .collect()
}

#[tokio::test]
async fn a_known_token_takes_one_call_to_read_the_clock_one_to_read_and_one_for_each_change() {
    let gate = LocalGate::open().await;
    let request = Request::get("/cookie/a").header("cookie", format!("session={}", gate.token()));
    let bearer = Request::get("/kept/a").bearer(&gate.token());
    let client = gate.envoy.client(Protocol::Http1);
    // All threads know the tokens then.
    for _ in 0..32 {
        assert_eq!(client.send(request.clone()).await.unwrap().status, 200);
        assert_eq!(client.send(bearer.clone()).await.unwrap().status, 200);
    }
    let trace = Request::post("/logging?wasm=trace", &serde_json::Value::Null);
    assert_eq!(gate.envoy.admin().send(trace).await.unwrap().status, 200);
    let read = [
        "proxy_on_context_create",
        "proxy_on_request_headers",
        "proxy_get_current_time_nanoseconds",
        "proxy_get_header_map_pairs",
        "proxy_on_memory_allocate",
    ];
    for (request, changes) in [
        // The token stays: two claims.
        (&bearer, &["proxy_add_header_map_value"; 2][..]),
        // The cookie goes: one change more.
        (
            &request,
            &[
                "proxy_remove_header_map_value",
                "proxy_add_header_map_value",
                "proxy_add_header_map_value",
            ],
        ),
    ] {
        let before = gate.envoy.log().len();
        assert_eq!(client.send(request.clone()).await.unwrap().status, 200);
        let end = "[host->vm] proxy_on_delete";
        wait_until("the end of the request", Duration::from_secs(10), async || {
            gate.envoy.log()[before..].contains(end)
        })
        .await
        .unwrap();
        let log = gate.envoy.log();
        let start = "[host->vm] proxy_on_context_create";
        let called = calls(&log[before..], start, "[host<-vm] proxy_on_request_headers");
        assert_eq!(called, [&read[..], changes].concat());
    }
}

//! Headers at and over the limits: Envoy's, then ours.

use postern_tests::{Protocol, Request, Seen};

use crate::local_gate::LocalGate;

const BYTES: usize = 64 * 1024;

#[tokio::test]
async fn envoy_refuses_64_kib_by_default() {
    let gate = LocalGate::open().await;
    let request = Request::get("/open").header("x-large", "a".repeat(BYTES));
    let answer = gate.envoy.client(Protocol::Http1).send(request.clone()).await.unwrap();
    assert_eq!(answer.status, 431);
    // Over HTTP/2, Envoy resets the stream.
    let outcome = gate.envoy.client(Protocol::Http2).send(request).await;
    assert!(outcome.map_or(true, |answer| answer.status == 431));
    assert_eq!(gate.upstream.requests(), 0);
    let answer = gate.envoy.client(Protocol::Http2).send(Request::get("/open")).await.unwrap();
    assert_eq!(answer.status, 200, "the gate still answers");
}

#[tokio::test]
async fn the_filter_takes_64_kib_where_envoy_does() {
    let limit = "max_request_headers_kb: 256\n          normalize_path: true";
    let gate = LocalGate::open_with(|config| config.replace("normalize_path: true", limit)).await;
    let token = gate.token();
    // Over HTTP/2 Envoy takes no single value above 64 KiB, whatever the limit of all headers.
    let tokens = [BYTES - "Bearer ".len(), 3 * BYTES];
    for (protocol, tokens) in [(Protocol::Http1, &tokens[..]), (Protocol::Http2, &tokens[..1])] {
        let client = gate.envoy.client(protocol);
        let large = "a".repeat(BYTES);
        let request = Request::get("/api/a").header("x-large", &large).bearer(&token);
        let seen = Seen::read(&client.send(request).await.unwrap()).unwrap();
        assert_eq!(seen.all("x-large"), [large.as_str()]);
        assert_eq!(seen.all("x-user-id"), ["user-1"]);

        let before = gate.upstream.requests();
        for bytes in tokens {
            let request = Request::get("/api/a").bearer(&"a".repeat(*bytes));
            let answer = client.send(request).await.unwrap();
            assert_eq!((answer.status, answer.code().as_str()), (401, "token_too_large"));
        }
        assert_eq!(gate.upstream.requests(), before);
    }
    assert!(!gate.envoy.log().contains("panicked"));
}

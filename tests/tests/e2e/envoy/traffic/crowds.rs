//! Very many, and very large, headers.

use postern_tests::{Protocol, Request, Seen};
use serde_json::json;

use super::{MANAGER, assert_identified, gate, spoofed, with_option};

const PROTOCOLS: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];
const UNDERSCORES: &str = "headers_with_underscores_action: REJECT_REQUEST";
const KIB: usize = 1024;

fn crowd(request: Request, count: usize, bytes: usize) -> Request {
    let value = "v".repeat(bytes);
    (0..count).fold(request, |request, number| request.header(&format!("x-{number}"), &value))
}

/// The pseudo-headers count, and so do those that Envoy adds by itself.
#[tokio::test]
async fn up_to_envoys_limit_of_100() {
    let gate = gate(json!({}), &[]).await;
    for protocol in PROTOCOLS {
        let client = gate.envoy.client(protocol);
        let request = |count| crowd(spoofed(Request::get("/api/a")), count, 10);
        let seen = Seen::read(&client.send(request(90).bearer(&gate.token())).await.unwrap());
        let seen = seen.unwrap();
        assert_identified(&seen);
        assert_eq!(seen.all("x-89"), ["v".repeat(10)]);
        assert_eq!(client.send(request(90)).await.unwrap().code(), "token_missing");
        let before = gate.upstream.requests();
        // Over HTTP/2, Envoy resets the stream.
        let answer = client.send(request(110).bearer(&gate.token())).await;
        assert!(answer.map_or(true, |answer| answer.status == 431));
        assert_eq!(gate.upstream.requests(), before);
    }
}

#[tokio::test]
async fn two_thousand_where_envoy_takes_them() {
    let raised = format!("{UNDERSCORES}\n            max_headers_count: 2000");
    let manager = with_option("max_request_headers_kb: 256");
    let gate = gate(json!({}), &[(UNDERSCORES, &raised), (MANAGER, &manager)]).await;
    for protocol in PROTOCOLS {
        let client = gate.envoy.client(protocol);
        for bytes in [0, 96 * KIB, 192 * KIB] {
            let request = crowd(spoofed(Request::get("/api/a")), 1900, bytes / 1900);
            let answer = client.send(request.clone()).await.unwrap();
            assert_eq!((answer.status, answer.code().as_str()), (401, "token_missing"));
            let answer = client.send(request.bearer(&gate.token())).await.unwrap();
            let seen = Seen::read(&answer).unwrap();
            assert_identified(&seen);
            assert_eq!(seen.all("x-1899"), ["v".repeat(bytes / 1900)]);
        }
        let many = |name: &str, value: &str| {
            (0..1900).fold(Request::get("/api/a"), |request, _| request.header(name, value))
        };
        let before = gate.upstream.requests();
        let answer = client.send(many("authorization", "Bearer a.b.c")).await.unwrap();
        assert_eq!((answer.status, answer.code().as_str()), (400, "multiple_tokens"));
        assert_eq!(gate.upstream.requests(), before);
        let answer = client.send(many("x-user-id", "root").bearer(&gate.token())).await.unwrap();
        assert_identified(&Seen::read(&answer).unwrap());
    }
    assert!(!gate.envoy.log().contains("Uncaught"), "{}", gate.envoy.log());
}

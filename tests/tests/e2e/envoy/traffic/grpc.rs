//! gRPC, and bodies and trailers of any request.

use hyper::Method;
use postern_tests::{Protocol, RawConnection, Request, Seen};
use serde_json::json;

use super::{MANAGER, UPSTREAM_CLUSTER, assert_identified, gate, spoofed, with_option};
use crate::local_gate::LocalGate;

const MESSAGE: &str = "\0\0\0\0\x05hello";

/// Envoy speaks with the upstream what the client speaks with Envoy.
async fn transparent_gate() -> LocalGate {
    let cluster = format!(
        "typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        use_downstream_protocol_config:
          http_protocol_options: {{ enable_trailers: true }}
          http2_protocol_options: {{}}
    {UPSTREAM_CLUSTER}"
    );
    let manager = with_option("http_protocol_options: { enable_trailers: true }");
    gate(json!({}), &[(UPSTREAM_CLUSTER, &cluster), (MANAGER, &manager)]).await
}

fn call(target: &str) -> Request {
    let mut call = Request::get(target).method(Method::POST);
    MESSAGE.clone_into(&mut call.body);
    spoofed(call.header("content-type", "application/grpc+proto").header("te", "trailers"))
}

#[tokio::test]
async fn a_grpc_call_passes_end_to_end_and_its_refusal_has_a_grpc_status() {
    let gate = transparent_gate().await;
    let client = gate.envoy.client(Protocol::Http2);
    let answer = client.send(call("/api/Orders/List").bearer(&gate.token())).await.unwrap();
    let seen = Seen::read(&answer).unwrap();
    assert_identified(&seen);
    assert_eq!((seen.version.as_str(), seen.method.as_str()), ("HTTP/2.0", "POST"));
    assert_eq!(seen.body, r"\x00\x00\x00\x00\x05hello");
    assert_eq!(seen.all("te"), ["trailers"]);
    assert_eq!(answer.header("content-type"), "application/grpc+proto");
    assert_eq!(answer.trailers["grpc-status"], "0");

    for (request, status, message) in [
        (call("/api/Orders/List"), "16", "token_missing"),
        (call("/api/Orders/List").bearer("a.b.c"), "16", "token_malformed"),
        (call("/elsewhere/List").bearer(&gate.token()), "7", "no_matching_rule"),
    ] {
        let answer = client.send(request).await.unwrap();
        assert_eq!((answer.status, answer.header("grpc-status")), (200, status));
        assert!(answer.header("grpc-message").starts_with(message), "{:?}", answer.headers);
        assert_eq!(answer.header("content-type"), "application/grpc");
        assert_eq!(answer.body, "");
    }
    assert_eq!(gate.upstream.requests(), 1);
}

#[tokio::test]
async fn bodies_and_trailers_pass_over_http2() {
    let gate = transparent_gate().await;
    let client = gate.envoy.client(Protocol::Http2);
    // As large as several of HTTP/2's windows and of Envoy's buffers.
    for size in [0, 1, 5 << 20] {
        let mut post = Request::get("/api/a").method(Method::POST).trailer("x-sum", "12");
        post.body = "x".repeat(size);
        let seen = Seen::read(&client.send(post.clone().bearer(&gate.token())).await.unwrap());
        let seen = seen.unwrap();
        assert_identified(&seen);
        assert_eq!((seen.version.as_str(), seen.body.len()), ("HTTP/2.0", size));
        assert_eq!(seen.trailers, [("x-sum".to_owned(), "12".to_owned())]);
        let answer = client.send(post).await.unwrap();
        assert_eq!((answer.status, answer.code().as_str()), (401, "token_missing"));
    }
    assert_eq!(gate.upstream.requests(), 3);
}

/// A token, or an identity, behind the body is neither.
#[tokio::test]
async fn trailers_are_no_headers() {
    let gate = transparent_gate().await;
    let late = Request::get("/api/a")
        .method(Method::POST)
        .trailer("authorization", format!("Bearer {}", gate.token()));
    let answer = gate.envoy.client(Protocol::Http2).send(late).await.unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (401, "token_missing"));
    let late = Request::get("/open/a").method(Method::POST).trailer("x-user-id", "root");
    let answer = gate.envoy.client(Protocol::Http2).send(late).await.unwrap();
    assert!(Seen::read(&answer).unwrap().all("x-user-id").is_empty());
}

#[tokio::test]
async fn bodies_and_trailers_pass_over_http1() {
    let gate = transparent_gate().await;
    let mut connection = RawConnection::open(gate.envoy.gate()).await.unwrap();
    let post = |authorization: String| {
        format!(
            "POST /api/a HTTP/1.1\r\nhost: gate\r\ntransfer-encoding: chunked\r\n\
             trailer: x-sum\r\n{authorization}\r\n5\r\nhello\r\n0\r\nx-sum: 12\r\n\r\n"
        )
    };
    let with = post(format!("authorization: Bearer {}\r\n", gate.token()));
    connection.write(with.as_bytes()).await.unwrap();
    let seen = Seen::read(&connection.read(false).await.unwrap().unwrap()).unwrap();
    assert_identified(&seen);
    assert_eq!((seen.version.as_str(), seen.body.as_str()), ("HTTP/1.1", "hello"));
    assert_eq!(seen.trailers, [("x-sum".to_owned(), "12".to_owned())]);
    connection.write(post(String::new()).as_bytes()).await.unwrap();
    let answer = connection.read(false).await.unwrap().unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (401, "token_missing"));
    assert_eq!(gate.upstream.requests(), 1);
}

//! Upgrades: bytes in both directions behind a handshake that was let through.

use hyper::client::conn::http2;
use hyper::ext::Protocol as Upgrade;
use hyper_util::rt::{TokioExecutor, TokioIo};
use postern_tests::RawConnection;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{MANAGER, gate, with_option};
use crate::local_gate::LocalGate;

async fn websocket_gate() -> LocalGate {
    let manager = with_option(
        "upgrade_configs: [{ upgrade_type: websocket }]
          http2_protocol_options: { allow_connect: true }",
    );
    gate(json!({}), &[(MANAGER, &manager)]).await
}

#[tokio::test]
async fn a_websocket_over_http1_opens_with_a_token_only() {
    let gate = websocket_gate().await;
    let handshake = |authorization: String| {
        format!(
            "GET /api/ws HTTP/1.1\r\nhost: gate\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             {authorization}\r\n"
        )
    };
    let mut connection = RawConnection::open(gate.envoy.gate()).await.unwrap();
    connection.write(handshake(String::new()).as_bytes()).await.unwrap();
    let answer = connection.read(false).await.unwrap().unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (401, "token_missing"));
    assert_eq!(gate.upstream.requests(), 0);

    let mut connection = RawConnection::open(gate.envoy.gate()).await.unwrap();
    let with = handshake(format!("authorization: Bearer {}\r\n", gate.token()));
    connection.write(with.as_bytes()).await.unwrap();
    let answer = connection.read(false).await.unwrap().unwrap();
    assert_eq!((answer.status, answer.header("upgrade")), (101, "websocket"));
    for frame in [&b"\x81\x05hello"[..], b"\0\xff\xfe", &[7; 10_000]] {
        connection.write(frame).await.unwrap();
        assert_eq!(connection.read_bytes(frame.len()).await.unwrap(), frame);
    }
    assert_eq!(gate.upstream.requests(), 1);
}

/// RFC 8441: the method is CONNECT, and there is a path as well.
#[tokio::test]
async fn a_websocket_over_http2_opens_with_a_token_only() {
    let gate = websocket_gate().await;
    let stream = TcpStream::connect(gate.envoy.gate()).await.unwrap();
    let handshake = http2::Builder::new(TokioExecutor::new()).handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    // An exchange, so that the server's settings have come: they have to allow CONNECT.
    let get = |target: &str| {
        let uri = format!("http://{}{target}", gate.envoy.gate());
        hyper::Request::get(uri).body(String::new()).unwrap()
    };
    assert_eq!(sender.send_request(get("/open/a")).await.unwrap().status(), 200);
    let connect = |token: Option<String>| {
        let mut request = get("/api/ws");
        *request.method_mut() = hyper::Method::CONNECT;
        request.extensions_mut().insert(Upgrade::from_static("websocket"));
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().unwrap();
            request.headers_mut().insert("authorization", value);
        }
        request
    };
    assert_eq!(sender.send_request(connect(None)).await.unwrap().status(), 401);
    assert_eq!(gate.upstream.requests(), 1, "the first exchange");

    let answer = sender.send_request(connect(Some(gate.token()))).await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut stream = TokioIo::new(hyper::upgrade::on(answer).await.unwrap());
    for frame in [&b"\x81\x05hello"[..], b"\0\xff\xfe", &[7; 10_000]] {
        stream.write_all(frame).await.unwrap();
        let mut back = vec![0; frame.len()];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(back, frame);
    }
    assert_eq!(gate.upstream.requests(), 2);
}

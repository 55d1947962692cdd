//! Header fields that try to confuse the gate.

use postern_tests::{Protocol, Request, Response, Seen, send_raw};

use crate::local_gate::LocalGate;

const PROTOCOLS: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

async fn send(gate: &LocalGate, protocol: Protocol, request: Request) -> Response {
    gate.envoy.client(protocol).send(request).await.unwrap()
}

#[tokio::test]
async fn a_second_authorization_is_refused() {
    let gate = LocalGate::open().await;
    let token = gate.token();
    for protocol in PROTOCOLS {
        let twice = Request::get("/api/a").bearer(&token).bearer(&token);
        let with_basic =
            Request::get("/api/a").header("authorization", "Basic eDp5").bearer(&token);
        let basic_behind =
            Request::get("/api/a").bearer(&token).header("authorization", "Basic eDp5");
        let joined = Request::get("/api/a")
            .header("authorization", format!("Bearer {token}, Bearer {token}"));
        let joined_basic =
            Request::get("/api/a").header("authorization", format!("Basic eDp5,Bearer {token}"));
        for request in [twice, with_basic, basic_behind, joined, joined_basic] {
            let answer = send(&gate, protocol, request).await;
            assert_eq!((answer.status, answer.code().as_str()), (400, "multiple_tokens"));
            assert!(answer.header("www-authenticate").contains("invalid_request"));
        }
        let answer = send(&gate, protocol, Request::get("/api/a").bearer(&token)).await;
        assert_eq!(answer.status, 200, "one is fine");
    }
    assert_eq!(gate.upstream.requests(), 2);
}

#[tokio::test]
async fn bytes_outside_of_utf8_neither_stop_the_filter_nor_get_lost() {
    let gate = LocalGate::open().await;
    let token = gate.token();
    for protocol in PROTOCOLS {
        let strange = |target| Request::get(target).header("x-name", b"caf\xe9 \xff\xfe");
        for request in [strange("/open"), strange("/api/a").bearer(&token)] {
            let answer = send(&gate, protocol, request).await;
            let seen = Seen::read(&answer).unwrap();
            assert_eq!(seen.all("x-name"), [r"caf\xe9 \xff\xfe"]);
        }
        let answer = send(&gate, protocol, strange("/api/a")).await;
        assert_eq!(answer.code(), "token_missing");
        let inside = Request::get("/api/a").header("authorization", b"Bearer \xff.\xfe.\xfd");
        assert_eq!(send(&gate, protocol, inside).await.code(), "token_malformed");
        let scheme = Request::get("/api/a").header("authorization", b"B\xe9arer a.b.c");
        assert_eq!(send(&gate, protocol, scheme).await.code(), "token_missing");
    }
    let log = gate.envoy.log();
    assert!(!log.contains("panicked") && !log.contains("Plugin VM failed"), "{log}");
}

#[tokio::test]
async fn identity_headers_of_the_client_are_replaced_or_removed() {
    let gate = LocalGate::open().await;
    let token = gate.token();
    for protocol in PROTOCOLS {
        let fake = |target| {
            Request::get(target)
                .header("x-user-id", "admin")
                .header("X-User-Id", "root")
                .header("x-user-name", "admin")
                .header("x-payload", "e30")
        };
        for target in ["/open", "/maybe/a"] {
            let seen = Seen::read(&send(&gate, protocol, fake(target)).await).unwrap();
            for name in ["x-user-id", "x-user-name", "x-payload"] {
                assert!(seen.all(name).is_empty(), "{name} of the client on {target}");
            }
        }
        let seen = Seen::read(&send(&gate, protocol, fake("/api/a").bearer(&token)).await).unwrap();
        assert_eq!(seen.all("x-user-id"), ["user-1"]);
        assert_eq!(seen.all("x-user-name"), ["ada"]);
        assert_eq!(seen.all("x-payload"), [token.split('.').nth(1).unwrap()]);
        assert!(seen.all("authorization").is_empty());
    }
}

/// `envoy.yaml` refuses these: some upstreams read them as the header with hyphens.
#[tokio::test]
async fn identity_headers_with_underscores_do_not_pass() {
    let gate = LocalGate::open().await;
    for protocol in PROTOCOLS {
        let request = Request::get("/open").header("x_user_id", "admin");
        let reached = match gate.envoy.client(protocol).send(request).await {
            Ok(answer) => answer.status == 200,
            // Over HTTP/2, Envoy resets the stream.
            Err(_) => false,
        };
        assert!(!reached, "{protocol:?}");
    }
    assert_eq!(gate.upstream.requests(), 0);
}

#[tokio::test]
async fn requests_that_no_client_library_would_send() {
    let gate = LocalGate::open().await;
    let token = gate.token();
    let address = gate.envoy.gate();
    let request = |lines: &str| format!("GET /api/a HTTP/1.1\r\nhost: gate\r\n{lines}\r\n\r\n");
    let status = async |bytes: &[u8]| {
        let answer = send_raw(address, bytes).await.unwrap();
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    let control = format!("AUTHORIZATION:   bearer  {token}   ");
    assert_eq!(status(request(&control).as_bytes()).await, "200");
    let before = gate.upstream.requests();
    let denied = [
        (format!("Authorization : Bearer {token}"), "400"),
        (format!("authorization: Bearer {token}\r\n folded"), "401"),
        (format!("authorization: Bearer {token}\0"), "400"),
        (format!("authorization: Bearer {token}\u{1}"), "401"),
        (format!("authorization: Bearer\t{token}"), "401"),
        ("authorization:".to_owned(), "401"),
        (format!("x-other: 1\nauthorization: Basic a, Bearer {token}"), "400"),
    ];
    for (lines, expected) in denied {
        let got = status(request(&lines).as_bytes()).await;
        // A character that no header may hold is Envoy's to refuse, or ours.
        assert!(got == expected || got == "400", "{:?}: {got}", lines.replace(&token, "…"));
    }
    assert_eq!(gate.upstream.requests(), before, "one of them reached the upstream");
}

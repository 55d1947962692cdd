//! Where tokens may stand, which paths are guarded, and what goes upstream.

use hyper::Method;
use postern_tests::{Protocol, Request, Seen};

use crate::local_gate::LocalGate;

#[tokio::test]
async fn over_http1() {
    places(Protocol::Http1).await;
}

#[tokio::test]
async fn over_http2() {
    places(Protocol::Http2).await;
}

async fn places(protocol: Protocol) {
    let gate = LocalGate::open().await;
    let token = gate.token();
    let client = gate.envoy.client(protocol);
    let seen = async |request: Request| {
        let answer = client.send(request).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        Seen::read(&answer).unwrap()
    };
    let denied = async |request: Request, status: u16, code: &str| {
        let answer = client.send(request.clone()).await.unwrap();
        let expected = (status, code);
        assert_eq!((answer.status, answer.code().as_str()), expected, "{}", request.target);
    };

    // A cookie that carried a token is taken out, the others stay.
    let cookie = format!("theme=dark; session={token}; lang=en");
    let upstream = seen(Request::get("/cookie/a").header("cookie", &cookie)).await;
    assert_eq!(upstream.all("x-user-id"), ["user-1"]);
    let cookies = upstream.all("cookie").join("; ");
    assert!(cookies.contains("theme=dark") && cookies.contains("lang=en"), "{cookies}");
    assert!(!cookies.contains(&token), "the token went upstream in a cookie");
    denied(Request::get("/cookie/a").bearer(&token), 401, "token_missing").await;

    // So is a query parameter.
    let upstream = seen(Request::get(&format!("/param/a?x=1&token={token}&y=2"))).await;
    assert_eq!(upstream.target, "/param/a?x=1&y=2");
    let twice = format!("/param/a?token={token}&token={token}");
    denied(Request::get(&twice), 400, "multiple_tokens").await;

    // `forward: true` keeps it.
    let upstream = seen(Request::get("/kept/a").bearer(&token)).await;
    assert_eq!(upstream.all("authorization"), [format!("Bearer {token}")]);

    // No token is fine here, a bad one is not.
    assert!(seen(Request::get("/maybe/a")).await.all("x-user-id").is_empty());
    assert_eq!(seen(Request::get("/maybe/a").bearer(&token)).await.all("x-user-id"), ["user-1"]);
    denied(Request::get("/maybe/a").bearer("a.b.c"), 401, "token_malformed").await;

    // What no rule opens is shut.
    seen(Request::get("/v2/a").bearer(&token)).await;
    let post = Request::get("/v2/a").method(Method::POST).bearer(&token);
    denied(post, 403, "no_matching_rule").await;
    for target in ["/", "/open/", "/openly", "/apia", "/api", "/x/v2/a", "/OPEN"] {
        denied(Request::get(target).bearer(&token), 403, "no_matching_rule").await;
    }

    // One path, read in one way: by Envoy's normalization, else not at all.
    for target in ["/open/../api/a", "//api/a", "/api/./a", "/%61pi/a", "/open/%2e%2e/api/a"] {
        denied(Request::get(target), 401, "token_missing").await;
    }
    for target in ["/open%2f..%2fapi/a", "/open/..%5capi/a", "/open;/../api/a", "/open%00"] {
        let status = client.send(Request::get(target)).await.map_or(400, |answer| answer.status);
        assert!((400..404).contains(&status), "{target}: {status}");
    }
}

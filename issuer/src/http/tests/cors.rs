//! What pages of other origins may send and read.

use std::convert::Infallible;

use axum::body::{Bytes, HttpBody};

use super::*;

const STRANGER: &str = "https://evil.example.com";
const KEYS: &str = "/shop/.well-known/jwks.json";
const FIRST_PARTY: [(&str, &str); 5] = [
    ("POST", "/login"),
    ("GET", "/refresh"),
    ("GET", "/status"),
    ("GET", "/auth"),
    ("POST", "/logout"),
];

impl Fixture {
    /// What a browser asks before it sends a request that a form could not send.
    async fn preflight(&self, origin: &str, method: &str, path: &str, header: &str) -> Answer {
        let request = Request::options(path)
            .header("origin", origin)
            .header("access-control-request-method", method)
            .header("access-control-request-headers", header);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn ask_from(&self, origin: &str, method: &str, path: &str, body: &str) -> Answer {
        let request = Request::builder().method(method).uri(path).header("origin", origin);
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }
}

impl Answer {
    fn list(&self, name: &str) -> Vec<String> {
        self.header(name).split(',').map(|item| item.trim().to_ascii_lowercase()).collect()
    }

    #[track_caller]
    fn assert_readable_by(&self, origin: &str) {
        assert_eq!(self.header("access-control-allow-origin"), origin, "{self:?}");
        assert!(!self.headers.contains_key("access-control-allow-credentials"));
    }

    #[track_caller]
    fn assert_closed_to_pages(&self) {
        let told = self.headers.keys().find(|name| name.as_str().starts_with("access-control-"));
        assert_eq!(told, None, "{self:?}");
    }
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_send_a_login_and_a_token() {
    let fixture = Fixture::new().await;
    for (method, path) in FIRST_PARTY {
        let answer = fixture.preflight(APP, method, path, "authorization").await;
        assert_eq!(answer.status, StatusCode::OK);
        answer.assert_readable_by(APP);
        assert_eq!(answer.header("vary"), "origin");
        assert!(answer.list("access-control-allow-methods").contains(&method.to_lowercase()));
        let headers = answer.list("access-control-allow-headers");
        assert_eq!(headers, ["content-type", "authorization"]);
        let max_age: u64 = answer.header("access-control-max-age").parse().unwrap();
        assert!(max_age <= 600);
    }
}

#[tokio::test]
async fn a_token_header_of_ones_own_is_allowed_in_place_of_authorization() {
    let name = HeaderName::from_static("x-token");
    let fixture = Fixture::with(SigningAlgorithm::Es256, name).await;
    let answer = fixture.preflight(APP, "GET", "/refresh", "x-token").await;
    assert_eq!(answer.list("access-control-allow-headers"), ["content-type", "x-token"]);
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_reads_successes_and_refusals() {
    let fixture = Fixture::new().await;
    let login = json!({ "domain": "shop", "username": "ada", "password": PASSWORD });
    let answer = fixture.ask_from(APP, "POST", "/login", &login.to_string()).await;
    assert_eq!(answer.status, StatusCode::OK);
    answer.assert_readable_by(APP);
    for (method, path) in FIRST_PARTY {
        let answer = fixture.ask_from(APP, method, path, "").await;
        assert!(answer.status.is_client_error());
        answer.assert_readable_by(APP);
        assert_eq!(answer.header("vary"), "origin");
    }
    fixture.ask_from(APP, "PUT", "/login", "").await.assert_readable_by(APP);
}

#[tokio::test]
async fn a_page_learns_how_long_to_wait_and_what_is_wanted() {
    let fixture = Fixture::new().await;
    let wrong = json!({ "domain": "shop", "username": "ada", "password": "wrong" }).to_string();
    for _ in 0..10 {
        fixture.post_login(wrong.clone()).await;
    }
    let answer = fixture.ask_from(APP, "POST", "/login", &wrong).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.headers.contains_key("retry-after"));
    let exposed = answer.list("access-control-expose-headers");
    assert_eq!(exposed, ["retry-after", "www-authenticate"]);
}

/// A body that never comes.
struct Stalled;

impl HttpBody for Stalled {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
        std::task::Poll::Pending
    }
}

#[tokio::test]
async fn a_page_reads_that_its_request_took_too_long() {
    let fixture = Fixture::new().await;
    tokio::time::pause();
    let request = Request::post("/login").header("origin", APP).body(Body::new(Stalled)).unwrap();
    let answer = fixture.send(request).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    answer.assert_readable_by(APP);
    assert!(answer.list("access-control-expose-headers").contains(&"retry-after".to_owned()));
}

#[tokio::test]
async fn other_origins_are_told_nothing() {
    let fixture = Fixture::new().await;
    let resembling = [
        STRANGER,
        "null",
        "*",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com.evil.com",
        "https://APP.example.com",
    ];
    for origin in resembling {
        for (method, path) in FIRST_PARTY {
            let preflight = fixture.preflight(origin, method, path, "authorization").await;
            preflight.assert_closed_to_pages();
            let answer = fixture.ask_from(origin, method, path, "").await;
            answer.assert_closed_to_pages();
            // A cache must not show this answer to the allowed origin.
            assert_eq!(answer.header("vary"), "origin");
        }
    }
}

#[tokio::test]
async fn without_origins_nothing_but_the_keys_is_open() {
    let fixture = Fixture::new().await;
    let closed = router(Arc::clone(&fixture.issuer), AUTHORIZATION, &[]);
    let fixture = Fixture { router: closed, ..fixture };
    for (method, path) in FIRST_PARTY {
        let preflight = fixture.preflight(APP, method, path, "authorization").await;
        assert_eq!(preflight.status, StatusCode::METHOD_NOT_ALLOWED);
        preflight.assert_closed_to_pages();
        fixture.ask_from(APP, method, path, "").await.assert_closed_to_pages();
    }
    fixture.ask_from(STRANGER, "GET", KEYS, "").await.assert_readable_by("*");
}

#[tokio::test]
async fn every_page_reads_keys_and_their_tag() {
    let fixture = Fixture::new().await;
    let lists = ["/nobody/status-lists/0", "/shop/status-lists/1"];
    for path in [KEYS, "/nobody/.well-known/jwks.json"].into_iter().chain(lists) {
        let preflight = fixture.preflight(STRANGER, "GET", path, "if-none-match").await;
        assert_eq!(preflight.status, StatusCode::OK);
        preflight.assert_readable_by("*");
        assert_eq!(preflight.list("access-control-allow-headers"), ["if-none-match"]);
        let answer = fixture.ask_from(STRANGER, "GET", path, "").await;
        answer.assert_readable_by("*");
        assert!(answer.list("access-control-expose-headers").contains(&"etag".to_owned()));
        // One answer for all, also to those who do not say where they are from.
        assert_eq!(answer.header("vary"), "");
        fixture.get(path).await.assert_readable_by("*");
    }
}

#[tokio::test]
async fn what_is_of_no_page_is_closed_to_all() {
    let fixture = Fixture::new().await;
    for path in ["/healthz", "/readyz", "/", "/shop", "/shop/.well-known/jwks"] {
        fixture.ask_from(APP, "GET", path, "").await.assert_closed_to_pages();
        fixture.preflight(APP, "GET", path, "authorization").await.assert_closed_to_pages();
    }
}

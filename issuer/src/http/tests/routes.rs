use super::*;

#[tokio::test]
async fn health_is_told() {
    let fixture = Fixture::new().await;
    for path in ["/healthz", "/readyz"] {
        let answer = fixture.get(path).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn unknown_routes_are_json_too() {
    let fixture = Fixture::new().await;
    for path in ["/", "/login/", "/shop", "/shop/.well-known", "/shop/.well-known/jwks", "/a/b/c"] {
        fixture.get(path).await.assert_refused(404, "Not found");
    }
}

#[tokio::test]
async fn wrong_methods_learn_the_right_ones() {
    let fixture = Fixture::new().await;
    for (method, path, allow) in [
        ("GET", "/login", "POST"),
        ("POST", "/refresh", "GET"),
        ("POST", "/status", "GET"),
        ("PUT", "/auth", "GET"),
        ("GET", "/logout", "POST"),
        ("DELETE", "/shop/.well-known/jwks.json", "GET,HEAD"),
        ("DELETE", "/shop/status-lists/0", "GET,HEAD"),
        ("POST", "/healthz", "GET,HEAD"),
        ("POST", "/readyz", "GET,HEAD"),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let answer = fixture.send(request).await;
        answer.assert_refused(405, "Method not allowed");
        assert_eq!(answer.header("allow"), allow, "{path}");
    }
}

#[tokio::test]
async fn head_does_nothing_that_get_does_with_a_token() {
    let fixture = Fixture::new().await;
    let token = fixture.login("shop").await;
    fixture.clock.advance(20);
    for path in ["/refresh", "/status", "/auth"] {
        let answer = fixture.bearer("HEAD", path, &token).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(answer.header("allow"), "GET");
    }
    assert_eq!(fixture.session(&token).await.previous_refresh, None);
}

/// A storage that has stopped working, while the process lives.
#[tokio::test]
async fn readiness_follows_the_storage_and_liveness_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = Arc::new(Sqlite::open(folder.path()).unwrap());
    let clock = Arc::new(VirtualClock::at(0));
    let ports = Ports { store: sqlite.clone(), vault: sqlite, clock };
    let issuer = Arc::new(Issuer::new(ports, URL.parse().unwrap()));
    let router = router(issuer, AUTHORIZATION, &[]);
    rusqlite::Connection::open(folder.path().join("postern.db"))
        .unwrap()
        .execute_batch("PRAGMA foreign_keys = OFF; DROP TABLE domains;")
        .unwrap();
    for (path, status) in [("/healthz", 200), ("/readyz", 503)] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
    }
    let login = json!({ "domain": "shop", "username": "ada", "password": PASSWORD }).to_string();
    let request = Request::post("/login").body(Body::from(login)).unwrap();
    let answer = router.oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    assert_eq!(&body[..], br#"{"message":"Internal error"}"#);
}

#[tokio::test]
async fn readiness_follows_writes_and_is_found_out_once_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = Arc::new(Sqlite::open(folder.path()).unwrap());
    let clock = Arc::new(VirtualClock::at(0));
    let ports = Ports { store: sqlite.clone(), vault: sqlite.clone(), clock };
    let issuer = Issuer::new(ports, URL.parse().unwrap());
    tokio::time::pause();
    let pause = || tokio::time::advance(Duration::from_secs(1));
    assert!(issuer.ready().await.is_ok());
    sqlite.refuse_writes(true).await;
    assert!(issuer.ready().await.is_ok(), "asked again within the second");
    pause().await;
    assert!(issuer.ready().await.is_err(), "reads still work, and are not enough");
    sqlite.refuse_writes(false).await;
    assert!(issuer.ready().await.is_err());
    pause().await;
    assert!(issuer.ready().await.is_ok());
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_waited_for_no_longer_than_the_limit() {
    let fixture = Fixture::new().await;
    tokio::time::pause();
    let start = tokio::time::Instant::now();
    let request = Request::post("/login").body(Body::new(NeverEnding)).unwrap();
    let answer = fixture.send(request).await;
    answer.assert_refused(503, "Timed out");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(start.elapsed().as_secs(), REQUEST_LIMIT.as_secs());
}

struct NeverEnding;

impl hyper::body::Body for NeverEnding {
    type Data = axum::body::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
        std::task::Poll::Pending
    }
}

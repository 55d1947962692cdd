use super::*;

const TOKEN_ROUTES: [(&str, &str); 4] =
    [("GET", "/refresh"), ("GET", "/status"), ("GET", "/auth"), ("POST", "/logout")];

#[tokio::test]
async fn status_tells_how_a_token_stands() {
    let fixture = Fixture::new().await;
    let token = fixture.login("shop").await;
    let status = async |token: &str| {
        let answer = fixture.bearer("GET", "/status", token).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("cache-control"), "no-store");
        answer.body
    };
    let expiry = "2023-11-14T22:18:20Z";
    let expected =
        |valid, expired| json!({ "valid": valid, "expired": expired, "expiryString": expiry });
    assert_eq!(status(&token).await, expected(true, false));
    fixture.clock.advance(TOKEN_LIFETIME - 1);
    assert_eq!(status(&token).await, expected(true, false));
    fixture.clock.advance(1);
    assert_eq!(status(&token).await, expected(false, true));
    fixture.clock.advance(SESSION_LIFETIME);
    assert_eq!(status(&token).await, expected(false, true));

    let token = fixture.login("shop").await;
    assert_eq!(fixture.bearer("POST", "/logout", &token).await.status, StatusCode::NO_CONTENT);
    let body = status(&token).await;
    assert_eq!((&body["valid"], &body["expired"]), (&json!(false), &json!(false)));
}

#[tokio::test]
async fn auth_answers_whom_a_token_speaks_for() {
    for algorithm in SigningAlgorithm::ALL {
        let fixture = Fixture::with(algorithm, AUTHORIZATION).await;
        let token = fixture.login("shop").await;
        let answer = fixture.bearer("GET", "/auth", &token).await;
        assert_eq!(answer.status, StatusCode::OK, "{algorithm}");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.body, json!({ "domain": "shop", "sub": claim(&token, "sub") }));
        let forged = with_wrong_signature(&token);
        fixture.bearer("GET", "/auth", &forged).await.assert_refused(403, "Invalid token");
    }
}

#[tokio::test]
async fn auth_refuses_all_that_is_not_valid_now() {
    let fixture = Fixture::new().await;
    fixture.create_domain("blog", SigningAlgorithm::Es256).await;
    let token = fixture.login("shop").await;
    let auth = async |token: &str| fixture.bearer("GET", "/auth", token).await;
    let elsewhere = fixture.forge(&token, json!({ "iss": format!("{URL}/nowhere") })).await;
    auth(&elsewhere).await.assert_refused(403, "Invalid domain");
    let unknown = fixture.forge(&token, json!({ "session": "unknown" })).await;
    auth(&unknown).await.assert_refused(403, "Invalid session");
    let long = fixture.forge(&token, json!({ "exp": u32::MAX })).await;
    fixture.clock.advance(TOKEN_LIFETIME);
    auth(&token).await.assert_refused(403, "Token expired");
    fixture.clock.advance(SESSION_LIFETIME);
    auth(&long).await.assert_refused(403, "Session expired");
}

#[tokio::test]
async fn a_token_of_one_domain_is_worth_nothing_in_another() {
    for algorithm in SigningAlgorithm::ALL {
        let fixture = Fixture::with(algorithm, AUTHORIZATION).await;
        fixture.create_domain("blog", algorithm).await;
        let token = fixture.login("shop").await;
        // Its own key, under the other's name: as if one project turned on another.
        let shops_key = fixture.key_set("shop").await.current;
        let mut crossed = claims(&token);
        crossed["iss"] = json!(format!("{URL}/blog"));
        crossed["domain"] = json!("blog");
        let crossed = shops_key.sign(crossed).unwrap();
        for (method, path) in TOKEN_ROUTES {
            let answer = fixture.bearer(method, path, crossed.expose()).await;
            let status = if path == "/auth" { 403 } else { 401 };
            answer.assert_refused(status, "Invalid token");
        }
        // The other's key for a session of ours.
        let blogs_key = fixture.key_set("blog").await.current;
        let mut foreign = claims(&token);
        foreign["iss"] = json!(format!("{URL}/blog"));
        let foreign = blogs_key.sign(foreign).unwrap();
        let answer = fixture.bearer("GET", "/auth", foreign.expose()).await;
        answer.assert_refused(403, "Invalid session");
    }
}

#[tokio::test]
async fn logout_ends_the_session_for_all_its_tokens() {
    let fixture = Fixture::new().await;
    let first = fixture.login("shop").await;
    let second = fixture.refresh(&first).await.token();
    let other = fixture.login("shop").await;
    let answer = fixture.bearer("POST", "/logout", &first).await;
    assert_eq!((answer.status, answer.body.clone()), (StatusCode::NO_CONTENT, Value::Null));
    assert_eq!(answer.header("cache-control"), "no-store");
    for token in [&first, &second] {
        fixture.refresh(token).await.assert_refused(401, "Invalid session");
        fixture.bearer("GET", "/auth", token).await.assert_refused(403, "Invalid session");
        fixture.bearer("POST", "/logout", token).await.assert_refused(401, "Invalid session");
    }
    assert_eq!(fixture.bearer("GET", "/auth", &other).await.status, StatusCode::OK);
}

#[tokio::test]
async fn logout_takes_an_expired_token_until_the_session_expires() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.login("shop").await, fixture.login("shop").await);
    fixture.clock.advance(SESSION_LIFETIME - 1);
    assert_eq!(fixture.bearer("POST", "/logout", &one).await.status, StatusCode::NO_CONTENT);
    fixture.clock.advance(1);
    fixture.bearer("POST", "/logout", &two).await.assert_refused(401, "Session expired");
}

#[tokio::test]
async fn without_a_token_every_route_says_so() {
    let fixture = Fixture::new().await;
    for (method, path) in TOKEN_ROUTES {
        for value in [None, Some(""), Some("Bearer"), Some("Basic YWRhOmNvcnJlY3Q=")] {
            let mut request = Request::builder().method(method).uri(path);
            if let Some(value) = value {
                request = request.header(AUTHORIZATION, value);
            }
            let answer = fixture.send(request.body(Body::empty()).unwrap()).await;
            answer.assert_refused(401, "No token");
        }
    }
}

#[tokio::test]
async fn malformed_tokens_are_refused_by_every_route() {
    let fixture = Fixture::new().await;
    let token = fixture.login("shop").await;
    let wrong = with_wrong_signature(&token);
    let none = {
        let header = Base64UrlUnpadded::encode_string(br#"{"alg":"none"}"#);
        format!("{header}.{}.", token.split('.').nth(1).unwrap())
    };
    let large = "a".repeat(20_000);
    for (method, path) in TOKEN_ROUTES {
        for token in ["a", "a.b", "..", "a.b.c", &format!("{token}="), &wrong, &none, &large] {
            let answer = fixture.bearer(method, path, token).await;
            let status = if path == "/auth" { 403 } else { 401 };
            answer.assert_refused(status, "Invalid token");
        }
    }
}

#[tokio::test]
async fn more_than_one_token_is_no_token() {
    let fixture = Fixture::new().await;
    let token = fixture.login("shop").await;
    let bearer = format!("Bearer {token}");
    for (method, path) in TOKEN_ROUTES {
        let request = || Request::builder().method(method).uri(path);
        let status = if path == "/auth" { 403 } else { 401 };
        for request in [
            request().header(AUTHORIZATION, &bearer).header(AUTHORIZATION, &bearer),
            request().header(AUTHORIZATION, format!("{bearer}, {bearer}")),
            request().header(AUTHORIZATION, &b"Bearer \xff\xfe"[..]),
        ] {
            let answer = fixture.send(request.body(Body::empty()).unwrap()).await;
            answer.assert_refused(status, "Invalid token");
        }
    }
}

#[tokio::test]
async fn another_header_carries_the_token_in_both_forms_and_replaces_authorization() {
    let name = HeaderName::from_static("x-token");
    let fixture = Fixture::with(SigningAlgorithm::EdDsa, name.clone()).await;
    let token = fixture.login("shop").await;
    for value in [token.clone(), format!("Bearer {token}")] {
        for path in ["/status", "/auth", "/refresh"] {
            let request = Request::get(path).header(&name, &value).body(Body::empty()).unwrap();
            assert_eq!(fixture.send(request).await.status, StatusCode::OK, "{path}");
        }
    }
    for (method, path) in TOKEN_ROUTES {
        fixture.bearer(method, path, &token).await.assert_refused(401, "No token");
    }
}

#[tokio::test]
async fn old_and_new_tokens_both_pass_after_a_rotation() {
    for algorithm in SigningAlgorithm::ALL {
        let fixture = Fixture::with(algorithm, AUTHORIZATION).await;
        let old = fixture.login("shop").await;
        let shop: DomainName = "shop".parse().unwrap();
        fixture.ports.rotate_keys(&shop, Rotation::Regular).await.unwrap();
        let new = fixture.login("shop").await;
        for token in [&old, &new] {
            let answer = fixture.bearer("GET", "/auth", token).await;
            assert_eq!(answer.status, StatusCode::OK, "{algorithm}");
        }
        assert_eq!(fixture.refresh(&old).await.status, StatusCode::OK);
    }
}

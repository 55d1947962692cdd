use tokio::task::JoinHandle;

use super::*;
use crate::account::Account;

#[tokio::test]
async fn a_login_answers_with_a_token_that_says_all_it_should() {
    let fixture = Fixture::new().await;
    let answer = fixture.try_login("shop", "ada", PASSWORD).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.body["token_type"], "Bearer");
    assert_eq!(answer.body["expires_in"], TOKEN_LIFETIME);
    assert_eq!(answer.body.as_object().unwrap().len(), 3);

    let users = fixture.ports.users(&"shop".parse().unwrap()).await.unwrap();
    let claims = claims(&answer.token());
    assert_eq!(claims["iss"], format!("{URL}/shop"));
    assert_eq!(claims["sub"], users[0].id);
    assert_eq!(claims["aud"], "api");
    assert_eq!(claims["iat"], fixture.now());
    assert_eq!(claims["exp"], fixture.now() + TOKEN_LIFETIME);
    assert_eq!((&claims["domain"], &claims["username"]), (&json!("shop"), &json!("ada")));
    for (name, length) in [("jti", 22), ("session", 22), ("refresh_token", 43)] {
        assert_eq!(claims[name].as_str().unwrap().len(), length, "{name}");
    }
    assert_eq!(claims.as_object().unwrap().len(), 11);
}

#[tokio::test]
async fn two_logins_share_nothing_but_the_user() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.login("shop").await, fixture.login("shop").await);
    assert_eq!(claim(&one, "sub"), claim(&two, "sub"));
    for name in ["jti", "session", "refresh_token"] {
        assert_ne!(claim(&one, name), claim(&two, name), "{name}");
    }
}

#[tokio::test]
async fn bodies_that_are_no_credentials_are_told_apart() {
    let fixture = Fixture::new().await;
    let twice = r#"{"domain":"shop","username":"eve","username":"ada","password":"x"}"#;
    for body in ["", "{", "not json", "{\"domain\":}", "\u{feff}{}", "{}{}", twice] {
        fixture.post_login(body).await.assert_refused(400, "Invalid JSON body");
    }
    fixture.post_login(vec![b'"', 0xff, b'"']).await.assert_refused(400, "Invalid JSON body");
    for body in [
        json!({}),
        json!(null),
        json!("shop"),
        json!(["shop", "ada", PASSWORD]),
        json!({ "username": "ada", "password": PASSWORD }),
        json!({ "domain": "shop", "password": PASSWORD }),
        json!({ "domain": "shop", "username": "ada" }),
        json!({ "domain": 1, "username": "ada", "password": PASSWORD }),
        json!({ "domain": "shop", "username": null, "password": PASSWORD }),
        json!({ "domain": "shop", "username": "ada", "password": [PASSWORD] }),
    ] {
        let answer = fixture.post_login(body.to_string()).await;
        answer.assert_refused(400, "Missing domain, username or password");
    }
}

#[tokio::test]
async fn a_large_body_is_refused_unread() {
    let fixture = Fixture::new().await;
    let padded = |length: usize| {
        let mut body =
            json!({ "domain": "shop", "username": "ada", "password": PASSWORD }).to_string();
        body.push_str(&" ".repeat(length - body.len()));
        body
    };
    assert_eq!(fixture.post_login(padded(BODY_LIMIT_BYTES)).await.status, StatusCode::OK);
    fixture.post_login(padded(BODY_LIMIT_BYTES + 1)).await.assert_refused(413, "Body too large");
}

#[tokio::test]
async fn unknown_domains_are_named() {
    let fixture = Fixture::new().await;
    for domain in ["nowhere", "", "Shop", "shop/", "../shop"] {
        fixture.try_login(domain, "ada", PASSWORD).await.assert_refused(400, "Invalid domain");
    }
    assert_eq!(fixture.issuer.password_checks().computed(), 0);
}

/// Structure instead of a stopwatch: whatever is wrong, one hash is computed.
#[tokio::test]
async fn wrong_names_and_wrong_passwords_answer_and_cost_the_same() {
    let fixture = Fixture::new().await;
    fixture.create_domain("blog", SigningAlgorithm::EdDsa).await;
    let disabled = "mallory".parse().unwrap();
    let (shop, password) = ("shop".parse().unwrap(), SecretText::new(PASSWORD.to_owned()));
    fixture.ports.create_user(&shop, disabled, password).await.unwrap();
    fixture.ports.disable_user(&shop, &"mallory".parse().unwrap()).await.unwrap();
    let long = "x".repeat(500);
    let attempts = [
        ("ada", "wrong horse"),
        ("ada", ""),
        ("bob", PASSWORD),
        ("ADA", PASSWORD),
        (" ada", PASSWORD),
        ("", PASSWORD),
        (&long, PASSWORD),
        ("mallory", PASSWORD),
        ("mallory", "wrong horse"),
    ];
    for (count, (username, password)) in (1..).zip(attempts) {
        let answer = fixture.try_login("shop", username, password).await;
        answer.assert_refused(400, "Invalid username or password");
        assert_eq!(fixture.issuer.password_checks().computed(), count, "{username}");
    }
    fixture.login("shop").await;
    assert_eq!(fixture.issuer.password_checks().computed(), attempts.len() + 1);
}

#[tokio::test]
async fn a_login_is_signed_by_the_key_of_its_end_and_not_of_its_beginning() {
    let fixture = Arc::new(Fixture::new().await);
    let permits = Arc::clone(fixture.issuer.password_checks().permits());
    let all = u32::try_from(permits.available_permits()).unwrap();
    let held = permits.acquire_many_owned(all).await.unwrap();
    let login = {
        let fixture = Arc::clone(&fixture);
        tokio::spawn(async move { fixture.login("shop").await })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    let rotated =
        fixture.ports.rotate_keys(&"shop".parse().unwrap(), Rotation::Regular).await.unwrap();
    drop(held);
    let header = login.await.unwrap().split('.').next().unwrap().to_owned();
    let header = Base64UrlUnpadded::decode_vec(&header).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!(header["kid"], rotated.current.id);
}

/// Starts logins that wait, and returns once all have a place or are refused.
async fn logins(fixture: &Arc<Fixture>, domain: &str, count: usize) -> Vec<JoinHandle<Answer>> {
    let started = (0..count).map(|_| {
        let (fixture, domain) = (Arc::clone(fixture), domain.to_owned());
        tokio::spawn(async move { fixture.try_login(&domain, "ada", PASSWORD).await })
    });
    let started = started.collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    started
}

#[tokio::test]
async fn a_flood_of_logins_is_told_to_come_back_and_keeps_nobody_else_out() {
    let fixture = Arc::new(Fixture::new().await);
    fixture.create_domain("blog", SigningAlgorithm::EdDsa).await;
    let permits = Arc::clone(fixture.issuer.password_checks().permits());
    let all = u32::try_from(permits.available_permits()).unwrap();
    let held = permits.acquire_many_owned(all).await.unwrap();
    let flood = logins(&fixture, "shop", 70).await;
    let other = logins(&fixture, "blog", 1).await;
    let refused = flood.iter().filter(|login| login.is_finished()).count();
    assert_eq!(refused, 62);
    drop(held);
    for login in other {
        assert_eq!(login.await.unwrap().status, StatusCode::OK);
    }
    for login in flood {
        let answer = login.await.unwrap();
        if answer.status != StatusCode::OK {
            answer.assert_refused(503, "Too many requests");
            assert_eq!(answer.header("retry-after"), "1");
        }
    }
}

#[tokio::test]
async fn guessing_is_slowed_down_for_names_that_exist_and_names_that_do_not() {
    let fixture = Fixture::new().await;
    let (shop, password) = ("shop".parse().unwrap(), SecretText::new(PASSWORD.to_owned()));
    fixture.ports.create_user(&shop, "disabled".parse().unwrap(), password).await.unwrap();
    fixture.ports.disable_user(&shop, &"disabled".parse().unwrap()).await.unwrap();
    let attempts = [("ada", "wrong horse"), ("nobody", PASSWORD), ("disabled", PASSWORD)];
    for (username, password) in attempts {
        for _ in 0..10 {
            let answer = fixture.try_login("shop", username, password).await;
            answer.assert_refused(400, "Invalid username or password");
        }
    }
    let computed = fixture.issuer.password_checks().computed();
    fixture.clock.advance(100);
    for (username, _) in attempts {
        let answer = fixture.try_login("shop", username, PASSWORD).await;
        answer.assert_refused(429, "Too many attempts");
        assert_eq!(answer.header("retry-after"), "200");
    }
    assert_eq!(fixture.issuer.password_checks().computed(), computed, "a refusal costs nothing");
    fixture.clock.advance(200);
    fixture.login("shop").await;
}

#[tokio::test]
async fn a_login_forgets_the_failures_before_it() {
    let fixture = Fixture::new().await;
    for _ in 0..3 {
        for _ in 0..9 {
            fixture.try_login("shop", "ada", "wrong horse").await;
        }
        fixture.login("shop").await;
    }
}

/// All of them are let through by the first look, since none has failed yet.
#[tokio::test]
async fn guesses_that_come_at_once_are_not_looked_at_either() {
    let fixture = Arc::new(Fixture::new().await);
    let permits = Arc::clone(fixture.issuer.password_checks().permits());
    let all = u32::try_from(permits.available_permits()).unwrap();
    let held = permits.acquire_many_owned(all).await.unwrap();
    let guesses = ["wrong horse", PASSWORD].map(|password| {
        let fixture = Arc::clone(&fixture);
        tokio::spawn(async move { fixture.try_login("shop", "ada", password).await })
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    // As other processes count them meanwhile.
    let account = Account::new("shop".parse().unwrap(), "ada");
    for _ in 0..10 {
        fixture.ports.store.record_login_failure(&account, fixture.clock.now()).await.unwrap();
    }
    drop(held);
    // The right one is not told from the wrong one.
    for guess in guesses {
        guess.await.unwrap().assert_refused(429, "Too many attempts");
    }
}

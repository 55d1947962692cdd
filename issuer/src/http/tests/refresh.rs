use std::collections::HashSet;

use super::*;
use crate::session::EndReason;

async fn end_reason(fixture: &Fixture, token: &str) -> Option<EndReason> {
    fixture.session(token).await.ended.map(|(_, reason)| reason)
}

#[tokio::test]
async fn a_refresh_answers_with_a_new_token_of_the_same_session() {
    let fixture = Fixture::new().await;
    let first = fixture.login("shop").await;
    fixture.clock.advance(100);
    let answer = fixture.refresh(&first).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.body["token_type"], "Bearer");
    assert_eq!(answer.body["expires_in"], TOKEN_LIFETIME);

    let (before, after) = (claims(&first), claims(&answer.token()));
    for name in ["iss", "sub", "aud", "domain", "username", "session"] {
        assert_eq!(before[name], after[name], "{name}");
    }
    for name in ["jti", "refresh_token"] {
        assert_ne!(before[name], after[name], "{name}");
    }
    assert_eq!(after["iat"], fixture.now());
    assert_eq!(after["exp"], fixture.now() + TOKEN_LIFETIME);
}

#[tokio::test]
async fn the_token_may_stand_bare() {
    let fixture = Fixture::new().await;
    let token = fixture.login("shop").await;
    let request = Request::get("/refresh").header(AUTHORIZATION, token);
    let answer = fixture.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn an_expired_token_is_good_while_its_session_lives() {
    let fixture = Fixture::new().await;
    let mut token = fixture.login("shop").await;
    for _ in 0..3 {
        fixture.clock.advance(TOKEN_LIFETIME + 600);
        let answer = fixture.refresh(&token).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        token = answer.token();
    }
}

#[tokio::test]
async fn a_session_ends_with_its_age_however_often_it_is_refreshed() {
    let fixture = Fixture::new().await;
    let first = fixture.login("shop").await;
    fixture.clock.advance(SESSION_LIFETIME - 100);
    let answer = fixture.refresh(&first).await;
    let second = answer.token();
    // The last token does not outlive its session.
    assert_eq!(answer.body["expires_in"], 100);
    assert_eq!(claims(&second)["exp"], fixture.now() + 100);
    fixture.clock.advance(99);
    let third = fixture.refresh(&second).await.token();
    fixture.clock.advance(1);
    for token in [first, second, third] {
        fixture.refresh(&token).await.assert_refused(401, "Session expired");
    }
}

#[tokio::test]
async fn a_retry_within_the_window_gets_the_same_successor() {
    let fixture = Fixture::new().await;
    let first = fixture.login("shop").await;
    fixture.clock.advance(50);
    let second = fixture.refresh(&first).await.token();
    fixture.clock.advance(10);
    let answer = fixture.refresh(&first).await;
    assert_eq!(claims(&answer.token()), claims(&second));
    assert_eq!(answer.body["expires_in"], TOKEN_LIFETIME - 10);
    assert_eq!(end_reason(&fixture, &first).await, None);
    assert_eq!(fixture.refresh(&second).await.status, StatusCode::OK);
}

#[tokio::test]
async fn reuse_after_the_window_ends_the_session() {
    let fixture = Fixture::new().await;
    let first = fixture.login("shop").await;
    let second = fixture.refresh(&first).await.token();
    fixture.clock.advance(11);
    fixture.refresh(&first).await.assert_refused(401, "Invalid refresh token");
    assert_eq!(end_reason(&fixture, &first).await, Some(EndReason::Reuse));
    for token in [first, second] {
        fixture.refresh(&token).await.assert_refused(401, "Invalid session");
        fixture.bearer("GET", "/auth", &token).await.assert_refused(403, "Invalid session");
    }
}

#[tokio::test]
async fn reuse_of_an_older_token_ends_the_session_even_within_the_window() {
    let fixture = Fixture::new().await;
    let first = fixture.login("shop").await;
    let second = fixture.refresh(&first).await.token();
    let third = fixture.refresh(&second).await.token();
    fixture.refresh(&first).await.assert_refused(401, "Invalid refresh token");
    fixture.refresh(&third).await.assert_refused(401, "Invalid session");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_racers_get_one_successor() {
    let fixture = Arc::new(Fixture::new().await);
    let mut token = fixture.login("shop").await;
    for _ in 0..3 {
        fixture.clock.advance(20);
        let racers: Vec<_> = (0..50)
            .map(|_| {
                let (fixture, token) = (Arc::clone(&fixture), token.clone());
                tokio::spawn(async move { fixture.refresh(&token).await })
            })
            .collect();
        let mut successors = HashSet::new();
        for racer in racers {
            let answer = racer.await.unwrap();
            assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
            token = answer.token();
            successors.insert(claims(&token).to_string());
        }
        assert_eq!(successors.len(), 1);
    }
}

/// A write lock held by another process, and the requests that wait for it.
async fn held_up<const N: usize>(
    fixture: &Arc<Fixture>,
    token: &str,
    meanwhile: impl FnOnce(),
) -> [Answer; N] {
    let database = fixture.folder.path().join("postern.db");
    let other = rusqlite::Connection::open(database).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let racers = [(); N].map(|()| {
        let (fixture, token) = (Arc::clone(fixture), token.to_owned());
        tokio::spawn(async move { fixture.refresh(&token).await })
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    meanwhile();
    other.execute_batch("COMMIT").unwrap();
    let mut answers = Vec::new();
    for racer in racers {
        answers.push(racer.await.unwrap());
    }
    answers.try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_window_begins_with_the_commit() {
    let fixture = Arc::new(Fixture::new().await);
    let first = fixture.login("shop").await;
    let [answer] = held_up(&fixture, &first, || fixture.clock.advance(15)).await;
    let second = answer.token();
    assert_eq!(fixture.session(&first).await.refreshed_at.0, fixture.now());
    assert_eq!(claims(&second)["iat"], fixture.now());
    fixture.clock.advance(10);
    assert_eq!(claims(&fixture.refresh(&first).await.token()), claims(&second));
    fixture.clock.advance(1);
    fixture.refresh(&first).await.assert_refused(401, "Invalid refresh token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_expires_while_its_refresh_waits_has_expired() {
    let fixture = Arc::new(Fixture::new().await);
    let first = fixture.login("shop").await;
    let [answer] = held_up(&fixture, &first, || fixture.clock.advance(SESSION_LIFETIME)).await;
    answer.assert_refused(401, "Session expired");
    assert_eq!(end_reason(&fixture, &first).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn losing_a_race_is_no_reuse_however_long_it_takes() {
    let fixture = Arc::new(Fixture::new().await);
    let first = fixture.login("shop").await;
    // Every step takes longer than the window.
    fixture.clock.advance_when_read(11);
    let [one, two, three] = held_up(&fixture, &first, || {}).await;
    assert_eq!(claims(&one.token()), claims(&two.token()));
    assert_eq!(claims(&one.token()), claims(&three.token()));
    assert_eq!(end_reason(&fixture, &first).await, None);
}

#[tokio::test]
async fn a_clock_that_was_set_back_does_not_open_the_window_again() {
    let fixture = Fixture::new().await;
    fixture.clock.advance(100);
    let first = fixture.login("shop").await;
    fixture.refresh(&first).await.token();
    fixture.clock.set_back(50);
    fixture.refresh(&first).await.assert_refused(401, "Invalid refresh token");
}

#[tokio::test]
async fn a_damaged_key_does_not_cost_the_refresh_token() {
    let fixture = Fixture::new().await;
    let token = fixture.login("shop").await;
    let domain = fixture.ports.store.domain(&"shop".parse().unwrap()).await.unwrap().unwrap();
    let sound = fixture.key_set("shop").await;
    let damaged = KeySet { generation: 2, ..sound.clone() }.with_damaged_current();
    let mended = KeySet { generation: 3, ..sound };
    let replace = async |generation, key_set: KeySet| {
        let (vault, clock) = (&fixture.ports.vault, fixture.ports.clock.clone());
        vault.replace_key_set(&domain.key_set, generation, &key_set, clock).await.unwrap();
    };
    replace(1, damaged).await;
    fixture.refresh(&token).await.assert_refused(500, "Internal error");
    fixture.clock.advance(60);
    replace(2, mended).await;
    assert_eq!(fixture.refresh(&token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_is_no_token_of_the_domain_is_refused() {
    let fixture = Fixture::new().await;
    fixture.create_domain("blog", SigningAlgorithm::Es256).await;
    let token = fixture.login("shop").await;
    fixture.get("/refresh").await.assert_refused(401, "No token");
    for garbage in ["x", "a.b.c", &with_wrong_signature(&token), &format!("{token}x")] {
        fixture.refresh(garbage).await.assert_refused(401, "Invalid token");
    }
    let forged = |changes| fixture.forge(&token, changes);
    let other_audience = forged(json!({ "aud": "elsewhere" })).await;
    let stolen_key = forged(json!({ "iss": format!("{URL}/blog") })).await;
    for token in [other_audience, stolen_key] {
        fixture.refresh(&token).await.assert_refused(401, "Invalid token");
    }
    for issuer in ["https://evil.example.com/shop", &format!("{URL}/nowhere"), URL, ""] {
        let token = forged(json!({ "iss": issuer })).await;
        fixture.refresh(&token).await.assert_refused(401, "Invalid domain");
    }
    for session in ["", "unknown"] {
        let token = forged(json!({ "session": session })).await;
        fixture.refresh(&token).await.assert_refused(401, "Invalid session");
    }
    let other_user = forged(json!({ "sub": "someone else" })).await;
    fixture.refresh(&other_user).await.assert_refused(401, "Invalid session");
    let without = forged(json!({ "refresh_token": null })).await;
    fixture.refresh(&without).await.assert_refused(401, "Invalid refresh token");
}

#[tokio::test]
async fn a_disabled_user_can_neither_refresh_nor_log_in() {
    let fixture = Fixture::new().await;
    let token = fixture.login("shop").await;
    let (shop, ada) = ("shop".parse().unwrap(), "ada".parse().unwrap());
    fixture.ports.disable_user(&shop, &ada).await.unwrap();
    assert_eq!(end_reason(&fixture, &token).await, Some(EndReason::Disabled));
    fixture.refresh(&token).await.assert_refused(401, "Invalid session");
    fixture.bearer("GET", "/auth", &token).await.assert_refused(403, "Invalid session");
    let answer = fixture.try_login("shop", "ada", PASSWORD).await;
    answer.assert_refused(400, "Invalid username or password");
}

#[tokio::test]
async fn sessions_survive_rotations_that_their_tokens_do_not() {
    let fixture = Fixture::new().await;
    let token = fixture.login("shop").await;
    let shop: DomainName = "shop".parse().unwrap();
    let mut fresh_from_stolen_key = fixture.forge(&token, json!({ "exp": u32::MAX })).await;
    fixture.ports.rotate_keys(&shop, Rotation::Regular).await.unwrap();
    fixture.clock.advance(TOKEN_LIFETIME + 60);
    assert!(
        !published_key_ids(&fixture)
            .await
            .contains(&fixture.key_set("shop").await.previous[0].key.id)
    );
    // Its key is published no more, and still vouches for a token that has expired, only.
    fixture.refresh(&fresh_from_stolen_key).await.assert_refused(401, "Invalid token");
    assert_eq!(fixture.refresh(&token).await.status, StatusCode::OK);
    fresh_from_stolen_key.push('A');
    fixture.refresh(&fresh_from_stolen_key).await.assert_refused(401, "Invalid token");
}

#[tokio::test]
async fn a_compromised_key_is_neither_published_nor_recognized() {
    let fixture = Fixture::new().await;
    let shop: DomainName = "shop".parse().unwrap();
    let oldest = fixture.login("shop").await;
    fixture.ports.rotate_keys(&shop, Rotation::Regular).await.unwrap();
    let old = fixture.login("shop").await;
    let rotated = fixture.ports.rotate_keys(&shop, Rotation::Compromised).await.unwrap();
    let published = published_key_ids(&fixture).await;
    assert_eq!(published, [rotated.next.id, rotated.current.id]);
    for token in [oldest, old] {
        fixture.refresh(&token).await.assert_refused(401, "Invalid token");
        fixture.bearer("GET", "/auth", &token).await.assert_refused(403, "Invalid token");
    }
    let new = fixture.login("shop").await;
    assert_eq!(fixture.bearer("GET", "/auth", &new).await.status, StatusCode::OK);
}

async fn published_key_ids(fixture: &Fixture) -> Vec<String> {
    let answer = fixture.get("/shop/.well-known/jwks.json").await;
    let keys = answer.body["keys"].as_array().unwrap().clone();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

use axum::http::header::IF_NONE_MATCH;

use super::*;
use crate::{administration::AdministrationError, key_set::RotationError};

const PATH: &str = "/shop/.well-known/jwks.json";

async fn conditional(fixture: &Fixture, tags: &[&str]) -> Answer {
    let mut request = Request::get(PATH);
    for tag in tags {
        request = request.header(IF_NONE_MATCH, *tag);
    }
    fixture.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn public_keys_are_published_for_caches() {
    let fixture = Fixture::new().await;
    let answer = fixture.get(PATH).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/jwk-set+json");
    assert_eq!(answer.header("cache-control"), "public, max-age=120, stale-if-error=86400");
    let key_set = fixture.key_set("shop").await;
    let keys = answer.body["keys"].as_array().unwrap();
    for (published, key) in keys.iter().zip([&key_set.next, &key_set.current]) {
        let members: Vec<_> = published.as_object().unwrap().keys().collect();
        assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
        assert_eq!((&published["kid"], &published["use"]), (&json!(key.id), &json!("sig")));
    }
    assert_eq!(keys.len(), 2);
}

#[tokio::test]
async fn a_domain_with_secrets_publishes_none() {
    let fixture = Fixture::with(SigningAlgorithm::Hs256, AUTHORIZATION).await;
    assert_eq!(fixture.get(PATH).await.body, json!({ "keys": [] }));
}

#[tokio::test]
async fn unknown_domains_have_no_keys() {
    let fixture = Fixture::new().await;
    for domain in ["nowhere", "SHOP", "%2e%2e", "%ff", "login"] {
        let answer = fixture.get(&format!("/{domain}/.well-known/jwks.json")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{domain}");
        assert!(answer.body["message"].is_string());
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn who_has_the_set_already_is_not_sent_it() {
    let fixture = Fixture::new().await;
    let etag = fixture.get(PATH).await.header("etag").to_owned();
    assert!(etag.starts_with("\"1-") && etag.ends_with('"'), "{etag}");
    let weak = format!("W/{etag}");
    let list = format!("\"other\", {etag}");
    for tags in [&[etag.as_str()][..], &[&weak], &[&list], &["*"], &["\"other\"", &etag]] {
        let answer = conditional(&fixture, tags).await;
        assert_eq!(answer.status, StatusCode::NOT_MODIFIED, "{tags:?}");
        assert_eq!(answer.body, Value::Null);
        assert_eq!(answer.header("etag"), etag);
        assert_eq!(answer.header("cache-control"), "public, max-age=120, stale-if-error=86400");
    }
    for tags in [&["\"other\""][..], &[etag.trim_matches('"')], &["\"other\", W/\"more\""], &[""]] {
        assert_eq!(conditional(&fixture, tags).await.status, StatusCode::OK, "{tags:?}");
    }
    fixture.ports.rotate_keys(&"shop".parse().unwrap(), Rotation::Regular).await.unwrap();
    assert_eq!(conditional(&fixture, &[&etag]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn next_is_published_before_it_signs_and_previous_until_its_tokens_are_over() {
    let fixture = Fixture::new().await;
    let shop: DomainName = "shop".parse().unwrap();
    let published = async || {
        let body = fixture.get(PATH).await.body;
        let keys = body["keys"].as_array().unwrap().clone();
        keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let before = published().await;
    let first = fixture.key_set("shop").await;
    let second = fixture.ports.rotate_keys(&shop, Rotation::Regular).await.unwrap();
    assert!(before.contains(&second.current.id), "known before it signs");
    assert_eq!(published().await, [&*second.next.id, &second.current.id, &first.current.id]);

    fixture.clock.advance(TOKEN_LIFETIME + 60 - 50);
    let answer = fixture.get(PATH).await;
    assert_eq!(answer.header("cache-control"), "public, max-age=50, stale-if-error=86400");
    let etag = answer.header("etag").to_owned();
    fixture.clock.advance(50);
    assert_eq!(published().await, [&*second.next.id, &second.current.id]);
    assert_eq!(conditional(&fixture, &[&etag]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_rotation_that_comes_too_soon_is_refused_unless_forced() {
    let fixture = Fixture::new().await;
    let shop: DomainName = "shop".parse().unwrap();
    fixture.ports.rotate_keys(&shop, Rotation::Regular).await.unwrap();
    fixture.clock.advance(20);
    let refused = fixture.ports.rotate_keys(&shop, Rotation::Regular).await.unwrap_err();
    assert!(matches!(
        refused,
        AdministrationError::Rotation(RotationError::TooSoon { seconds_left: 161 })
    ));
    assert_eq!(fixture.key_set("shop").await.generation, 2);
    assert_eq!(fixture.ports.rotate_keys(&shop, Rotation::Forced).await.unwrap().generation, 3);
    fixture.clock.advance(JWKS_MAX_AGE + 61);
    assert_eq!(fixture.ports.rotate_keys(&shop, Rotation::Regular).await.unwrap().generation, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_concurrent_rotations_one_applies() {
    let fixture = Arc::new(Fixture::new().await);
    let rotations: Vec<_> = (0..10)
        .map(|_| {
            let ports = fixture.ports.clone();
            tokio::spawn(async move {
                ports.rotate_keys(&"shop".parse().unwrap(), Rotation::Regular).await
            })
        })
        .collect();
    let mut applied = 0;
    for rotation in rotations {
        match rotation.await.unwrap() {
            Ok(_) => applied += 1,
            Err(
                AdministrationError::RotatedMeanwhile(_)
                | AdministrationError::Rotation(RotationError::TooSoon { .. }),
            ) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(applied, 1);
    assert_eq!(fixture.key_set("shop").await.generation, 2);
}

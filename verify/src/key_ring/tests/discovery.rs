//! Keys that are found through the issuer's configuration.

use super::*;

const ISSUER: &str = "https://login.example.com/t/";

fn ring() -> KeyRing {
    ring_of(json!({"p": {"issuer": ISSUER, "openid_discovery": {
        "http_uri": {"cluster": "c", "timeout": "2s"}, "jwks_cluster": "k",
        "cache_duration": "100s", "max_stale": "200000s"}}}))
}

fn configuration(jwks_uri: &str) -> String {
    json!({"issuer": ISSUER, "jwks_uri": jwks_uri, "token_endpoint": "https://x"}).to_string()
}

/// Answers the configuration and the keys from `start` on.
fn filled(start: Duration) -> KeyRing {
    let mut ring = ring();
    let found = configuration("https://keys.example.com/k?v=1");
    assert_eq!(ends(&mut ring, start, answer(found.as_bytes())).unwrap(), KeyUpdate::Discovered);
    ends(&mut ring, start, answer(JWKS)).unwrap();
    ring
}

/// The next fetch when its time comes, and when that is.
fn next(ring: &mut KeyRing) -> (String, Duration) {
    let now = ring.next_wakeup().unwrap().max(at(0));
    let fetch = ring.poll_fetch(now).unwrap();
    (format!("{}{}", fetch.source.authority, fetch.source.path), now)
}

#[test]
fn the_configuration_says_where_the_keys_are() {
    let mut ring = ring();
    let fetch = ring.poll_fetch(at(0)).unwrap();
    assert_eq!(fetch.source.authority, "login.example.com");
    assert_eq!(fetch.source.path, "/t/.well-known/openid-configuration");
    assert_eq!((fetch.source.cluster.as_deref(), fetch.accept), (Some("c"), "application/json"));
    let found = configuration("https://keys.example.com/k?v=1");
    let update = ring.end_fetch(&only(), answer(found.as_bytes()), at(1)).unwrap();
    assert_eq!(update, KeyUpdate::Discovered);
    assert_eq!(state(&ring, "a", 1), "await");
    let fetch = ring.poll_fetch(at(1)).unwrap();
    assert_eq!(
        (fetch.source.authority.as_str(), fetch.source.path.as_str()),
        ("keys.example.com", "/k?v=1")
    );
    assert_eq!((fetch.source.cluster.as_deref(), &fetch.if_none_match), (Some("k"), &None));
    ring.end_fetch(&only(), answer(JWKS), at(1)).unwrap();
    assert_eq!(state(&ring, "a", 1), "ready");
    let (place, _) = next(&mut ring);
    assert_eq!(place, "keys.example.com/k?v=1", "the configuration is known for a while");
}

#[test]
fn the_configuration_has_a_lifetime_of_its_own() {
    for (cache_control, seconds) in [
        (None, 24 * 3_600),
        (Some(&b"max-age=3600"[..]), 3_600),
        (Some(b"no-store"), 300),
        (Some(b"max-age=9999999"), 24 * 3_600),
    ] {
        let mut ring = ring();
        let found = configuration("https://k/");
        let body = found.as_bytes();
        let etag = Some(&b"\"c\""[..]);
        let fetched = Fetched::Response { status: 200, etag, cache_control, age: None, body };
        ends(&mut ring, at(0), fetched).unwrap();
        let fetch = loop {
            let now = ring.next_wakeup().unwrap();
            let fetch = ring.poll_fetch(now).unwrap();
            if fetch.source.authority != "k" {
                assert!((at(seconds)..at(seconds + 100)).contains(&now), "{seconds}: {now:?}");
                break fetch;
            }
            ring.end_fetch(&only(), answer(JWKS), now).unwrap();
        };
        assert_eq!(fetch.if_none_match.as_deref(), Some(&b"\"c\""[..]));
        let now = at(seconds + 100);
        assert_eq!(ring.end_fetch(&only(), status(304), now).unwrap(), KeyUpdate::Discovered);
        let fetch = ring.poll_fetch(now).unwrap();
        assert_eq!((fetch.source.authority.as_str(), fetch.if_none_match.is_some()), ("k", true));
    }
}

#[test]
fn a_configuration_of_another_issuer_or_with_a_bad_uri_is_none() {
    let with = |issuer: &str, jwks_uri: Value| json!({"issuer": issuer, "jwks_uri": jwks_uri});
    let long = format!("https://k/{}", "a".repeat(2_048));
    for (document, expected) in [
        (with("https://login.example.com/t", json!("https://k")), "is another issuer's"),
        (with("https://LOGIN.example.com/t/", json!("https://k")), "is another issuer's"),
        (json!({"jwks_uri": "https://k"}), "is another issuer's"),
        (with(ISSUER, json!("http://k/")), "has a bad `jwks_uri`: its scheme must be `https`"),
        (with(ISSUER, json!("https://u:p@k/")), "has a bad `jwks_uri`: it must have a host"),
        (with(ISSUER, json!("https://k/#f")), "has a bad `jwks_uri`: it must hold neither"),
        (with(ISSUER, json!("/jwks")), "has a bad `jwks_uri`: it must be an absolute URI"),
        (with(ISSUER, json!(["https://k"])), "has a bad `jwks_uri`: it must be an absolute"),
        (with(ISSUER, json!(long)), "has a bad `jwks_uri`: it must not be longer"),
        (json!([]), "is not a JSON object"),
    ] {
        let mut ring = ring();
        let document = document.to_string();
        let error = ends(&mut ring, at(0), answer(document.as_bytes())).unwrap_err().to_string();
        let expected = format!("the configuration of the issuer {expected}");
        assert!(error.starts_with(&expected), "{document}: {error}");
        assert_eq!(state(&ring, "a", 0), "unavailable");
        let (place, _) = next(&mut ring);
        assert_eq!(place, "login.example.com/t/.well-known/openid-configuration");
    }
    let large = vec![b' '; 64 * 1024 + 1];
    let error = ends(&mut ring(), at(0), answer(&large)).unwrap_err().to_string();
    assert!(error.ends_with("has 65537 bytes, at most 65536"), "{error}");
}

#[test]
fn an_http_configuration_may_name_an_http_place() {
    let mut ring = ring_of(json!({"p": {"issuer": ISSUER, "openid_discovery": {
        "http_uri": {"uri": "http://mesh/c"}}}}));
    let found = configuration("http://k/");
    assert_eq!(ends(&mut ring, at(0), answer(found.as_bytes())).unwrap(), KeyUpdate::Discovered);
}

#[test]
fn keys_that_are_gone_make_it_ask_again_where_they_are() {
    for gone in [404, 410] {
        let mut ring = filled(at(0));
        let (_, now) = next(&mut ring);
        ring.end_fetch(&only(), status(gone), now).unwrap_err();
        let (place, now) = next(&mut ring);
        assert_eq!(place, "login.example.com/t/.well-known/openid-configuration");
        let found = configuration("https://new.example.com/");
        ring.end_fetch(&only(), answer(found.as_bytes()), now).unwrap();
        let fetch = ring.poll_fetch(now).unwrap();
        assert_eq!(fetch.source.authority, "new.example.com");
        assert_eq!(fetch.if_none_match, None, "the old `ETag` says nothing of the new place");
        ring.end_fetch(&only(), answer(JWKS), now).unwrap();
        assert_eq!(ring.generation(&only()), 1);
    }
    let mut ring = filled(at(0));
    let (_, now) = next(&mut ring);
    ring.end_fetch(&only(), status(500), now).unwrap_err();
    assert_eq!(next(&mut ring).0, "keys.example.com/k?v=1", "a failure is no reason");
}

#[test]
fn where_the_configuration_fails_the_old_place_serves_for_now() {
    let mut ring = filled(at(0));
    let late = at(24 * 3_600 + 1);
    let bad = json!({"issuer": "https://evil", "jwks_uri": "https://evil/"}).to_string();
    for fetched in [Fetched::Failed, answer(bad.as_bytes())] {
        let mut ring = filled(at(0));
        ends(&mut ring, late, fetched).unwrap_err();
        let fetch = ring.poll_fetch(late).unwrap();
        assert_eq!(fetch.source.authority, "keys.example.com");
        ring.end_fetch(&only(), status(304), late).unwrap();
        assert_eq!(state_at(&ring, "a", late), "ready");
    }
    let too_late = at(200_001);
    ends(&mut ring, too_late, Fetched::Failed).unwrap_err();
    assert_eq!(ring.poll_fetch(too_late), None, "but not for ever");
    assert_eq!(state_at(&ring, "a", too_late), "unavailable");
}

#[test]
fn a_clock_that_goes_back_does_not_ask_without_end() {
    let mut ring = filled(at(0));
    let early = Duration::from_secs(5);
    ends(&mut ring, early, Fetched::Failed).unwrap_err();
    assert_eq!(ring.poll_fetch(early).unwrap().source.authority, "keys.example.com");
}

#[test]
fn an_unknown_key_waits_for_both_steps() {
    let mut ring = filled(at(0));
    let late = at(24 * 3_600 + 1);
    ring.poll_fetch(late).unwrap();
    let found = configuration("https://keys.example.com/k?v=1");
    ring.end_fetch(&only(), answer(found.as_bytes()), late).unwrap();
    assert_eq!(state_at(&ring, "b", late), "await");
}

//! The ring in virtual time.

use super::*;

const JWKS: &[u8] = br#"{"keys": [{"kid": "a", "kty": "EC", "crv": "P-256",
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

const EMPTY: &[u8] = br#"{"keys": []}"#;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(1_000_000 + seconds)
}

fn ring() -> KeyRing {
    let policy = br#"{"providers": {"p": {"issuer": "i", "remote_jwks": {
        "http_uri": {"uri": "https://a/jwks", "timeout": "2s"},
        "cache_duration": "100s", "max_stale": "1000s"}}}, "rules": []}"#;
    KeyRing::new(&Policy::parse(policy).unwrap())
}

fn answer(body: &'static [u8]) -> Fetched<'static> {
    Fetched::Response { status: 200, etag: Some(b"\"1\""), cache_control: None, age: None, body }
}

fn status(status: u16) -> Fetched<'static> {
    Fetched::Response { status, etag: None, cache_control: None, age: None, body: b"" }
}

/// A ring that has fetched its keys at second 0.
fn filled() -> KeyRing {
    let mut ring = ring();
    assert!(ring.poll_fetch(at(0)).is_some());
    ring.handle_fetched(0, answer(JWKS), at(0)).unwrap();
    ring
}

fn state(ring: &KeyRing, key_id: &str, seconds: u64) -> &'static str {
    match ring.at_hand(0, Some(key_id), at(seconds)) {
        KeysAtHand::Ready(_) => "ready",
        KeysAtHand::Await => "await",
        KeysAtHand::Unavailable { .. } => "unavailable",
    }
}

fn fails(ring: &mut KeyRing, seconds: u64) {
    assert!(ring.poll_fetch(at(seconds)).is_some(), "no fetch is due at {seconds}");
    ring.handle_fetched(0, Fetched::Failed, at(seconds)).unwrap_err();
}

#[test]
fn fetches_at_once_and_one_at_a_time() {
    let mut ring = ring();
    assert_eq!(state(&ring, "a", 0), "await");
    let fetch = ring.poll_fetch(at(0)).unwrap();
    assert_eq!((fetch.provider, fetch.if_none_match), (0, None));
    assert_eq!((fetch.source.authority.as_str(), fetch.source.path.as_str()), ("a", "/jwks"));
    assert_eq!(ring.poll_fetch(at(1)), None);
    let update = ring.handle_fetched(0, answer(JWKS), at(1)).unwrap();
    assert_eq!(update, KeyUpdate::Replaced { keys: 1, skipped: vec![] });
    assert_eq!((state(&ring, "a", 1), ring.generation(0)), ("ready", 1));
}

#[test]
fn refreshes_when_the_set_is_no_longer_fresh() {
    let mut ring = filled();
    assert_eq!(ring.next_wakeup(), Some(at(100)));
    assert_eq!(ring.poll_fetch(at(99)), None);
    let fetch = ring.poll_fetch(at(100)).unwrap();
    assert_eq!(fetch.if_none_match.as_deref(), Some(&b"\"1\""[..]));
    let update = ring.handle_fetched(0, status(304), at(100)).unwrap();
    assert_eq!((update, ring.generation(0)), (KeyUpdate::Unchanged, 1));
    assert_eq!(ring.next_wakeup(), Some(at(200)));
}

#[test]
fn the_issuers_max_age_may_shorten_the_policys_cache_duration() {
    for (header, age, seconds) in [
        ("max-age=30", None, 30),
        ("max-age=30", Some("10"), 20),
        ("max-age=30", Some("40"), 1),
        ("max-age=30", Some("x"), 30),
        ("public, MAX-AGE=\"40\"", None, 40),
        ("max-age=500", None, 100),
        ("max-age=0", None, 1),
        ("max-age=-1", None, 100),
        ("s-maxage=5, no-transform", None, 100),
        ("max-age=99999999999999999999", None, 100),
    ] {
        let mut ring = ring();
        ring.poll_fetch(at(0)).unwrap();
        let cache_control = Some(header.as_bytes());
        let age = age.map(str::as_bytes);
        let fetched = Fetched::Response { status: 200, etag: None, cache_control, age, body: JWKS };
        ring.handle_fetched(0, fetched, at(0)).unwrap();
        assert_eq!(ring.next_wakeup(), Some(at(seconds)), "{header}");
    }
}

#[test]
fn without_keys_it_says_so_and_recovers() {
    let mut ring = ring();
    fails(&mut ring, 0);
    let KeysAtHand::Unavailable { retry_after } = ring.at_hand(0, None, at(0)) else { panic!() };
    assert_eq!(retry_after, FIRST_BACK_OFF);
    for (second, wait) in [(1, 2), (3, 4), (7, 8), (15, 16), (31, 16)] {
        fails(&mut ring, second);
        assert_eq!(ring.next_wakeup(), Some(at(second + wait)));
    }
    assert_eq!(state(&ring, "a", 46), "unavailable");
    assert_eq!(state(&ring, "a", 47), "await");
    ring.poll_fetch(at(47)).unwrap();
    ring.handle_fetched(0, answer(JWKS), at(47)).unwrap();
    assert_eq!(state(&ring, "a", 47), "ready");
}

#[test]
fn the_last_good_set_outlives_an_outage_up_to_max_stale() {
    let mut ring = filled();
    fails(&mut ring, 100);
    ring.poll_fetch(at(101)).unwrap();
    ring.handle_fetched(0, status(500), at(101)).unwrap_err();
    ring.poll_fetch(at(103)).unwrap();
    ring.handle_fetched(0, answer(b"<html>"), at(103)).unwrap_err();
    assert_eq!((state(&ring, "a", 1_000), ring.generation(0)), ("ready", 1));
    assert_eq!(state(&ring, "a", 1_001), "await");
    fails(&mut ring, 1_001);
    assert_eq!(state(&ring, "a", 1_001), "unavailable");
}

#[test]
fn an_unknown_key_causes_one_fetch_and_then_a_pause() {
    let mut ring = filled();
    assert_eq!(state(&ring, "b", 4), "ready");
    assert_eq!(state(&ring, "b", 5), "await");
    assert_eq!(state(&ring, "a", 5), "ready");
    assert!(ring.demand(0, at(5)), "the first demand makes a fetch due");
    assert!(!ring.demand(0, at(5)), "the second does not");
    assert!(ring.poll_fetch(at(5)).is_some());
    assert!(!ring.demand(0, at(5)), "nor one while the fetch is under way");
    assert_eq!((state(&ring, "b", 6), ring.poll_fetch(at(6))), ("await", None));
    ring.handle_fetched(0, status(304), at(6)).unwrap();
    assert_eq!(state(&ring, "b", 6), "ready");
    ring.demand(0, at(7));
    assert_eq!(ring.poll_fetch(at(7)), None);
}

#[test]
fn the_pause_after_an_unknown_key_counts_from_the_end_of_the_fetch() {
    let mut ring = filled();
    ring.demand(0, at(5));
    ring.poll_fetch(at(5)).unwrap();
    ring.handle_fetched(0, answer(JWKS), at(8)).unwrap();
    assert_eq!(state(&ring, "b", 12), "ready");
    assert_eq!(state(&ring, "b", 13), "await");
}

#[test]
fn the_same_set_again_is_no_change() {
    let mut ring = filled();
    ring.poll_fetch(at(100)).unwrap();
    let update = ring.handle_fetched(0, answer(JWKS), at(100)).unwrap();
    assert_eq!((update, ring.generation(0)), (KeyUpdate::Unchanged, 1));
}

#[test]
fn a_set_of_unusable_keys_withdraws_the_usable_ones() {
    let mut ring = filled();
    ring.poll_fetch(at(100)).unwrap();
    let post_quantum = br#"{"keys": [{"kid": "pq", "kty": "AKP"}]}"#;
    let update = ring.handle_fetched(0, answer(post_quantum), at(100)).unwrap();
    let skipped = vec!["keys[0] (`pq`): `kty` is not supported".to_owned()];
    assert_eq!(update, KeyUpdate::Replaced { keys: 0, skipped });
}

#[test]
fn an_unknown_key_does_not_cut_a_back_off_short() {
    let mut ring = filled();
    for second in [100, 101, 103, 107] {
        fails(&mut ring, second);
    }
    assert_eq!(ring.next_wakeup(), Some(at(115)));
    assert_eq!(state(&ring, "b", 114), "ready");
    ring.demand(0, at(114));
    assert_eq!(ring.poll_fetch(at(114)), None);
    assert_eq!(state(&ring, "b", 115), "await");
}

#[test]
fn a_withdrawn_key_is_gone_at_once() {
    let mut ring = filled();
    ring.poll_fetch(at(100)).unwrap();
    ring.handle_fetched(0, answer(EMPTY), at(100)).unwrap();
    let KeysAtHand::Ready(keys) = ring.at_hand(0, Some("a"), at(100)) else { panic!() };
    assert!(keys.is_empty());
    assert_eq!(ring.generation(0), 2);
}

#[test]
fn a_fetch_that_is_never_reported_counts_as_failed() {
    let mut ring = ring();
    ring.poll_fetch(at(0)).unwrap();
    assert_eq!(ring.poll_fetch(at(3)), None);
    assert!(ring.poll_fetch(at(4)).is_some());
}

#[test]
fn a_failure_that_is_reported_a_moment_later_is_no_clock_that_goes_back() {
    let mut ring = ring();
    let (now, later) = (at(0), at(0) + Duration::from_micros(3));
    assert!(ring.poll_fetch(now).is_some());
    ring.handle_fetched(0, Fetched::Failed, later).unwrap_err();
    assert_eq!(ring.poll_fetch(now), None);
    assert_eq!(ring.poll_fetch(later), None);
}

#[test]
fn a_clock_that_is_read_in_another_order_does_not_fetch_twice() {
    let mut ring = ring();
    assert!(ring.poll_fetch(at(10)).is_some());
    assert_eq!(ring.poll_fetch(at(10).saturating_sub(Duration::from_millis(1))), None);
}

#[test]
fn an_overdue_fetch_is_worth_a_tick() {
    let mut ring = filled();
    assert!(!ring.demand(0, at(100)), "a tick is about to come");
    assert!(ring.demand(0, at(5_000)), "the clock has jumped");
    assert!(!ring.demand(0, at(5_000)), "one tick is enough");
    assert!(ring.demand(0, at(5_002)), "unless it does not come");
}

#[test]
fn a_clock_that_goes_back_does_not_stop_the_fetching() {
    let mut ring = filled();
    assert!(ring.poll_fetch(Duration::from_secs(5)).is_some());
    let mut ring = self::ring();
    fails(&mut ring, 0);
    let early = Duration::from_secs(5);
    let KeysAtHand::Unavailable { retry_after } = ring.at_hand(0, None, early) else { panic!() };
    assert_eq!(retry_after, MAX_BACK_OFF);
}

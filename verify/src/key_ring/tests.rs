//! The ring in virtual time.

mod copies;
mod discovery;
mod domains;
mod edges;
mod strangers;

use serde_json::{Value, json};

use super::{
    slot::{OVERDUE, UNKNOWN_KEY_COOLDOWN},
    *,
};

pub(super) const JWKS: &[u8] = br#"{"keys": [{"kid": "a", "kty": "EC", "crv": "P-256",
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

const EMPTY: &[u8] = br#"{"keys": []}"#;

pub(super) fn at(seconds: u64) -> Duration {
    Duration::from_secs(1_000_000 + seconds)
}

pub(super) fn ring_of(providers: Value) -> KeyRing {
    let policy = json!({"providers": providers, "rules": []}).to_string();
    KeyRing::new(&Policy::parse(policy.as_bytes()).unwrap())
}

/// A provider's ring whose policy has these members beside the usual ones.
fn ring_with(changes: Value) -> KeyRing {
    let mut remote = json!({"http_uri": {"uri": "https://a/jwks", "timeout": "2s"},
        "cache_duration": "100s", "max_stale": "1000s"});
    for (name, value) in changes.as_object().unwrap() {
        remote[name] = value.clone();
    }
    ring_of(json!({"p": {"issuer": "i", "remote_jwks": remote}}))
}

fn ring() -> KeyRing {
    ring_with(json!({}))
}

pub(super) fn only() -> KeySetId {
    KeySetId::new(0, None)
}

pub(super) fn answer(body: &[u8]) -> Fetched<'_> {
    Fetched::Response { status: 200, etag: Some(b"\"1\""), cache_control: None, age: None, body }
}

pub(super) fn status(status: u16) -> Fetched<'static> {
    Fetched::Response { status, etag: None, cache_control: None, age: None, body: b"" }
}

/// A ring that has fetched its keys at second 0.
fn filled() -> KeyRing {
    let mut ring = ring();
    ends(&mut ring, at(0), answer(JWKS)).unwrap();
    ring
}

/// A fetch that is due begins and ends at once.
fn ends(ring: &mut KeyRing, now: Duration, fetched: Fetched<'_>) -> Result<KeyUpdate, FetchError> {
    let fetch = ring.poll_fetch(now).unwrap_or_else(|| panic!("no fetch is due at {now:?}"));
    ring.handle_fetched(&fetch, fetched, now)
}

/// The next fetch, when its time comes, fails. Says when that was.
fn fails_next(ring: &mut KeyRing) -> Duration {
    let now = ring.next_wakeup().unwrap().max(at(0));
    ends(ring, now, Fetched::Failed).unwrap_err();
    now
}

fn name(keys: KeysAtHand<'_>) -> &'static str {
    match keys {
        KeysAtHand::Ready { .. } => "ready",
        KeysAtHand::Await => "await",
        KeysAtHand::Unavailable { .. } => "unavailable",
    }
}

fn state_at(ring: &KeyRing, key_id: &str, now: Duration) -> &'static str {
    name(ring.at_hand(0, None, Some(key_id), now))
}

fn state(ring: &KeyRing, key_id: &str, seconds: u64) -> &'static str {
    state_at(ring, key_id, at(seconds))
}

fn retry_after(ring: &KeyRing, now: Duration) -> Duration {
    match ring.at_hand(0, None, None, now) {
        KeysAtHand::Unavailable { retry_after } => retry_after,
        other => panic!("{}", name(other)),
    }
}

#[test]
fn fetches_at_once_and_one_at_a_time() {
    let mut ring = ring();
    assert_eq!(state(&ring, "a", 0), "await");
    let fetch = ring.poll_fetch(at(0)).unwrap();
    assert_eq!((&fetch.key_set, &fetch.if_none_match), (&only(), &None));
    assert_eq!((fetch.source.authority.as_str(), fetch.source.path.as_str()), ("a", "/jwks"));
    assert_eq!(fetch.accept, "application/jwk-set+json, application/json");
    assert_eq!(ring.poll_fetch(at(1)), None);
    let update = ring.end_fetch(&only(), answer(JWKS), at(1)).unwrap();
    assert_eq!(update, KeyUpdate::Replaced { keys: 1, skipped: vec![] });
    assert_eq!((state(&ring, "a", 1), ring.generation(&only())), ("ready", 1));
}

#[test]
fn refreshes_ahead_of_the_end_of_the_lifetime() {
    let mut ring = filled();
    let due = ring.next_wakeup().unwrap();
    assert!((at(80)..=at(95)).contains(&due), "{due:?}");
    assert_eq!(ring.poll_fetch(due.saturating_sub(Duration::from_millis(1))), None);
    let fetch = ring.poll_fetch(due).unwrap();
    assert_eq!(fetch.if_none_match.as_deref(), Some(&b"\"1\""[..]));
    let update = ring.end_fetch(&only(), status(304), due).unwrap();
    assert_eq!((update, ring.generation(&only())), (KeyUpdate::Unchanged, 1));
    let wait = ring.next_wakeup().unwrap().saturating_sub(due);
    assert!((80..=95).contains(&wait.as_secs()), "{wait:?}");
}

#[test]
fn two_rings_refresh_at_different_times_and_one_always_at_the_same() {
    let due = |seed| {
        let mut ring = ring().with_jitter_seed(seed);
        ends(&mut ring, at(0), answer(JWKS)).unwrap();
        ring.next_wakeup().unwrap()
    };
    assert_eq!(due(1), due(1));
    assert_ne!(due(1), due(2));
}

#[test]
fn the_issuers_max_age_counts_and_stays_where_a_304_is_silent() {
    let says = |status, cache_control| Fetched::Response {
        status,
        etag: None,
        cache_control,
        age: None,
        body: JWKS,
    };
    let mut ring = ring();
    for (fetched, seconds) in [
        (says(200, Some(&b"max-age=50"[..])), 50),
        (says(304, None), 50),
        (says(304, Some(b"max-age=20")), 20),
        (says(304, None), 20),
        (says(304, Some(b"no-cache")), 5),
        (says(200, None), 100),
    ] {
        let now = ring.next_wakeup().unwrap().max(at(0));
        ends(&mut ring, now, fetched).unwrap();
        let wait = ring.next_wakeup().unwrap().saturating_sub(now).as_millis();
        assert!((seconds * 800..=seconds * 950).contains(&wait), "{seconds} s: {wait} ms");
    }
}

#[test]
fn without_keys_it_says_so_and_recovers() {
    let mut ring = ring();
    ends(&mut ring, at(0), Fetched::Failed).unwrap_err();
    let mut now = at(0);
    for nominal in [1_000, 2_000, 4_000, 8_000, 16_000, 16_000] {
        let due = ring.next_wakeup().unwrap();
        let wait = due.saturating_sub(now);
        assert!((nominal * 3 / 4..=nominal).contains(&wait.as_millis()), "{wait:?}");
        assert_eq!(retry_after(&ring, now), wait);
        let before = due.saturating_sub(Duration::from_millis(1));
        assert_eq!((state_at(&ring, "a", before), ring.poll_fetch(before)), ("unavailable", None));
        assert_eq!(state_at(&ring, "a", due), "await");
        assert_eq!(fails_next(&mut ring), due);
        now = due;
    }
    let due = ring.next_wakeup().unwrap();
    ends(&mut ring, due, answer(JWKS)).unwrap();
    assert_eq!(state_at(&ring, "a", due), "ready");
}

#[test]
fn the_policy_says_how_long_to_wait_after_a_failure() {
    for (changes, waits) in [
        (json!({"async_fetch": {"failed_refetch_duration": "3s"}}), [3, 6, 12]),
        (json!({"async_fetch": {"failed_refetch_duration": "30s"}}), [30, 30, 30]),
        (
            json!({"retry_policy": {"num_retries": 1, "retry_back_off": {
                "base_interval": {"seconds": 4}, "max_interval": "9s"}}}),
            [4, 8, 9],
        ),
        (
            json!({"async_fetch": {"failed_refetch_duration": "3s"}, "retry_policy":
                {"retry_back_off": {"base_interval": "0.001s", "max_interval": "0.1s"}}}),
            [0, 0, 0],
        ),
    ] {
        let mut ring = ring_with(changes.clone());
        let mut now = fails_next(&mut ring);
        for nominal in waits {
            let wait = ring.next_wakeup().unwrap().saturating_sub(now).as_millis();
            let nominal = (nominal * 1_000).max(100);
            assert!((nominal * 3 / 4..=nominal).contains(&wait), "{changes}: {wait}");
            now = fails_next(&mut ring);
        }
    }
}

#[test]
fn the_last_good_set_outlives_an_outage_up_to_max_stale() {
    let mut ring = filled();
    fails_next(&mut ring);
    for bad in [status(500), status(404), answer(b"<html>"), answer(br#"{"keys": 1}"#)] {
        let now = ring.next_wakeup().unwrap();
        ends(&mut ring, now, bad).unwrap_err();
        assert_eq!((state_at(&ring, "a", now), ring.generation(&only())), ("ready", 1));
    }
    while ring.next_wakeup().unwrap() <= at(1_000) {
        let now = fails_next(&mut ring);
        assert_eq!(state_at(&ring, "a", now), "ready");
    }
    assert_eq!(
        (state(&ring, "a", 1_000), ring.version_at_hand(0, None, at(1_000))),
        ("ready", Some(1))
    );
    let late = at(1_000) + Duration::from_millis(1);
    assert_ne!(state_at(&ring, "a", late), "ready");
    assert_eq!(ring.version_at_hand(0, None, late), None);
    let now = fails_next(&mut ring);
    assert_eq!(state_at(&ring, "a", now), "unavailable");
}

#[test]
fn a_set_that_has_outlived_its_lifetime_untried_is_asked_for_first() {
    let mut ring = filled();
    assert_eq!((state(&ring, "a", 99), ring.version_at_hand(0, None, at(99))), ("ready", Some(1)));
    assert_eq!((state(&ring, "a", 100), ring.version_at_hand(0, None, at(100))), ("await", None));
    assert!(ring.demand(&only(), at(100)), "it is overdue");
    ends(&mut ring, at(100), Fetched::Failed).unwrap_err();
    assert_eq!(state(&ring, "a", 100), "ready", "a try that failed is enough");
    assert_eq!(state(&ring, "a", 110), "await", "but not for ever");
    assert!(ring.poll_fetch(at(110)).is_some());
    assert_eq!(state(&ring, "a", 110), "ready", "while the next one is under way");
}

#[test]
fn a_refresh_that_began_in_time_lets_nobody_wait() {
    let mut ring = filled();
    assert!(ring.poll_fetch(at(99)).is_some());
    assert_eq!(state(&ring, "a", 101), "ready");
    assert_eq!(state(&ring, "a", 103), "await", "but if it is lost, it was no try");
}

#[test]
fn an_unknown_key_causes_one_fetch_and_then_a_pause() {
    let mut ring = filled();
    assert_eq!(state(&ring, "b", 4), "ready");
    assert_eq!(state(&ring, "b", 5), "await");
    assert_eq!(state(&ring, "a", 5), "ready");
    assert!(ring.demand(&only(), at(5)), "the first demand makes a fetch due");
    assert!(!ring.demand(&only(), at(5)), "the second does not");
    assert!(ring.poll_fetch(at(5)).is_some());
    assert!(!ring.demand(&only(), at(5)), "nor one while the fetch is under way");
    assert_eq!((state(&ring, "b", 6), ring.poll_fetch(at(6))), ("await", None));
    ring.end_fetch(&only(), status(304), at(6)).unwrap();
    assert_eq!(state(&ring, "b", 6), "ready");
    assert!(!ring.demand(&only(), at(7)));
    assert_eq!(ring.poll_fetch(at(7)), None);
}

#[test]
fn the_pause_after_an_unknown_key_counts_from_the_end_of_the_fetch() {
    let mut ring = filled();
    ring.demand(&only(), at(5));
    ring.poll_fetch(at(5)).unwrap();
    ring.end_fetch(&only(), answer(JWKS), at(8)).unwrap();
    assert_eq!(state(&ring, "b", 12), "ready");
    assert_eq!(state_at(&ring, "b", at(8) + UNKNOWN_KEY_COOLDOWN), "await");
}

#[test]
fn the_same_set_again_is_no_change() {
    let mut ring = filled();
    let now = ring.next_wakeup().unwrap();
    let update = ends(&mut ring, now, answer(JWKS)).unwrap();
    assert_eq!((update, ring.generation(&only())), (KeyUpdate::Unchanged, 1));
    assert_eq!(ring.version_at_hand(0, None, now), Some(1));
}

#[test]
fn a_set_of_unusable_keys_withdraws_the_usable_ones() {
    let mut ring = filled();
    let post_quantum = br#"{"keys": [{"kid": "pq", "kty": "AKP"}]}"#;
    let update = ends(&mut ring, at(100), answer(post_quantum)).unwrap();
    let skipped = vec!["keys[0] (`pq`): `kty` is not supported".to_owned()];
    assert_eq!(update, KeyUpdate::Replaced { keys: 0, skipped });
}

#[test]
fn a_withdrawn_key_is_gone_at_once() {
    let mut ring = filled();
    ends(&mut ring, at(100), answer(EMPTY)).unwrap();
    let KeysAtHand::Ready { keys, version } = ring.at_hand(0, None, Some("a"), at(100)) else {
        panic!()
    };
    assert!(keys.is_empty());
    assert_eq!((version, ring.generation(&only())), (2, 2));
}

#[test]
fn an_unknown_key_does_not_cut_a_back_off_short() {
    let mut ring = filled();
    for _ in 0..4 {
        fails_next(&mut ring);
    }
    let due = ring.next_wakeup().unwrap();
    let before = due.saturating_sub(Duration::from_millis(1));
    // The issuer could not be asked: whoever has that key is not called unauthorized.
    assert_eq!(state_at(&ring, "b", before), "unavailable");
    assert_eq!(state_at(&ring, "a", before), "ready");
    assert!(!ring.demand(&only(), before));
    assert_eq!(ring.poll_fetch(before), None);
    assert_eq!(state_at(&ring, "b", due), "await");
}

#[test]
fn a_fetch_that_is_never_reported_counts_as_failed() {
    let mut ring = ring();
    ring.poll_fetch(at(0)).unwrap();
    assert_eq!(ring.next_wakeup(), Some(at(3)));
    assert_eq!(ring.poll_fetch(at(3)), None);
    assert!(ring.poll_fetch(at(4)).is_some());
    ring.end_fetch(&only(), Fetched::Failed, at(4)).unwrap_err();
    assert!(retry_after(&ring, at(4)) > Duration::from_secs(1), "it was the second failure");
}

#[test]
fn a_failure_that_is_reported_a_moment_later_is_no_clock_that_goes_back() {
    let mut ring = ring();
    let (now, later) = (at(0), at(0) + Duration::from_micros(3));
    assert!(ring.poll_fetch(now).is_some());
    ring.end_fetch(&only(), Fetched::Failed, later).unwrap_err();
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
    let due = ring.next_wakeup().unwrap();
    assert!(!ring.demand(&only(), due), "a tick is about to come");
    assert!(ring.demand(&only(), at(5_000)), "the clock has jumped");
    assert!(!ring.demand(&only(), at(5_000)), "one tick is enough");
    assert!(ring.demand(&only(), at(5_000) + OVERDUE * 2), "unless it does not come");
}

#[test]
fn a_clock_that_goes_back_does_not_stop_the_fetching() {
    let mut ring = filled();
    assert!(ring.poll_fetch(Duration::from_secs(5)).is_some());
    let mut ring = self::ring();
    fails_next(&mut ring);
    assert_eq!(state_at(&ring, "a", Duration::from_secs(5)), "await");
    assert!(ring.poll_fetch(Duration::from_secs(5)).is_some());
}

#[test]
fn local_keys_are_at_hand_for_ever_and_have_versions_of_their_own() {
    let local = json!({"issuer": "i", "local_jwks":
        {"inline_string": String::from_utf8(JWKS.to_vec()).unwrap()}});
    let mut ring = ring_of(json!({"p": local, "q": local}));
    let versions = [0, 1].map(|provider| ring.version_at_hand(provider, None, at(0)).unwrap());
    assert_ne!(versions[0], versions[1]);
    assert_eq!((state(&ring, "b", 0), ring.next_wakeup()), ("ready", None));
    assert!(!ring.demand(&only(), at(0)) && ring.poll_fetch(at(0)).is_none());
    assert_eq!(name(ring.at_hand(2, None, None, at(0))), "unavailable");
}

#[test]
fn a_document_that_is_a_secret_brings_secrets_and_is_not_shown() {
    let secret =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let document = json!({"keys": [{"kid": "s", "kty": "oct", "k": secret}]}).to_string();
    let provider = |symmetric: bool| {
        ring_of(json!({"p": {"issuer": "i", "algorithms": ["HS256"], "remote_jwks": {
            "http_uri": {"uri": "https://a"}, "dangerous_symmetric_keys": symmetric}}}))
    };
    for (symmetric, count) in [(true, 1), (false, 0)] {
        let mut ring = provider(symmetric);
        let update = ends(&mut ring, at(0), answer(document.as_bytes())).unwrap();
        assert!(matches!(update, KeyUpdate::Replaced { keys, .. } if keys == count));
        let shown = format!("{ring:?}");
        assert!(!shown.contains("AyM1") && !shown.contains("65, 121, 77, 49"), "{shown}");
    }
}

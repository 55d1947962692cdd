//! What strangers may cost, who make up key ids over many providers.

use super::*;

fn many(count: usize) -> KeyRing {
    let provider = |index: usize| {
        let remote = json!({"http_uri": {"uri": format!("https://a/{index}")},
            "cache_duration": "86400s"});
        (format!("p{index:04}"), json!({"issuer": "i", "remote_jwks": remote}))
    };
    let mut ring = ring_of((0..count).map(provider).collect());
    while let Some(fetch) = ring.poll_fetch(at(0)) {
        ring.handle_fetched(&fetch, answer(JWKS), at(0)).unwrap();
    }
    ring
}

#[test]
fn made_up_key_ids_over_a_thousand_providers_make_no_storm() {
    let mut ring = many(1_000);
    let mut fetches = Vec::new();
    for milli in (100_000..110_000).step_by(25) {
        let now = at(0) + Duration::from_millis(milli);
        for provider in 0..1_000 {
            let waits = name(ring.at_hand(provider, None, Some("made up"), now)) == "await";
            let asked = ring.demand(&KeySetId::new(provider, None), now);
            assert!(!asked || waits, "whoever causes a fetch waits for it");
        }
        while let Some(fetch) = ring.poll_fetch(now) {
            fetches.push(milli);
            ring.handle_fetched(&fetch, status(304), now).unwrap();
        }
    }
    assert!((590..=600).contains(&fetches.len()), "{} in 10 s", fetches.len());
    for start in &fetches {
        let second = fetches.iter().filter(|milli| (*start..start + 1_000).contains(*milli));
        assert!(second.count() <= 150, "in the second from {start}");
    }
}

#[test]
fn who_cannot_cause_a_fetch_does_not_wait_for_one() {
    let mut ring = many(130);
    let asked = (0..130).filter(|provider| ring.demand(&KeySetId::new(*provider, None), at(10)));
    assert_eq!(asked.count(), 100);
    let state = |provider, kid| name(ring.at_hand(provider, None, Some(kid), at(10)));
    assert_eq!((state(99, "b"), state(100, "b")), ("await", "unavailable"), "nobody can tell");
    assert_eq!(state(100, "a"), "ready");
}

#[test]
fn what_is_due_by_itself_is_not_held_up_by_strangers() {
    let mut ring = many(30);
    for provider in 0..30 {
        ring.demand(&KeySetId::new(provider, None), at(10));
    }
    let fetches = std::iter::from_fn(|| ring.poll_fetch(at(86_400))).count();
    assert_eq!(fetches, 30);
}

#[test]
fn an_answer_that_was_given_up_brings_no_withdrawn_key_back() {
    let mut ring = many(1);
    let asks = |ring: &mut KeyRing, second| {
        ring.demand(&KeySetId::new(0, None), at(second));
        ring.poll_fetch(at(second)).unwrap()
    };
    let late = asks(&mut ring, 10);
    let next = asks(&mut ring, 30);
    assert_eq!((late.attempt + 1, ring.poll_fetch(at(30))), (next.attempt, None));
    assert_eq!(ring.handle_fetched(&late, answer(JWKS), at(30)).unwrap(), KeyUpdate::Ignored);
    ring.handle_fetched(&next, answer(br#"{"keys": []}"#), at(31)).unwrap();
    assert_eq!(ring.handle_fetched(&late, answer(JWKS), at(32)).unwrap(), KeyUpdate::Ignored);
    let KeysAtHand::Ready { keys, .. } = ring.at_hand(0, None, Some("a"), at(32)) else {
        panic!("there is a set")
    };
    assert!(keys.is_empty());
}

#[test]
fn a_set_that_is_gone_vouches_for_nothing() {
    let mut ring = many(1);
    let id = KeySetId::new(0, None);
    for (code, state) in [(404, "ready"), (410, "unavailable")] {
        ring.demand(&id, at(u64::from(code)));
        let fetch = ring.poll_fetch(at(u64::from(code))).unwrap();
        ring.handle_fetched(&fetch, status(code), at(u64::from(code))).unwrap_err();
        assert_eq!(name(ring.at_hand(0, None, Some("a"), at(u64::from(code)))), state, "{code}");
    }
    assert_eq!(ring.version_at_hand(0, None, at(410)), None);
}

#[test]
fn a_clock_that_was_ahead_at_a_fetch_does_not_keep_the_keys_for_ever() {
    let mut ring = many(1);
    let ahead = 400 * 86_400;
    ring.demand(&KeySetId::new(0, None), at(ahead));
    let fetch = ring.poll_fetch(at(ahead)).unwrap();
    ring.handle_fetched(&fetch, status(304), at(ahead)).unwrap();
    for second in [100, 200, 86_400, 2 * 86_400] {
        while let Some(fetch) = ring.poll_fetch(at(second)) {
            ring.handle_fetched(&fetch, Fetched::Failed, at(second)).unwrap_err();
        }
    }
    assert_eq!(ring.version_at_hand(0, None, at(2 * 86_400)), None);
}

#[test]
fn no_time_is_too_late() {
    let mut ring = many(2);
    ring.demand(&KeySetId::new(0, None), Duration::MAX);
    while let Some(fetch) = ring.poll_fetch(Duration::MAX) {
        ring.handle_fetched(&fetch, status(500), Duration::MAX).unwrap_err();
    }
    assert_eq!(name(ring.at_hand(0, None, None, Duration::MAX)), "unavailable");
}

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
        ring.handle_fetched(&fetch.key_set, answer(JWKS), at(0)).unwrap();
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
            let asked = ring.demand(&KeySetId { provider, domain: None }, now);
            assert!(!asked || waits, "whoever causes a fetch waits for it");
        }
        while let Some(fetch) = ring.poll_fetch(now) {
            fetches.push(milli);
            ring.handle_fetched(&fetch.key_set, status(304), now).unwrap();
        }
    }
    assert!((115..=120).contains(&fetches.len()), "{} in 10 s", fetches.len());
    for start in &fetches {
        let second = fetches.iter().filter(|milli| (*start..start + 1_000).contains(*milli));
        assert!(second.count() <= 30, "in the second from {start}");
    }
}

#[test]
fn who_cannot_cause_a_fetch_does_not_wait_for_one() {
    let mut ring = many(30);
    let asked = (0..30)
        .filter(|provider| ring.demand(&KeySetId { provider: *provider, domain: None }, at(10)));
    assert_eq!(asked.count(), 20);
    let state = |provider, kid| name(ring.at_hand(provider, None, Some(kid), at(10)));
    assert_eq!((state(19, "b"), state(20, "b"), state(20, "a")), ("await", "ready", "ready"));
}

#[test]
fn what_is_due_by_itself_is_not_held_up_by_strangers() {
    let mut ring = many(30);
    for provider in 0..30 {
        ring.demand(&KeySetId { provider, domain: None }, at(10));
    }
    let fetches = std::iter::from_fn(|| ring.poll_fetch(at(86_400))).count();
    assert_eq!(fetches, 30);
}

//! The key sets of many domains behind one provider.

use super::*;

fn ring(max_key_sets: usize) -> KeyRing {
    ring_of(json!({"p": {"issuer": "https://auth/{domain}",
        "domains": {"from_header": "d", "max_key_sets": max_key_sets},
        "remote_jwks": {"cache_duration": "100s", "max_stale": "1000s",
            "http_uri": {"uri": "https://{domain}.auth/{domain}/jwks", "timeout": "2s"}}}}))
}

fn id(domain: &str) -> KeySetId {
    KeySetId::new(0, Some(domain))
}

fn state(ring: &KeyRing, domain: &str, now: Duration) -> &'static str {
    name(ring.at_hand(0, Some(domain), Some("a"), now))
}

/// A request for this domain comes, and what it causes to be fetched is answered.
fn visit(ring: &mut KeyRing, domain: &str, fetched: Fetched<'_>, now: Duration) -> &'static str {
    if state(ring, domain, now) == "await" {
        ring.demand(&id(domain), now);
        while let Some(fetch) = ring.poll_fetch(now) {
            let _ = ring.handle_fetched(&fetch, fetched, now);
        }
    }
    state(ring, domain, now)
}

fn good(ring: &mut KeyRing, domain: &str, now: Duration) -> &'static str {
    visit(ring, domain, answer(JWKS), now)
}

#[test]
fn a_domains_keys_are_fetched_when_a_request_needs_them() {
    let mut ring = ring(2);
    assert_eq!((ring.poll_fetch(at(0)), ring.next_wakeup()), (None, None));
    assert_eq!(state(&ring, "shop", at(0)), "await");
    assert!(ring.demand(&id("shop"), at(0)));
    assert!(!ring.demand(&id("shop"), at(0)), "one fetch is enough");
    let fetch = ring.poll_fetch(at(0)).unwrap();
    assert_eq!(fetch.key_set, id("shop"));
    assert_eq!(
        (fetch.source.authority.as_str(), fetch.source.path.as_str()),
        ("shop.auth", "/shop/jwks")
    );
    assert_eq!((state(&ring, "shop", at(1)), ring.poll_fetch(at(1))), ("await", None));
    ring.end_fetch(&id("shop"), answer(JWKS), at(1)).unwrap();
    assert_eq!((state(&ring, "shop", at(1)), ring.generation(&id("shop"))), ("ready", 1));
    assert_eq!(state(&ring, "blog", at(1)), "await", "another domain has keys of its own");
    assert_eq!(name(ring.at_hand(0, None, None, at(1))), "unavailable", "without a name, none");
    assert!(!ring.demand(&only(), at(1)));
}

#[test]
fn a_discovered_domain_has_an_issuer_of_its_own() {
    let mut ring = ring_of(json!({"p": {"issuer": "https://auth/{domain}",
        "domains": {"from_header": "d"}, "openid_discovery": {"http_uri": {}}}}));
    ring.demand(&id("shop"), at(0));
    let fetch = ring.poll_fetch(at(0)).unwrap();
    assert_eq!(fetch.source.path, "/shop/.well-known/openid-configuration");
    let found = |issuer: &str| json!({"issuer": issuer, "jwks_uri": "https://k/"}).to_string();
    let foreign = found("https://auth/blog");
    assert!(ring.end_fetch(&id("shop"), answer(foreign.as_bytes()), at(0)).is_err());
    ring.demand(&id("shop"), at(2));
    ring.poll_fetch(at(2)).unwrap();
    let own = found("https://auth/shop");
    ring.end_fetch(&id("shop"), answer(own.as_bytes()), at(2)).unwrap();
    assert_eq!(ring.poll_fetch(at(2)).unwrap().source.authority, "k");
}

#[test]
fn only_the_sets_that_are_used_are_refreshed() {
    let mut ring = ring(2);
    good(&mut ring, "idle", at(0));
    assert_eq!(state(&ring, "idle", at(0)), "ready");
    good(&mut ring, "used", at(0));
    assert!((at(80)..=at(95)).contains(&ring.next_wakeup().unwrap()));
    // Each was looked at after its fetch, so each is refreshed once more.
    while let Some(fetch) = ring.poll_fetch(at(96)) {
        ring.handle_fetched(&fetch, status(304), at(96)).unwrap();
    }
    assert_eq!((ring.next_wakeup(), ring.poll_fetch(at(195))), (None, None));
    assert_eq!(state(&ring, "used", at(150)), "ready");
    assert_eq!(ring.poll_fetch(at(195)).unwrap().key_set, id("used"));
    assert_eq!(ring.poll_fetch(at(195)), None);
    assert_eq!(state(&ring, "idle", at(400)), "await", "what has lapsed is asked for first");
    assert!(ring.demand(&id("idle"), at(400)));
    ring.poll_fetch(at(400)).unwrap();
    ring.end_fetch(&id("idle"), Fetched::Failed, at(400)).unwrap_err();
    assert_eq!(state(&ring, "idle", at(400)), "ready");
}

#[test]
fn a_name_that_failed_is_remembered_and_not_tried_again_by_itself() {
    let mut ring = ring(2);
    assert_eq!(visit(&mut ring, "made-up", status(404), at(0)), "unavailable");
    let soon = at(0) + Duration::from_millis(500);
    assert_eq!(state(&ring, "made-up", soon), "unavailable");
    assert!(!ring.demand(&id("made-up"), soon));
    assert_eq!((ring.next_wakeup(), ring.poll_fetch(at(9))), (None, None));
    assert_eq!(state(&ring, "made-up", at(9)), "await");
    assert_eq!(good(&mut ring, "made-up", at(9)), "ready");
}

#[test]
fn the_set_that_was_used_longest_ago_makes_room() {
    let mut ring = ring(2);
    let now = at(0);
    good(&mut ring, "a", now);
    good(&mut ring, "b", now);
    let version = ring.version_at_hand(0, Some("a"), now);
    good(&mut ring, "c", now);
    assert_eq!((state(&ring, "a", now), state(&ring, "b", now)), ("ready", "await"));
    assert_eq!(state(&ring, "c", now), "ready");
    good(&mut ring, "b", now);
    let again = ring.version_at_hand(0, Some("b"), now);
    assert!(again > version && again.is_some_and(|again| again == 4), "no version comes twice");
}

#[test]
fn made_up_names_push_out_each_other_and_no_good_set() {
    let mut ring = ring(3);
    for domain in ["a", "b", "c"] {
        good(&mut ring, domain, at(0));
    }
    let mut fetched = 0;
    for number in 0..2_000 {
        let now = at(10) + Duration::from_millis(number * 10);
        let name = format!("made-up-{number}");
        if state(&ring, &name, now) == "await" && ring.demand(&id(&name), now) {
            fetched += 1;
            ring.poll_fetch(now).unwrap();
            ring.end_fetch(&id(&name), status(404), now).unwrap_err();
        }
    }
    assert!((215..=220).contains(&fetched), "{fetched} fetches in 20 s");
    for domain in ["a", "b", "c"] {
        assert_eq!(state(&ring, domain, at(31)), "ready");
    }
    let ProviderKeys::Domains(domains) = &ring.providers[0] else { panic!() };
    assert_eq!(domains.slots().count(), 3 + 64);
}

#[test]
fn a_name_that_is_being_fetched_is_never_dropped() {
    let mut ring = ring(1);
    for number in 0..64 {
        let now = at(0) + Duration::from_millis(number * 100);
        assert!(ring.demand(&id(&format!("n{number}")), now));
    }
    let ProviderKeys::Domains(domains) = &ring.providers[0] else { panic!() };
    assert_eq!(domains.slots().count(), 64);
    let now = at(60);
    assert_eq!(state(&ring, "one-more", now), "unavailable");
    assert!(!ring.demand(&id("one-more"), now));
    let fetch = ring.poll_fetch(now).unwrap();
    ring.handle_fetched(&fetch, status(404), now).unwrap_err();
    assert_eq!(state(&ring, "one-more", now), "await", "there is room again");
    assert!(ring.demand(&id("one-more"), now));
    assert_ne!(state(&ring, "n63", now), "unavailable");
}

#[test]
fn more_sets_are_held_only_while_they_are_being_fetched() {
    let mut ring = ring(1);
    good(&mut ring, "a", at(0));
    state(&ring, "a", at(1));
    assert_eq!(ring.poll_fetch(at(96)).unwrap().key_set, id("a"));
    ring.demand(&id("b"), at(96));
    ring.poll_fetch(at(96)).unwrap();
    ring.end_fetch(&id("b"), answer(JWKS), at(97)).unwrap();
    assert_eq!((state(&ring, "a", at(97)), state(&ring, "b", at(97))), ("ready", "ready"));
    ring.end_fetch(&id("a"), status(304), at(97)).unwrap();
    assert_eq!((state(&ring, "a", at(97)), state(&ring, "b", at(97))), ("ready", "await"));
}

#[test]
fn who_wakes_an_idle_set_asks_for_a_tick() {
    let mut ring = ring(2);
    let no_cache = Some(&b"no-cache"[..]);
    let fetched = Fetched::Response {
        status: 200,
        etag: None,
        cache_control: no_cache,
        age: None,
        body: JWKS,
    };
    ring.demand(&id("idle"), at(0));
    ring.poll_fetch(at(0)).unwrap();
    ring.end_fetch(&id("idle"), fetched, at(0)).unwrap();
    assert_eq!(ring.next_wakeup(), None, "so the host sleeps");
    assert_eq!(state(&ring, "idle", at(5)), "await");
    assert!(ring.demand(&id("idle"), at(5)), "although it is hardly overdue");
    assert!(!ring.demand(&id("idle"), at(5)));
}

#[test]
fn a_clock_that_goes_back_frees_a_name_that_failed() {
    let mut ring = ring(2);
    visit(&mut ring, "shop", status(500), at(0));
    let early = Duration::from_secs(5);
    assert_eq!(good(&mut ring, "shop", early), "ready");
}

#[test]
fn a_request_that_needs_no_key_counts_as_use() {
    let mut ring = ring(2);
    good(&mut ring, "z", at(0));
    good(&mut ring, "b", at(0));
    ring.version_at_hand(0, Some("z"), at(1)).unwrap();
    good(&mut ring, "c", at(1));
    assert_eq!((state(&ring, "z", at(1)), state(&ring, "b", at(1))), ("ready", "await"));
}

#[test]
fn a_name_that_failed_waits_for_no_fetch_that_strangers_have_used_up() {
    let mut ring = ring(2);
    visit(&mut ring, "shop", status(500), at(0));
    assert_eq!(state(&ring, "shop", at(9)), "await");
    for number in 0..20 {
        assert!(ring.demand(&id(&format!("made-up-{number}")), at(9)));
    }
    assert_eq!(state(&ring, "shop", at(9)), "unavailable");
    assert!(!ring.demand(&id("shop"), at(9)));
    assert_eq!(state(&ring, "shop", at(10)), "await");
}

#[test]
fn made_up_names_take_nothing_from_known_ones() {
    let mut ring = ring(8);
    good(&mut ring, "shop", at(0));
    for number in 0..40 {
        ring.demand(&id(&format!("made-up-{number}")), at(10));
    }
    assert_eq!(name(ring.at_hand(0, Some("new"), None, at(10))), "unavailable");
    assert_eq!(name(ring.at_hand(0, Some("shop"), Some("rotated"), at(10))), "await");
    assert!(ring.demand(&id("shop"), at(10)));
}

#[test]
fn a_lost_fetch_of_a_name_that_nobody_asks_for_wakes_nobody() {
    let mut ring = ring(8);
    ring.demand(&id("shop"), at(0));
    assert!(ring.poll_fetch(at(0)).is_some());
    assert_eq!(ring.next_wakeup(), None);
    assert_eq!(ring.poll_fetch(at(3_600)), None);
}

//! Keys that an enrolled edge fetches, in bundles.

use serde_json::Map;

use super::*;
use crate::{
    edge::{
        BundleError,
        forged::{self, EDGE, ForgedBundle, ISSUER, NOW, STRANGER, credential, secret_keys},
    },
    jwk_set::MAX_JWK_SET_BYTES,
    token::{MAX_TOKEN_BYTES, UnverifiedToken},
};

const BLOG: &str = "https://auth.example.com/blog";

pub(super) fn at(seconds: u64) -> Duration {
    Duration::from_secs(NOW + seconds)
}

pub(super) fn policy_of(issuer: &str, changes: Value) -> Policy {
    let mut provider = json!({"issuer": issuer, "algorithms": ["HS256", "ES256"],
        "clock_skew_seconds": 30, "edge_keys": {"max_stale": "2592000s"}});
    for (name, value) in changes.as_object().unwrap() {
        provider[name] = value.clone();
    }
    let policy = json!({"providers": {"shop": provider}, "rules": []}).to_string();
    Policy::parse(policy.as_bytes()).unwrap()
}

pub(super) fn enrolled() -> KeyRing {
    let policy = policy_of(ISSUER, json!({}));
    KeyRing::new(&policy).with_edges(&policy, vec![credential(&[ISSUER])]).unwrap()
}

pub(super) fn bundle(sequence: u64, key_id: &str) -> Vec<u8> {
    ForgedBundle::new(ISSUER, sequence, &secret_keys(key_id, 6)).text()
}

/// A bundle with key `a` whose time is over at this second.
fn short_bundle(sequence: u64, end: u64) -> Vec<u8> {
    let bundle = ForgedBundle::new(ISSUER, sequence, &secret_keys("a", 6));
    bundle.with(|bundle| bundle.claims["exp"] = (NOW + end).into()).text()
}

pub(super) fn tampered() -> Vec<u8> {
    let bundle = ForgedBundle::new(ISSUER, 9, &secret_keys("evil", 6));
    bundle.with(|bundle| bundle.signer = STRANGER).text()
}

/// A ring that has taken bundle 7, with key `a`, at second 0.
pub(super) fn filled() -> KeyRing {
    let mut ring = enrolled();
    let update = ends(&mut ring, at(0), answer(&bundle(7, "a"))).unwrap();
    assert_eq!(update, KeyUpdate::Replaced { keys: 1, skipped: vec![] });
    ring
}

pub(super) fn state(ring: &KeyRing, key_id: &str, seconds: u64) -> &'static str {
    state_at(ring, key_id, at(seconds))
}

/// The next fetch, when its time comes.
fn next(ring: &mut KeyRing, fetched: Fetched<'_>) -> Result<KeyUpdate, FetchError> {
    let now = ring.next_wakeup().unwrap();
    ends(ring, now, fetched)
}

pub(super) fn claims(fetch: &Fetch) -> Map<String, Value> {
    let header = fetch.authorization.as_ref().unwrap();
    let token = header.strip_prefix("Bearer ").unwrap();
    let token = UnverifiedToken::parse(token.as_bytes(), MAX_TOKEN_BYTES).unwrap();
    token.dangerous_assume_verified().claims().members().clone()
}

#[test]
fn a_fetch_says_who_asks_and_shows_that_to_no_log() {
    let mut ring = enrolled().with_jitter_seed(0x1234);
    let fetch = ring.poll_fetch(at(0)).unwrap();
    assert_eq!(fetch.source.path, "/shop/edge/keys");
    assert_eq!(fetch.accept, "application/jose");
    assert!(fetch.is_for_keys() && !fetch.may_hold_secrets);
    assert_eq!((fetch.max_bytes, &fetch.if_none_match), (512 * 1024, &None));
    let asked = claims(&fetch);
    assert_eq!((&asked["sub"], &asked["aud"]), (&json!(EDGE), &json!(ISSUER)));
    assert_eq!(asked["instance"], "0000000000001234");
    assert!(!asked.contains_key("held"));
    let assertion = fetch.authorization.as_ref().unwrap();
    assert!(!format!("{fetch:?}").contains(assertion.as_str()));
    ring.handle_fetched(&fetch, answer(&bundle(7, "a")), at(0)).unwrap();
    let fetch = ring.poll_fetch(ring.next_wakeup().unwrap()).unwrap();
    assert_eq!(claims(&fetch)["held"], "\"1\"");
    assert_eq!(fetch.if_none_match.as_deref(), Some(&b"\"1\""[..]));
}

#[test]
fn others_are_not_told_who_the_edge_is() {
    let fetch = super::ring().poll_fetch(at(0)).unwrap();
    assert_eq!((fetch.authorization, fetch.max_bytes), (None, MAX_JWK_SET_BYTES));
}

#[test]
fn secrets_are_taken_only_where_the_policy_names_an_hmac() {
    let policy = policy_of(ISSUER, json!({"algorithms": ["ES256"]}));
    let ring = KeyRing::new(&policy).with_edges(&policy, vec![credential(&[ISSUER])]);
    let mut ring = ring.unwrap();
    let update = ends(&mut ring, at(0), answer(&bundle(7, "a"))).unwrap();
    assert!(matches!(&update, KeyUpdate::Replaced { keys: 0, skipped } if skipped.len() == 1));
    assert_eq!(state(&filled(), "a", 0), "ready");
}

#[test]
fn a_refused_bundle_changes_nothing_is_counted_and_backs_off() {
    let mut ring = filled();
    let rolled_back = bundle(6, "old");
    let (other, plain) = (tampered(), secret_keys("plain", 6).to_string());
    let no_set = ForgedBundle::new(ISSUER, 8, &json!({"keys": 1})).text();
    let mut refused = 0;
    for body in [&rolled_back[..], &other, plain.as_bytes(), &no_set, JWKS, b""] {
        let now = ring.next_wakeup().unwrap();
        let error = ends(&mut ring, now, answer(body)).unwrap_err();
        assert!(matches!(error, FetchError::Bundle(_)), "{error}");
        refused += 1;
        assert_eq!((ring.bundles_refused(), ring.generation(&only())), (refused, 1));
        assert_eq!(state_at(&ring, "a", now), "ready");
        let wait = ring.next_wakeup().unwrap().saturating_sub(now).as_millis();
        let nominal = (1_000_u128 << (refused - 1)).min(16_000);
        assert!((nominal * 3 / 4..=nominal).contains(&wait), "{wait} ms");
    }
    // A set that was refused has no say in what is too old.
    assert!(matches!(next(&mut ring, answer(&bundle(8, "b"))), Ok(KeyUpdate::Replaced { .. })));
    assert_eq!(ring.bundles_refused(), refused);
}

#[test]
fn what_is_no_answer_to_this_edge_is_a_failure_and_no_refused_bundle() {
    for code in [401, 403, 404, 500] {
        let mut ring = filled();
        let error = next(&mut ring, status(code)).unwrap_err();
        assert!(matches!(error, FetchError::Status(refused) if refused == code));
        assert_eq!((state(&ring, "a", 6), ring.bundles_refused()), ("ready", 0));
    }
}

#[test]
fn a_bundle_that_is_made_anew_of_the_same_keys_is_no_news() {
    let mut ring = filled();
    let version = ring.version_at_hand(0, None, at(1));
    assert_eq!(next(&mut ring, answer(&bundle(7, "a"))).unwrap(), KeyUpdate::Unchanged);
    let later = short_bundle(8, 200);
    assert_eq!(next(&mut ring, answer(&later)).unwrap(), KeyUpdate::Unchanged);
    assert_eq!((ring.generation(&only()), ring.version_at_hand(0, None, at(9))), (1, version));
    // And yet it counts: by its number,
    let error = next(&mut ring, answer(&bundle(7, "a"))).unwrap_err();
    assert!(matches!(error, FetchError::Bundle(BundleError::RolledBack)));
    // and by its end.
    assert_eq!(next(&mut ring, answer(&later)).unwrap(), KeyUpdate::Unchanged);
    let mut now = at(0);
    while now < at(226) {
        now = ring.next_wakeup().unwrap();
        let _ = ends(&mut ring, now, status(304));
    }
    assert_eq!(state_at(&ring, "a", at(229)), "ready");
    assert_ne!(state_at(&ring, "a", at(230)), "ready");
}

#[test]
fn a_bundle_ends_whatever_304_says() {
    let mut ring = enrolled();
    ends(&mut ring, at(0), answer(&short_bundle(7, 300))).unwrap();
    let mut now = at(0);
    let end = at(330);
    loop {
        let due = ring.next_wakeup().unwrap();
        if due >= end {
            break;
        }
        assert!(ends(&mut ring, due, status(304)).is_ok(), "{due:?}");
        now = due;
    }
    assert!(end.saturating_sub(now) < Duration::from_secs(10));
    let before = end.saturating_sub(Duration::from_millis(1));
    assert_eq!(state_at(&ring, "a", before), "ready");
    assert_ne!(state_at(&ring, "a", end), "ready");
    assert_eq!(ring.version_at_hand(0, None, end), None);
    // From here on, there is nothing that could be unchanged.
    let fetch = ring.poll_fetch(end.max(ring.next_wakeup().unwrap())).unwrap();
    assert_eq!(fetch.if_none_match, None);
    assert!(!claims(&fetch).contains_key("held"));
    let error = ring.handle_fetched(&fetch, status(304), end).unwrap_err();
    assert!(matches!(error, FetchError::Status(304)));
    assert_eq!(state_at(&ring, "a", end), "unavailable");
}

#[test]
fn a_bundle_is_asked_for_before_its_end_and_not_without_end() {
    let policy = policy_of(
        ISSUER,
        json!({"clock_skew_seconds": 0,
        "edge_keys": {"cache_duration": "86400s"}}),
    );
    let ring = KeyRing::new(&policy).with_edges(&policy, vec![credential(&[ISSUER])]);
    let mut ring = ring.unwrap();
    let short = short_bundle(7, 100);
    ends(&mut ring, at(0), answer(&short)).unwrap();
    let due = ring.next_wakeup().unwrap();
    assert!((at(80)..=at(95)).contains(&due), "{due:?}");
    ends(&mut ring, at(99), status(304)).unwrap();
    assert!(ring.next_wakeup().unwrap() >= at(103));
}

#[test]
fn a_withdrawn_edge_has_no_keys_and_takes_no_old_ones_back() {
    let mut ring = filled();
    let error = next(&mut ring, status(410)).unwrap_err();
    assert!(matches!(error, FetchError::Withdrawn));
    assert_eq!(state_at(&ring, "a", ring.next_wakeup().unwrap()), "await");
    let error = next(&mut ring, answer(&bundle(6, "a"))).unwrap_err();
    assert!(matches!(error, FetchError::Bundle(BundleError::RolledBack)));
    assert!(next(&mut ring, answer(&bundle(7, "a"))).is_ok());
}

#[test]
fn without_a_credential_there_are_no_keys_and_nothing_is_asked() {
    let mut ring = KeyRing::new(&policy_of(ISSUER, json!({})));
    assert_eq!((ring.poll_fetch(at(0)), ring.next_wakeup()), (None, None));
    assert_eq!(state(&ring, "a", 0), "unavailable");
    assert!(!ring.demand(&only(), at(0)));
    assert_eq!(ring.poll_fetch(at(1)), None);
    // But the host may vouch for what it has at hand.
    ring.hold(&only(), secret_keys("a", 6).to_string().as_bytes(), at(1)).unwrap();
    assert_eq!((state(&ring, "a", 1), state(&ring, "b", 1)), ("ready", "ready"));
    assert_eq!((state(&ring, "a", 9_999), ring.poll_fetch(at(9_999))), ("ready", None));
}

#[test]
fn a_credential_for_other_issuers_is_an_error_that_names_the_provider() {
    for (issuer, changes) in
        [(ISSUER, json!({})), ("https://auth.example.com/x/{domain}", domains())]
    {
        let policy = policy_of(issuer, changes);
        let error = KeyRing::new(&policy).with_edges(&policy, vec![credential(&[BLOG])]);
        assert_eq!(error.err().unwrap().member, "providers.shop.edge_keys", "{issuer}");
    }
    // Providers with other keys do not ask for one.
    let policy = json!({"providers": {"p": {"issuer": "i",
        "remote_jwks": {"http_uri": {"uri": "https://a/jwks"}}}}, "rules": []});
    let policy = Policy::parse(policy.to_string().as_bytes()).unwrap();
    assert!(KeyRing::new(&policy).with_edges(&policy, vec![]).is_ok());
}

fn domains() -> Value {
    json!({"domains": {"from_header": "d", "max_key_sets": 1},
        "edge_keys": {"max_stale": "2592000s"}})
}

#[test]
fn of_many_domains_those_have_keys_that_the_credential_covers() {
    let policy = policy_of("https://auth.example.com/{domain}", domains());
    let ring = KeyRing::new(&policy).with_edges(&policy, vec![credential(&[ISSUER, BLOG])]);
    let mut ring = ring.unwrap();
    let id = |domain| KeySetId::new(0, Some(domain));
    let state = |ring: &KeyRing, domain| name(ring.at_hand(0, Some(domain), None, at(0)));
    assert_eq!(state(&ring, "shop"), "await");
    assert_eq!(state(&ring, "other"), "unavailable");
    assert!(!ring.demand(&id("other"), at(0)));
    assert_eq!(ring.poll_fetch(at(0)), None);
    assert!(ring.demand(&id("shop"), at(0)));
    let fetch = ring.poll_fetch(at(0)).unwrap();
    assert_eq!((&*fetch.source.path, &claims(&fetch)["aud"]), ("/shop/edge/keys", &json!(ISSUER)));
    // A bundle of another domain is none of this one.
    let foreign = ForgedBundle::new(BLOG, 7, &secret_keys("a", 6)).text();
    assert!(ring.handle_fetched(&fetch, answer(&foreign), at(0)).is_err());
    assert_eq!(ring.bundles_refused(), 1);
}

#[test]
fn a_domain_that_was_dropped_remembers_its_newest_bundle() {
    let policy = policy_of("https://auth.example.com/{domain}", domains());
    let ring = KeyRing::new(&policy).with_edges(&policy, vec![credential(&[ISSUER, BLOG])]);
    let mut ring = ring.unwrap();
    let mut fetch = |domain, issuer, sequence, now| {
        ring.demand(&KeySetId::new(0, Some(domain)), now);
        let fetch = ring.poll_fetch(now).unwrap();
        let body = ForgedBundle::new(issuer, sequence, &secret_keys("a", 6)).text();
        ring.handle_fetched(&fetch, answer(&body), now)
    };
    fetch("shop", ISSUER, 7, at(0)).unwrap();
    fetch("blog", BLOG, 1, at(1)).unwrap();
    // There is room for one, so the shop's keys are gone.
    let error = fetch("shop", ISSUER, 6, at(2)).unwrap_err();
    assert!(matches!(error, FetchError::Bundle(BundleError::RolledBack)));
}

#[test]
fn an_issuer_is_of_a_template_where_some_domain_makes_it() {
    for (issuer, template, expected) in [
        (ISSUER, ISSUER, true),
        (ISSUER, BLOG, false),
        (ISSUER, "https://auth.example.com/{domain}", true),
        ("https://shop.example.com/a", "https://{domain}.example.com/a", true),
        ("https://shop.example.com/b", "https://{domain}.example.com/a", false),
        ("https://.example.com/a", "https://{domain}.example.com/a", false),
        ("https://auth.example.com/", "https://auth.example.com/{domain}", false),
        ("aa", "aa{domain}aa", false),
    ] {
        assert_eq!(is_of_template(issuer, template), expected, "{issuer} {template}");
    }
}

#[test]
fn nothing_of_the_ring_shows_a_key() {
    let shown = format!("{:?}", filled());
    for byte in [forged::EDGE_SIGNING, forged::EDGE_RECEIVING, 6] {
        let encoded = crate::base64url::encode([byte; 32]);
        assert!(!shown.contains(&encoded) && !shown.contains(&format!("{byte}, {byte}, {byte}")));
    }
}

#[test]
fn an_unknown_key_between_polls_causes_a_fetch_and_nobody_is_called_unauthorized_before() {
    let mut ring = filled();
    let (mut unknown, mut waits, mut fetches) = (0, 0, Vec::new());
    for tenth in 0..1_000 {
        let now = at(0) + Duration::from_millis(tenth * 100);
        match state_at(&ring, "new", now) {
            "await" => {
                waits += 1;
                ring.demand(&only(), now);
            }
            "unavailable" => assert!(tenth < 10, "{tenth}"),
            _ => unknown += 1,
        }
        if let Some(fetch) = ring.poll_fetch(now) {
            fetches.push(now);
            ring.handle_fetched(&fetch, status(304), now).unwrap();
        }
    }
    // Who makes up key ids costs the issuer one request a second, and learns that there is no such key.
    assert!(
        fetches
            .windows(2)
            .all(|pair| pair[1].saturating_sub(pair[0]) >= super::super::slot::NEWS_COOLDOWN),
        "{fetches:?}"
    );
    assert!((90..=100).contains(&waits) && unknown > 700, "{waits} {unknown}");
}

#[test]
fn a_new_key_is_known_after_a_round_trip_and_just_after_a_poll_a_second_later() {
    let mut ring = filled();
    let polled = ring.next_wakeup().unwrap();
    ends(&mut ring, polled, status(304)).unwrap();
    let soon = polled + Duration::from_millis(300);
    assert_eq!(state_at(&ring, "b", soon), "unavailable");
    assert!(!ring.demand(&only(), soon));
    assert_eq!(state_at(&ring, "a", soon), "ready");
    let now = polled + Duration::from_secs(1);
    assert_eq!(state_at(&ring, "b", now), "await");
    assert!(ring.demand(&only(), now));
    ends(&mut ring, now, answer(&bundle(8, "b"))).unwrap();
    assert_eq!((state_at(&ring, "b", now), state_at(&ring, "c", now)), ("ready", "ready"));
}

#[test]
fn of_two_credentials_for_one_issuer_the_last_one_counts() {
    let policy = policy_of(ISSUER, json!({}));
    let other = "AAECAwQFBgcICQoLDA0OEA";
    let mut document = forged::credential_document(&[ISSUER, BLOG]);
    document["edge"] = json!(other);
    let new = || EdgeCredential::parse(document.to_string().as_bytes()).unwrap();
    for (edges, expected) in [
        (vec![credential(&[ISSUER]), new()], other),
        (vec![new(), credential(&[ISSUER])], EDGE),
        (vec![new(), credential(&[BLOG])], other),
    ] {
        let mut ring = KeyRing::new(&policy).with_edges(&policy, edges).unwrap();
        assert_eq!(claims(&ring.poll_fetch(at(0)).unwrap())["sub"], expected);
    }
}

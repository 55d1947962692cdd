//! What gates of one edge share: copies of answers, an instance, and pushes.

use super::{
    edges::{at, bundle, claims, enrolled, filled, policy_of, state, tampered},
    *,
};
use crate::edge::forged::{EDGE, ISSUER, ISSUER_SIGNING, NOW, STRANGER, key, key_id, signed};

fn copy<'a>(body: &'a [u8], etag: &'a [u8]) -> Fetched<'a> {
    Fetched::Response { status: 200, etag: Some(etag), cache_control: None, age: None, body }
}

#[test]
fn a_copy_is_held_to_what_an_answer_is_and_is_as_old_as_that() {
    let mut ring = enrolled();
    let fetch = ring.poll_fetch(at(10)).unwrap();
    let taken = ring.handle_copy(&fetch, copy(&bundle(7, "a"), b"\"7.x\""), at(8), at(10));
    assert!(matches!(taken, Ok(KeyUpdate::Replaced { keys: 1, .. })), "{taken:?}");
    assert_eq!((state(&ring, "a", 10), ring.confirmed(0)), ("ready", Some(at(8))));
    // It is fetched anew as soon as if it had come itself then.
    assert!((at(12)..at(13)).contains(&ring.next_wakeup().unwrap()));
    let fetch = ring.poll_fetch(at(13)).unwrap();
    assert_eq!(fetch.if_none_match.as_deref(), Some(&b"\"7.x\""[..]));
}

#[test]
fn a_copy_that_is_refused_changes_nothing_and_the_fetch_is_still_to_be_made() {
    let mut ring = filled();
    let now = ring.next_wakeup().unwrap();
    let fetch = ring.poll_fetch(now).unwrap();
    let answers = [tampered(), bundle(6, "old"), b"garbage".to_vec()];
    for body in &answers {
        let refused = ring.handle_copy(&fetch, copy(body, b"\"9.x\""), now, now);
        assert!(matches!(refused, Err(FetchError::Bundle(_))), "{refused:?}");
    }
    for older in [at(0).saturating_sub(Duration::from_secs(1)), Duration::ZERO] {
        assert!(ring.handle_copy(&fetch, copy(&bundle(8, "b"), b"\"8.x\""), older, now).is_err());
    }
    let gone =
        Fetched::Response { status: 410, etag: None, cache_control: None, age: None, body: b"" };
    assert!(ring.handle_copy(&fetch, gone, now, now).is_err());
    assert!(ring.poll_fetch(now).is_none());
    assert_eq!(state_at(&ring, "a", now), "ready");
    let update = ring.handle_fetched(&fetch, answer(&bundle(8, "b")), now).unwrap();
    assert!(matches!(update, KeyUpdate::Replaced { .. }));
}

#[test]
fn the_etag_of_a_copy_does_not_speak_for_keys_that_are_not_held() {
    for etag in [&b"\"8.x\""[..], b"\"1\"", b"W/\"8.x\"", b"W/W/\"7.x\"", b"", b"\"", b"7.x"] {
        let mut ring = enrolled();
        let fetch = ring.poll_fetch(at(0)).unwrap();
        ring.handle_copy(&fetch, copy(&bundle(7, "a"), etag), at(0), at(0)).unwrap();
        let fetch = ring.poll_fetch(at(60)).unwrap();
        assert_eq!(fetch.if_none_match, None, "{}", etag.escape_ascii());
        assert!(!claims(&fetch).contains_key("held"));
    }
}

#[test]
fn the_etag_of_a_copy_may_be_a_weak_one() {
    let mut ring = enrolled();
    let fetch = ring.poll_fetch(at(0)).unwrap();
    ring.handle_copy(&fetch, copy(&bundle(7, "a"), b"W/\"7.x\""), at(0), at(0)).unwrap();
    let fetch = ring.poll_fetch(at(60)).unwrap();
    assert_eq!(fetch.if_none_match.as_deref(), Some(&b"W/\"7.x\""[..]));
}

#[test]
fn an_old_copy_is_no_refused_bundle_and_one_that_is_forged_is() {
    let mut ring = filled();
    let now = ring.next_wakeup().unwrap();
    let fetch = ring.poll_fetch(now).unwrap();
    for (body, refused) in [(bundle(6, "old"), 0), (tampered(), 1)] {
        ring.handle_copy(&fetch, copy(&body, b"\"9.x\""), now, now).unwrap_err();
        assert_eq!(ring.bundles_refused(), refused);
    }
}

#[test]
fn who_shares_an_instance_tells_what_is_held_when_all_must_hold_it() {
    let mut ring = enrolled().with_jitter_seed(0x1234).with_shared_instance(7);
    let fetch = ring.poll_fetch(at(0)).unwrap();
    assert_eq!(claims(&fetch)["instance"], "0000000000000007");
    ring.handle_fetched(&fetch, answer(&bundle(7, "a")), at(0)).unwrap();
    let mut told = |seconds, body: Option<&[u8]>| {
        let fetch = ring.poll_fetch(at(seconds)).unwrap();
        assert!(fetch.if_none_match.is_some());
        let held = claims(&fetch).contains_key("held");
        let fetched = body.map_or_else(|| status(304), answer);
        ring.handle_fetched(&fetch, fetched, at(seconds)).unwrap();
        held
    };
    // Five seconds of use, and twice the six after which a fetch is lost.
    assert_eq!([5, 10, 16, 21].map(|seconds| told(seconds, None)), [false, false, false, true]);
    assert!(
        told(26, Some(&bundle(8, "b"))),
        "a bundle that is news is asked for by the one before"
    );
    assert_eq!([31, 42, 47].map(|seconds| told(seconds, None)), [false, false, true]);
    // The same keys in another bundle are no news.
    assert!(told(52, Some(&bundle(9, "b"))) && told(57, None));
}

fn push(signer: u8, issuers: &Value) -> String {
    let id = key_id(&key(ISSUER_SIGNING).public_key());
    let header = json!({"alg": "ES256", "kid": id, "typ": "postern-push+jwt"});
    let claims = json!({"aud": EDGE, "iat": NOW, "exp": NOW + 60, "issuers": issuers});
    signed(signer, &header, &claims)
}

#[test]
fn a_push_makes_a_fetch_due_once_a_second() {
    let policy = policy_of(ISSUER, json!({}));
    let mut ring = filled();
    let heard = |ring: &mut KeyRing, issuers: Value, now| {
        let token = push(ISSUER_SIGNING, &issuers);
        ring.push(&policy, token.as_bytes(), now).unwrap();
    };
    let later = ring.next_wakeup();
    assert!(ring.push(&policy, push(STRANGER, &json!([ISSUER])).as_bytes(), at(1)).is_err());
    heard(&mut ring, json!([]), at(1));
    heard(&mut ring, json!(["https://auth.example.com/other"]), at(1));
    assert_eq!(ring.next_wakeup(), later);
    heard(&mut ring, json!([ISSUER]), at(2));
    let fetch = ring.poll_fetch(at(2)).unwrap();
    // What is said while a fetch is under way may be newer than its answer.
    heard(&mut ring, json!([ISSUER]), at(2));
    assert!(ring.poll_fetch(at(2)).is_none());
    ring.handle_fetched(&fetch, status(304), at(2)).unwrap();
    for _ in 0..50 {
        heard(&mut ring, json!([ISSUER]), at(2));
    }
    assert_eq!((ring.poll_fetch(at(2)), ring.next_wakeup()), (None, Some(at(3))));
    let fetch = ring.poll_fetch(at(3)).unwrap();
    ring.handle_fetched(&fetch, status(500), at(3)).unwrap_err();
    // The issuer is there again.
    heard(&mut ring, json!([ISSUER]), at(3));
    assert!(ring.next_wakeup().unwrap() <= at(4));
}

#[test]
fn a_copy_that_is_dated_anew_for_ever_freezes_nothing() {
    let mut ring = enrolled().with_shared_instance(7);
    let old = bundle(7, "a");
    let (mut own, mut last_own) = (Vec::new(), 0);
    for second in 0..600 {
        let Some(fetch) = ring.poll_fetch(at(second)) else { continue };
        if ring.handle_copy(&fetch, copy(&old, b"\"7.x\""), at(second), at(second)).is_err() {
            assert!(second - last_own <= 25, "{own:?} {second}");
            (last_own, own) = (second, [own, vec![second]].concat());
            // It also counts when the issuer is not there: nobody but the issuer can prevent that.
            let fetched = if own.len() % 2 == 0 { answer(&old) } else { Fetched::Failed };
            let _ = ring.handle_fetched(&fetch, fetched, at(second));
        }
        assert_eq!(state(&ring, "a", second), "ready");
    }
    assert!(own.len() > 20, "{own:?}");
    assert_eq!(ring.bundles_refused(), 0);
}

#[test]
fn what_nobody_signs_is_taken_from_a_store_as_often_as_it_has_it() {
    let mut ring = super::ring().with_shared_instance(7);
    for second in (0..3_000).step_by(100) {
        let fetch = ring.poll_fetch(at(second)).unwrap();
        ring.handle_copy(&fetch, copy(JWKS, b"x"), at(second), at(second)).unwrap();
    }
}

//! What a token is told, by its list.

use super::*;

#[test]
fn a_token_is_valid_revoked_or_beyond_its_list() {
    let mut gate = filled(json!({}), &[7]);
    for (index, expected) in [(6, "ok"), (7, "token_revoked"), (8, "ok"), (1_023, "ok")] {
        assert_eq!(verdict(&mut gate, &token(0, index), at(1)), expected, "{index}");
        // From the cache, too.
        assert_eq!(verdict(&mut gate, &token(0, index), at(2)), expected, "{index}");
        assert_eq!(decided(&mut gate, &token(0, index), at(2)), expected, "{index}");
    }
    for index in [1_024, u64::from(u32::MAX), (1 << 32) + 6, u64::MAX] {
        assert_eq!(verdict(&mut gate, &token(0, index), at(1)), "token_revoked", "{index}");
    }
}

#[test]
fn a_known_token_is_refused_as_soon_as_the_list_says_so() {
    let mut gate = filled(json!({}), &[]);
    let token = token(0, 7);
    assert_eq!(verdict(&mut gate, &token, seconds(1)), "ok");
    let hits = gate.counters().cache.hits;
    fetched(&mut gate, seconds(5), answer(&list(1, 0, seconds(5), &[7]))).unwrap();
    assert_eq!(verdict(&mut gate, &token, seconds(5)), "token_revoked");
    assert_eq!(gate.counters().cache.hits, hits + 1, "it was known, and not verified anew");
    fetched(&mut gate, seconds(10), answer(&list(1, 0, seconds(10), &[]))).unwrap();
    assert_eq!(verdict(&mut gate, &token, seconds(10)), "ok", "suspended for a time");
}

#[test]
fn a_token_without_a_list_needs_leave() {
    let no_list = [json!({}), json!({"status": {}}), json!({"status": {"other": 1}})];
    let (mut strict, mut lax) = (gate(), gate_with(json!({"allow_missing": true})));
    for claims in no_list {
        assert_eq!(verdict(&mut strict, &token_with(&claims), at(0)), "status_missing");
        assert_eq!(verdict(&mut lax, &token_with(&claims), at(0)), "ok");
    }
}

#[test]
fn a_malformed_status_is_refused_with_leave_or_without() {
    let list = |list: Value| json!({"status": {"status_list": list}});
    for claims in [
        json!({"status": 1}),
        json!({"status": null}),
        json!({"status": "revoked"}),
        list(json!(null)),
        list(json!([])),
        list(json!({})),
        list(json!({"idx": 1})),
        list(json!({"uri": uri(0)})),
        list(json!({"idx": -1, "uri": uri(0)})),
        list(json!({"idx": 1.5, "uri": uri(0)})),
        list(json!({"idx": "1", "uri": uri(0)})),
        list(json!({"idx": 1, "uri": 0})),
        list(json!({"idx": 1, "uri": "https://j/status-lists/0"})),
        list(json!({"idx": 1, "uri": "https://i/../0"})),
    ] {
        for policy in [json!({}), json!({"allow_missing": true})] {
            let code = verdict(&mut gate_with(policy), &token_with(&claims), at(0));
            assert_eq!(code, "claims_malformed", "{claims}");
        }
    }
}

#[test]
fn a_list_is_waited_for_or_it_is_said_that_it_is_not_there() {
    let mut gate = gate();
    let token = token(3, 1);
    assert_eq!(decided(&mut gate, &token, at(0)), "status_unavailable");
    let Verification::AwaitKeys(key_set) = gate.verify(token.as_bytes(), None, at(0)) else {
        panic!("no waiting");
    };
    assert_eq!(key_set, list_id(3));
    assert!(gate.keys_mut().demand(&key_set, at(0)));
    fetched(&mut gate, at(0), Fetched::Failed).unwrap_err();
    assert_eq!(verdict(&mut gate, &token, at(500)), "status_unavailable");
    assert_eq!(verdict(&mut gate, &token, at(1_000)), "awaits its list");
    assert!(gate.keys_mut().demand(&key_set, at(1_000)));
    fetched(&mut gate, at(1_000), answer(&list(1, 3, at(0), &[]))).unwrap();
    assert_eq!(verdict(&mut gate, &token, at(1_000)), "ok");
}

#[test]
fn who_is_not_verified_causes_no_fetch() {
    let mut gate = gate();
    let (header, rest) =
        token(0, 1).split_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let claims = rest.split_once('.').unwrap().0;
    let forged = format!("{header}.{claims}.{}", "A".repeat(86));
    assert_eq!(verdict(&mut gate, &forged, at(0)), "signature_invalid");
    let expired =
        token_with(&json!({"exp": 1, "status": {"status_list": {"idx": 1, "uri": uri(0)}}}));
    assert_eq!(verdict(&mut gate, &expired, at(0)), "token_expired");
    assert!(poll(&mut gate, at(0)).is_none());
    // Not even by an adapter that is told so.
    for uri in ["https://j/status-lists/0", "https://i/../x", ""] {
        let key_set = KeySetId { status_list: Some(uri.into()), ..KeySetId::new(0, None) };
        assert!(!gate.keys_mut().demand(&key_set, at(0)), "{uri}");
    }
    assert!(poll(&mut gate, at(0)).is_none());
}

#[test]
fn a_stale_list_denies_or_allows_as_the_policy_says() {
    for (when_stale, valid, counted) in [("deny", "status_unavailable", 0), ("allow", "ok", 2)] {
        let mut gate = filled(json!({"when_stale": when_stale, "max_stale": "20s"}), &[7]);
        run(&mut gate, at(0), seconds(20), |_, _| None);
        assert_eq!(verdict(&mut gate, &token(0, 6), seconds(20)), "ok");
        let before = gate.counters().stale_status;
        assert_eq!(before, 0);
        run(&mut gate, seconds(20), seconds(22), |_, _| None);
        let before = gate.counters().stale_status;
        assert_eq!(verdict(&mut gate, &token(0, 6), at(22_000)), valid);
        assert_eq!(decided(&mut gate, &token(0, 6), at(22_000)), valid);
        assert_eq!(gate.counters().stale_status, before + counted);
        assert_eq!(verdict(&mut gate, &token(0, 7), at(22_000)), "token_revoked");
    }
}

#[test]
fn a_list_that_never_came_is_no_stale_one() {
    let mut gate = gate_with(json!({"when_stale": "allow"}));
    assert!(gate.keys_mut().demand(&list_id(0), at(0)));
    fetched(&mut gate, at(0), status(404)).unwrap_err();
    assert_eq!(verdict(&mut gate, &token(0, 1), at(0)), "status_unavailable");
    assert_eq!(gate.counters().stale_status, 0);
}

#[test]
fn the_steps_to_a_verdict_show_the_status() {
    let gate = filled(json!({}), &[7]);
    let last = |token: &str| {
        let steps = gate.explain_token(token.as_bytes(), None, at(1));
        steps.last().unwrap().to_string()
    };
    assert!(last(&token(0, 6)).ends_with("place 6 of `https://i/status-lists/0`"));
    assert!(last(&token(0, 7)).contains("NO  p            status     "));
    assert!(last(&token(1, 7)).ends_with("which has to be fetched first"));
    let none = last(&token_with(&json!({})));
    assert!(none.contains("status     ") && none.starts_with("NO"), "{none}");
}

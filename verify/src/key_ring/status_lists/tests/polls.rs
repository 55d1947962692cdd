//! When lists are fetched, and which are taken.

use super::*;

#[test]
fn a_fetch_says_what_it_wants_and_what_it_has() {
    let mut gate = filled(json!({"cluster": "issuer", "timeout": "3s"}), &[]);
    let fetch = poll(&mut gate, seconds(5)).unwrap();
    assert_eq!((fetch.key_set.clone(), fetch.attempt), (list_id(0), 2));
    assert_eq!(fetch.accept, "application/statuslist+jwt");
    assert_eq!(fetch.if_none_match.as_deref(), Some(&b"\"e\""[..]));
    assert_eq!((fetch.max_bytes, fetch.may_hold_secrets), (1 << 20, false));
    assert!(!fetch.is_for_keys() && fetch.authorization.is_none());
    let source = &fetch.source;
    assert_eq!((&*source.authority, &*source.path), ("i", "/status-lists/0"));
    assert_eq!(source.cluster.as_deref(), Some("issuer"));
    assert_eq!(source.timeout, Duration::from_secs(3));
    assert!(poll(&mut gate, seconds(6)).is_none(), "one at a time");
    gate.keys_mut().handle_fetched(&fetch, status(304), seconds(6)).unwrap();
    let late = gate.keys_mut().handle_fetched(&fetch, answer("x"), seconds(6)).unwrap();
    assert_eq!(late, KeyUpdate::Ignored);
}

#[test]
fn a_list_in_use_is_polled_a_little_oftener_than_max_age() {
    let mut gate = filled(json!({}), &[]);
    let polls = run(&mut gate, at(0), seconds(100), |now, _| Some(list(1, 0, now, &[])));
    for pair in polls.windows(2) {
        let gap = pair[1].saturating_sub(pair[0]);
        assert!((4_000..=4_900).contains(&gap.as_millis()), "{gap:?}");
    }
    assert!((20..=25).contains(&polls.len()), "{}", polls.len());
}

#[test]
fn the_shorter_of_max_age_cache_control_and_ttl_counts() {
    for (max_age, cache_control, ttl, expected) in [
        ("60s", None, 600, 60),
        ("60s", Some("max-age=10"), 600, 10),
        ("60s", Some("max-age=10"), 3, 3),
        ("60s", Some("max-age=100"), 0, 1),
        ("2s", Some("max-age=100"), 600, 2),
        ("60s", Some("no-store"), 600, 5),
    ] {
        let mut gate = gate_with(json!({"max_age": max_age}));
        gate.keys_mut().demand(&list_id(0), at(0));
        let mut claims = list_claims(&uri(0), at(0), &[]);
        claims["ttl"] = json!(ttl);
        let body = signed(1, "statuslist+jwt", &claims);
        let cache_control = cache_control.map(str::as_bytes);
        let end = Fetched::Response {
            status: 200,
            etag: None,
            cache_control,
            age: None,
            body: body.as_bytes(),
        };
        fetched(&mut gate, at(0), end).unwrap();
        let wait = gate.keys().next_wakeup().unwrap().saturating_sub(at(0));
        let (least, most) = (expected * 800, expected * 950);
        assert!((least..=most).contains(&wait.as_millis()), "{max_age} {wait:?}");
    }
}

#[test]
fn a_list_that_nobody_looks_at_is_left_alone_until_somebody_does() {
    let mut gate = filled(json!({}), &[]);
    let mut polls = 0;
    for now in (0..600).map(|tenth| at(tenth * 100)) {
        if let Some(fetch) = poll(&mut gate, now) {
            polls += 1;
            gate.keys_mut().handle_fetched(&fetch, status(304), now).unwrap();
        }
    }
    assert!((2..=4).contains(&polls), "{polls}");
    // What was revoked meanwhile must not pass: it is asked for first.
    assert_eq!(verdict(&mut gate, &token(0, 7), seconds(60)), "awaits its list");
    assert!(gate.keys_mut().demand(&list_id(0), seconds(60)));
    fetched(&mut gate, seconds(60), answer(&list(1, 0, seconds(60), &[7]))).unwrap();
    assert_eq!(verdict(&mut gate, &token(0, 7), seconds(60)), "token_revoked");
}

#[test]
fn after_a_sleep_the_list_is_asked_for_first_but_while_polls_fail_it_is_used() {
    let mut gate = filled(json!({}), &[]);
    assert_eq!(verdict(&mut gate, &token(0, 7), seconds(4)), "ok");
    assert_eq!(verdict(&mut gate, &token(0, 7), seconds(30)), "awaits its list");
    let mut gate = filled(json!({}), &[]);
    run(&mut gate, at(0), seconds(30), |_, _| None);
    assert_eq!(verdict(&mut gate, &token(0, 7), seconds(30)), "ok");
}

#[test]
fn after_failures_the_next_try_is_never_more_than_four_seconds_away() {
    let mut gate = filled(json!({"max_age": "3600s", "max_stale": "3600s"}), &[]);
    let late = poll_late(&mut gate);
    gate.keys_mut().handle_fetched(&late, Fetched::Failed, seconds(3_500)).unwrap_err();
    let polls = run(&mut gate, seconds(3_500), seconds(3_560), |_, _| None);
    let gaps: Vec<u128> =
        polls.windows(2).map(|pair| pair[1].saturating_sub(pair[0]).as_millis()).collect();
    assert!(gaps.iter().all(|gap| (700..=4_100).contains(gap)), "{gaps:?}");
    assert!(gaps.iter().any(|gap| *gap > 2_900), "{gaps:?}");
}

fn poll_late(gate: &mut Gate) -> Fetch {
    let _ = verdict(gate, &token(0, 0), seconds(3_499));
    poll(gate, seconds(3_500)).unwrap()
}

#[test]
fn a_lost_fetch_is_made_again() {
    let mut gate = filled(json!({"timeout": "2s"}), &[]);
    let lost = poll(&mut gate, seconds(5)).unwrap();
    assert!(poll(&mut gate, seconds(8)).is_none());
    assert_eq!(gate.keys().next_wakeup(), Some(seconds(8)));
    let again = poll(&mut gate, at(8_001)).unwrap();
    assert_eq!(again.attempt, lost.attempt + 1);
    let body = list(1, 0, seconds(5), &[7]);
    let late = gate.keys_mut().handle_fetched(&lost, answer(&body), seconds(9)).unwrap();
    assert_eq!(late, KeyUpdate::Ignored);
    gate.keys_mut().handle_fetched(&again, answer(&body), seconds(9)).unwrap();
    assert_eq!(verdict(&mut gate, &token(0, 7), seconds(9)), "token_revoked");
}

#[test]
fn an_older_list_is_refused_and_counted() {
    let mut gate = filled(json!({}), &[]);
    fetched(&mut gate, seconds(5), answer(&list(1, 0, seconds(5), &[7]))).unwrap();
    verdict(&mut gate, &token(0, 7), seconds(5));
    let old = list(1, 0, seconds(4), &[]);
    let error = fetched(&mut gate, seconds(10), answer(&old)).unwrap_err();
    assert!(matches!(error, FetchError::StatusList(StatusListError::RolledBack)));
    assert_eq!(gate.counters().lists_refused, 1);
    assert_eq!(verdict(&mut gate, &token(0, 7), seconds(10)), "token_revoked");
}

#[test]
fn of_two_lists_of_one_second_both_count() {
    let mut gate = filled(json!({}), &[1]);
    let update = fetched(&mut gate, seconds(5), answer(&list(1, 0, at(0), &[1]))).unwrap();
    assert_eq!(update, KeyUpdate::Unchanged);
    fetched(&mut gate, seconds(10), answer(&list(1, 0, at(0), &[2]))).unwrap();
    for (index, expected) in [(1, "token_revoked"), (2, "token_revoked"), (3, "ok")] {
        assert_eq!(verdict(&mut gate, &token(0, index), seconds(10)), expected, "{index}");
    }
    assert_eq!(gate.counters().lists_refused, 0);
}

#[test]
fn what_is_no_list_changes_nothing_and_is_counted() {
    let mut gate = filled(json!({}), &[7]);
    let other = list(1, 1, seconds(5), &[]);
    let mut tampered = list(1, 0, seconds(5), &[]);
    tampered.replace_range(tampered.len() - 5..tampered.len() - 4, "-");
    let claims = list_claims(&uri(0), seconds(5), &[]);
    let token = signed(1, "at+jwt", &claims);
    let bodies = ["", "{}", &other, &tampered, &token];
    let mut now = seconds(5);
    for (number, body) in (1..).zip(bodies) {
        let error = fetched(&mut gate, now, answer(body)).unwrap_err();
        assert!(matches!(error, FetchError::StatusList(_)), "{error}");
        assert_eq!(gate.counters().lists_refused, number);
        assert_eq!(verdict(&mut gate, &self::token(0, 7), now), "token_revoked");
        assert_eq!(verdict(&mut gate, &self::token(0, 6), now), "ok");
        now += Duration::from_secs(5);
    }
    fetched(&mut gate, now, status(500)).unwrap_err();
    assert_eq!(gate.counters().lists_refused, 5, "an outage is no forgery");
}

#[test]
fn a_frozen_list_ends_with_its_own_end() {
    let mut gate = filled(json!({}), &[]);
    let mut now = at(0);
    while now < seconds(359) {
        verdict(&mut gate, &token(0, 7), now);
        if let Some(fetch) = poll(&mut gate, now) {
            gate.keys_mut().handle_fetched(&fetch, status(304), now).unwrap();
        }
        now += Duration::from_millis(500);
    }
    assert_eq!(verdict(&mut gate, &token(0, 7), seconds(359)), "ok");
    assert_eq!(verdict(&mut gate, &token(0, 7), seconds(360)), "awaits its list");
    gate.keys_mut().demand(&list_id(0), seconds(360));
    let fetch = poll(&mut gate, seconds(364)).unwrap();
    assert_eq!(fetch.if_none_match, None, "that it is the same is of no use");
    gate.keys_mut().handle_fetched(&fetch, status(304), seconds(364)).unwrap_err();
    assert_eq!(verdict(&mut gate, &token(0, 7), seconds(364)), "status_unavailable");
}

#[test]
fn a_new_key_is_fetched_and_then_the_list_again() {
    let mut gate = filled(json!({}), &[]);
    verdict(&mut gate, &token(0, 7), seconds(5));
    let body = list(3, 0, seconds(10), &[7]);
    fetched(&mut gate, seconds(10), answer(&body)).unwrap_err();
    assert_eq!(gate.counters().lists_refused, 0, "that is how a rotation looks");
    let keys = gate.keys_mut().poll_fetch(seconds(10)).unwrap();
    assert_eq!(keys.key_set, KeySetId::new(0, None));
    assert!(poll(&mut gate, seconds(10)).is_none());
    let document = key_set(&[1, 2, 3]);
    gate.keys_mut().handle_fetched(&keys, answer(&document), at(10_100)).unwrap();
    fetched(&mut gate, at(10_100), answer(&body)).unwrap();
    assert_eq!(verdict(&mut gate, &token(0, 7), at(10_100)), "token_revoked");
}

#[test]
fn a_made_up_key_is_counted_and_asks_for_keys_no_oftener_than_strangers_may() {
    let mut gate = filled(json!({"max_stale": "100s"}), &[7]);
    let forged = list(9, 0, seconds(5), &[]);
    let mut asked = 0;
    let mut now = seconds(5);
    while now < seconds(65) {
        verdict(&mut gate, &token(0, 7), now);
        while let Some(fetch) = gate.keys_mut().poll_fetch(now) {
            let is_list = fetch.key_set.status_list.is_some();
            asked += u64::from(!is_list);
            let end = if is_list { answer(&forged) } else { status(304) };
            let _ = gate.keys_mut().handle_fetched(&fetch, end, now);
        }
        now += Duration::from_millis(100);
    }
    assert!((2..=12).contains(&asked), "{asked}");
    assert!(gate.counters().lists_refused > 5);
    assert_eq!(verdict(&mut gate, &token(0, 7), seconds(65)), "token_revoked");
}

#[test]
fn a_list_by_a_withdrawn_key_is_fetched_anew_and_its_revocations_go_on() {
    let mut gate = filled(json!({}), &[7]);
    let by_two = signed(
        2,
        "JWT",
        &json!({"iss": "https://i", "exp": 4_000_000_000_u64,
        "status": {"status_list": {"idx": 6, "uri": uri(0)}}}),
    );
    let revoked = signed(
        2,
        "JWT",
        &json!({"iss": "https://i", "exp": 4_000_000_000_u64,
        "status": {"status_list": {"idx": 7, "uri": uri(0)}}}),
    );
    assert_eq!(verdict(&mut gate, &by_two, seconds(1)), "ok");
    hold(&mut gate, &[2], seconds(1));
    assert_eq!(verdict(&mut gate, &by_two, seconds(1)), "awaits its list");
    assert_eq!(verdict(&mut gate, &revoked, seconds(1)), "token_revoked");
    let fetch = poll(&mut gate, seconds(1)).unwrap();
    assert_eq!(fetch.if_none_match, None);
    // What the withdrawn key has signed of a later time does not outweigh what follows.
    gate.keys_mut().handle_fetched(&fetch, answer(&list(2, 0, at(0), &[])), seconds(1)).unwrap();
    assert_eq!(verdict(&mut gate, &by_two, seconds(1)), "ok");
    assert_eq!(verdict(&mut gate, &revoked, seconds(1)), "ok");
}

#[test]
fn no_more_than_max_lists_are_held_and_the_one_looked_at_longest_ago_goes() {
    let mut gate = gate_with(json!({"max_lists": 2}));
    let fill = |gate: &mut Gate, number: u64, now: Duration| {
        assert_eq!(verdict(gate, &token(number, 1), now), "awaits its list", "{number}");
        assert!(gate.keys_mut().demand(&list_id(number), now));
        fetched(gate, now, answer(&list(1, number, now, &[]))).unwrap();
        assert_eq!(verdict(gate, &token(number, 1), now), "ok", "{number}");
    };
    fill(&mut gate, 0, at(0));
    fill(&mut gate, 1, at(0));
    assert_eq!(verdict(&mut gate, &token(0, 1), at(1)), "ok");
    fill(&mut gate, 2, at(1));
    assert_eq!(verdict(&mut gate, &token(0, 1), at(2)), "ok");
    assert_eq!(verdict(&mut gate, &token(1, 1), at(2)), "awaits its list");
    // A known token finds another list where its own was, and is not taken in.
    let refused = list(1, 1, at(3), &[1]);
    assert!(gate.keys_mut().demand(&list_id(1), at(3)));
    fetched(&mut gate, at(3), answer(&refused)).unwrap();
    assert_eq!(verdict(&mut gate, &token(1, 1), at(3)), "token_revoked");
}

#[test]
fn a_list_that_is_being_fetched_is_not_given_up() {
    let mut gate = gate_with(json!({"max_lists": 1}));
    assert!(gate.keys_mut().demand(&list_id(0), at(0)));
    let fetch = poll(&mut gate, at(0)).unwrap();
    assert_eq!(verdict(&mut gate, &token(1, 1), at(0)), "status_unavailable");
    assert!(!gate.keys_mut().demand(&list_id(1), at(0)));
    gate.keys_mut().handle_fetched(&fetch, answer(&list(1, 0, at(0), &[])), at(1)).unwrap();
    assert_eq!(verdict(&mut gate, &token(1, 1), at(1)), "awaits its list");
}

#[test]
fn a_clock_that_goes_back_stops_nothing() {
    let mut gate = gate();
    let start = seconds(100_000);
    hold(&mut gate, &[1], start);
    gate.keys_mut().demand(&list_id(0), start);
    fetched(&mut gate, start, answer(&list(1, 0, start, &[]))).unwrap();
    verdict(&mut gate, &token(0, 7), start);
    let now = seconds(1_000);
    verdict(&mut gate, &token(0, 7), now);
    assert!(poll(&mut gate, now).is_some());
}

#[test]
fn lists_of_domains_are_their_own() {
    let provider = json!({"issuer": "https://i/{domain}", "status_list": {},
        "domains": {"from_path_segment": 0},
        "remote_jwks": {"http_uri": {"uri": "https://i/{domain}/jwks.json"}}});
    let policy = json!({"providers": {"p": provider}, "rules": []}).to_string();
    let mut gate = Gate::new(Policy::parse(policy.as_bytes()).unwrap());
    let named = |domain: &str, key| {
        signed(
            key,
            "JWT",
            &json!({"iss": format!("https://i/{domain}"), "exp": 4_000_000_000_u64,
            "status": {"status_list": {"idx": 7, "uri": format!("https://i/{domain}/lists/0")}}}),
        )
    };
    for (domain, key, refused) in [("a", 1, &[7][..]), ("b", 2, &[])] {
        let keys = KeySetId::new(0, Some(domain));
        gate.keys_mut().hold(&keys, key_set(&[key]).as_bytes(), at(0)).unwrap();
        let verification = gate.verify(named(domain, key).as_bytes(), Some(domain), at(0));
        let Verification::AwaitKeys(key_set) = verification else { panic!("{verification:?}") };
        assert_eq!(key_set.domain.as_deref(), Some(domain));
        assert!(gate.keys_mut().demand(&key_set, at(0)));
        let fetch = poll(&mut gate, at(0)).unwrap();
        let claims = list_claims(&format!("https://i/{domain}/lists/0"), at(0), refused);
        // The other domain's key does not sign for it.
        let foreign = signed(3 - key, "statuslist+jwt", &claims);
        let own = signed(key, "statuslist+jwt", &claims);
        gate.keys_mut().handle_fetched(&fetch, answer(&foreign), at(0)).unwrap_err();
        let fetch = poll_when_due(&mut gate, &key_set);
        gate.keys_mut().handle_fetched(&fetch, answer(&own), at(1_000)).unwrap();
    }
    let code = |gate: &mut Gate, domain: &str, key| match gate.verify(
        named(domain, key).as_bytes(),
        Some(domain),
        at(1_000),
    ) {
        Verification::Denied(denial) => denial.code(),
        Verification::Verified { .. } => "ok",
        Verification::AwaitKeys(_) => "awaits",
    };
    assert_eq!((code(&mut gate, "a", 1), code(&mut gate, "b", 2)), ("token_revoked", "ok"));
}

fn poll_when_due(gate: &mut Gate, key_set: &KeySetId) -> Fetch {
    gate.keys_mut().demand(key_set, at(1_000));
    poll(gate, at(1_000)).unwrap()
}

/// As threads of one host are told that another one has fetched something.
#[test]
fn news_of_a_list_are_fetched_at_once() {
    let mut gate = filled(json!({"timeout": "2s"}), &[]);
    assert!(poll(&mut gate, seconds(1)).is_none());
    gate.keys_mut().expect_news(&list_id(7), seconds(1));
    assert!(poll(&mut gate, seconds(1)).is_none(), "nobody has asked for that list");
    gate.keys_mut().expect_news(&list_id(0), seconds(1));
    assert!(poll(&mut gate, seconds(1)).is_some());
}

#[test]
fn the_lists_in_use_and_the_age_of_the_oldest_can_be_told() {
    assert_eq!(gate().keys().status_lists(0), None);
    let gate = filled(json!({"timeout": "2s"}), &[]);
    assert_eq!(gate.keys().status_lists(0), Some((1, at(0))));
    assert_eq!(gate.keys().status_lists(1), None);
}

//! How many lists are held, and of whom.

use super::*;

/// A gate that has the keys of so many domains, `d0` and on.
fn gate_of(domains: usize, status_list: &Value) -> Gate {
    let provider = json!({"issuer": "https://i/{domain}", "status_list": status_list,
        "domains": {"from_path_segment": 0}, "remote_jwks":
        {"http_uri": {"uri": "https://i/{domain}/jwks.json"}, "cache_duration": "3600s"}});
    let policy = json!({"providers": {"p": provider},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "p"}}]});
    let mut gate = Gate::new(Policy::parse(policy.to_string().as_bytes()).unwrap());
    for number in 0..domains {
        let id = KeySetId::new(0, Some(&format!("d{number}")));
        gate.keys_mut().hold(&id, key_set(&[1]).as_bytes(), at(0)).unwrap();
    }
    gate
}

/// Looks at a token of this domain and list; it is asked for, if need be.
fn look(gate: &mut Gate, domain: &str, list: u64, now: Duration) -> &'static str {
    let uri = format!("https://i/{domain}/status-lists/{list}");
    let claims = json!({"iss": format!("https://i/{domain}"), "sub": "u", "iat": 1_000_000,
        "exp": 4_000_000_000_u64, "status": {"status_list": {"idx": 1, "uri": uri}}});
    match gate.verify(signed(1, "JWT", &claims).as_bytes(), Some(domain), now) {
        Verification::Verified { .. } => "ok",
        Verification::Denied(denial) => denial.code(),
        Verification::AwaitKeys(id) => {
            gate.keys_mut().demand(&id, now);
            "awaits"
        }
    }
}

/// How many fetches were due, all of which are answered.
fn serve(gate: &mut Gate, now: Duration) -> usize {
    let fetches = std::iter::from_fn(|| {
        let fetch = poll(gate, now)?;
        let uri = fetch.key_set.status_list.clone().unwrap();
        let body = signed(1, "statuslist+jwt", &list_claims(&uri, now, &[]));
        gate.keys_mut().handle_fetched(&fetch, answer(&body), now).unwrap();
        Some(())
    });
    fetches.count()
}

#[test]
fn a_hundred_domains_in_use_have_room_by_default() {
    let mut gate = gate_of(100, &json!({}));
    let mut look_at_all = |second, expected| {
        let fetches = serve(&mut gate, seconds(second));
        for number in 0..100 {
            let domain = format!("d{number}");
            assert_eq!(look(&mut gate, &domain, 0, seconds(second)), expected, "{domain}");
        }
        fetches + serve(&mut gate, seconds(second))
    };
    assert_eq!(look_at_all(0, "awaits"), 100, "all at once");
    let fetches: usize = (1..20).map(|second| look_at_all(second, "ok")).sum();
    assert!((300..=500).contains(&fetches), "{fetches}");
}

#[test]
fn a_domain_that_names_lists_without_end_pushes_out_its_own_and_no_others() {
    let mut gate = gate_of(2, &json!({"max_lists": 3}));
    for (domain, list) in [("d0", 0), ("d1", 0), ("d1", 1)] {
        look(&mut gate, domain, list, seconds(0));
    }
    serve(&mut gate, seconds(0));
    for list in 10..100 {
        let now = at(list);
        look(&mut gate, "d1", list, now);
        // There are no such lists.
        if let Some(fetch) = poll(&mut gate, now) {
            gate.keys_mut().handle_fetched(&fetch, status(404), now).unwrap_err();
        }
    }
    // What never held anything goes first.
    for (domain, list) in [("d0", 0), ("d1", 0), ("d1", 1)] {
        assert_eq!(look(&mut gate, domain, list, seconds(1)), "ok", "{domain} {list}");
    }
    // And lists that are there push out those of the domain itself.
    for list in 200..203 {
        assert_eq!(look(&mut gate, "d1", list, seconds(1)), "awaits");
        serve(&mut gate, seconds(1));
    }
    assert_eq!(look(&mut gate, "d0", 0, seconds(2)), "ok");
    assert_eq!(look(&mut gate, "d1", 0, seconds(2)), "awaits");
}

#[test]
fn where_all_together_have_too_many_the_domain_with_most_gives_one_up() {
    // Room for 4096 lists of all of them.
    let mut gate = gate_of(6, &json!({"max_lists": 1000}));
    for list in 0..1_000 {
        for domain in ["d0", "d1", "d2", "d3"] {
            look(&mut gate, domain, list, seconds(0));
        }
    }
    for list in 0..95 {
        look(&mut gate, "d4", list, seconds(0));
    }
    look(&mut gate, "d5", 0, seconds(0));
    assert_eq!(serve(&mut gate, seconds(0)), 4_096);
    look(&mut gate, "d5", 1, seconds(1));
    look(&mut gate, "d4", 95, seconds(1));
    serve(&mut gate, seconds(1));
    let (in_use, _) = gate.keys().status_lists(0).unwrap();
    assert_eq!(in_use, 4_096);
    for (domain, list) in [("d5", 0), ("d5", 1), ("d4", 0), ("d4", 95)] {
        assert_eq!(look(&mut gate, domain, list, seconds(2)), "ok", "{domain} {list}");
    }
}

#[test]
fn what_was_too_old_stays_so_when_the_list_has_to_make_room() {
    let mut gate = gate_with(json!({"allow_missing": true, "max_lists": 1}));
    let plain = token_with(&json!({}));
    gate.keys_mut().demand(&list_id(0), at(0));
    let mut claims = list_claims(&uri(0), at(0), &[]);
    claims["postern_not_before"] = json!({"all": 1_000_001});
    fetched(&mut gate, at(0), answer(&signed(1, "statuslist+jwt", &claims))).unwrap();
    assert_eq!(verdict(&mut gate, &plain, seconds(1)), "token_not_before");
    // Another token names another list, which does not come for a moment.
    gate.keys_mut().demand(&list_id(1), seconds(1));
    assert_eq!(verdict(&mut gate, &plain, seconds(1)), "token_not_before");
    fetched(&mut gate, seconds(1), answer(&list(1, 1, seconds(1), &[]))).unwrap();
    assert_eq!(verdict(&mut gate, &token(1, 1), seconds(1)), "token_not_before");
}

#[test]
fn times_of_lists_that_went_long_ago_are_forgotten() {
    let mut gate = gate_of(3, &json!({"max_lists": 1}));
    let of = |gate: &Gate| gate.keys().lists.of(0).unwrap().since.len();
    for domain in ["d0", "d1"] {
        look(&mut gate, domain, 0, seconds(0));
        let fetch = poll(&mut gate, seconds(0)).unwrap();
        let uri = fetch.key_set.status_list.clone().unwrap();
        let mut claims = list_claims(&uri, seconds(0), &[]);
        claims["postern_not_before"] = json!({"subjects": {"v": 5}});
        let body = signed(1, "statuslist+jwt", &claims);
        gate.keys_mut().handle_fetched(&fetch, answer(&body), seconds(0)).unwrap();
    }
    assert_eq!(of(&gate), 2);
    look(&mut gate, "d0", 1, seconds(1));
    assert_eq!(of(&gate), 2);
    look(&mut gate, "d1", 1, seconds(601));
    assert_eq!(of(&gate), 1, "the other one has a list that may still come");
}

#[test]
fn a_fetch_that_was_begun_for_a_list_that_was_dropped_is_none_of_its_successors() {
    let mut gate = gate_with(json!({"max_lists": 1, "timeout": "2s"}));
    gate.keys_mut().demand(&list_id(0), at(0));
    let lost = poll(&mut gate, at(0)).unwrap();
    gate.keys_mut().demand(&list_id(1), seconds(10));
    fetched(&mut gate, seconds(10), answer(&list(1, 1, seconds(10), &[]))).unwrap();
    gate.keys_mut().demand(&list_id(0), seconds(11));
    let fetch = poll(&mut gate, seconds(11)).unwrap();
    assert!(fetch.attempt > lost.attempt);
    let late = gate.keys_mut().handle_fetched(&lost, Fetched::Failed, seconds(11)).unwrap();
    assert_eq!(late, KeyUpdate::Ignored);
    gate.keys_mut().handle_fetched(&fetch, answer(&list(1, 0, at(0), &[])), seconds(11)).unwrap();
    assert_eq!(verdict(&mut gate, &token(0, 1), seconds(11)), "ok");
}

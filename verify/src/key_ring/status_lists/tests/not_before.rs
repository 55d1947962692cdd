//! From when on tokens count.

use super::*;

fn list_with(number: u64, issued_at: Duration, not_before: Value) -> String {
    let mut claims = list_claims(&uri(number), issued_at, &[]);
    claims["postern_not_before"] = not_before;
    signed(1, "statuslist+jwt", &claims)
}

fn issued(subject: &str, issued_at: u64) -> String {
    token_with(&json!({"sub": subject, "iat": issued_at,
        "status": {"status_list": {"idx": 1, "uri": uri(0)}}}))
}

fn takes(gate: &mut Gate, now: Duration, not_before: Value) {
    let _ = verdict(gate, &token(0, 0), now.saturating_sub(Duration::from_secs(1)));
    fetched(gate, now, answer(&list_with(0, now, not_before))).unwrap();
}

#[test]
fn the_later_of_the_domains_and_the_users_time_counts() {
    let mut gate = filled(json!({}), &[]);
    let before = |gate: &mut Gate, subject: &str, time, now| {
        verdict(gate, &issued(subject, time), now) == "token_not_before"
    };
    assert!(!before(&mut gate, "u", 0, at(0)));
    takes(&mut gate, seconds(5), json!({"all": 100, "subjects": {"u": 200, "v": 50}}));
    for (subject, time) in [("u", 200), ("v", 100), ("w", 100)] {
        assert!(before(&mut gate, subject, time - 1, seconds(5)), "{subject}");
        assert!(!before(&mut gate, subject, time, seconds(5)), "{subject}");
        // Known by now, and looked up again.
        assert!(!before(&mut gate, subject, time, seconds(5)), "{subject}");
    }
    takes(&mut gate, seconds(10), json!({"all": 201}));
    assert!(before(&mut gate, "u", 200, seconds(10)) && before(&mut gate, "w", 100, seconds(10)));
    assert!(!before(&mut gate, "u", 201, seconds(10)));
}

#[test]
fn a_token_that_does_not_say_when_it_was_issued_is_refused_once_a_time_is_known() {
    let mut gate = filled(json!({}), &[]);
    let undated = signed(
        1,
        "JWT",
        &json!({"iss": "https://i", "sub": "u", "exp": 4_000_000_000_u64,
        "status": {"status_list": {"idx": 1, "uri": uri(0)}}}),
    );
    assert_eq!(verdict(&mut gate, &undated, at(0)), "ok");
    takes(&mut gate, seconds(5), json!({"subjects": {"v": 1}}));
    assert_eq!(verdict(&mut gate, &undated, seconds(5)), "ok");
    takes(&mut gate, seconds(10), json!({"subjects": {"u": 1}}));
    assert_eq!(verdict(&mut gate, &undated, seconds(10)), "token_not_before");
}

#[test]
fn any_list_of_the_domain_speaks_for_all_its_tokens() {
    let mut gate = filled(json!({"allow_missing": true}), &[]);
    assert!(gate.keys_mut().demand(&list_id(1), seconds(1)));
    fetched(&mut gate, seconds(1), answer(&list_with(1, seconds(1), json!({"all": 1_000_001}))))
        .unwrap();
    assert_eq!(verdict(&mut gate, &token(0, 1), seconds(1)), "token_not_before");
    // Also for those that name no list.
    assert_eq!(verdict(&mut gate, &token_with(&json!({})), seconds(1)), "token_not_before");
    let young = token_with(&json!({"iat": 1_000_001}));
    assert_eq!(verdict(&mut gate, &young, seconds(1)), "ok");
}

#[test]
fn a_time_never_goes_back_and_is_forgotten_long_after_it_was_named() {
    let mut gate = filled(json!({}), &[]);
    takes(&mut gate, seconds(5), json!({"subjects": {"u": 300}}));
    takes(&mut gate, seconds(10), json!({"subjects": {"u": 100}}));
    assert_eq!(verdict(&mut gate, &issued("u", 299), seconds(10)), "token_not_before");
    takes(&mut gate, seconds(15), json!({}));
    assert_eq!(verdict(&mut gate, &issued("u", 299), seconds(15)), "token_not_before");
    takes(&mut gate, seconds(600), json!({}));
    assert_eq!(verdict(&mut gate, &issued("u", 299), seconds(600)), "token_not_before");
    takes(&mut gate, seconds(611), json!({}));
    assert_eq!(verdict(&mut gate, &issued("u", 299), seconds(611)), "ok");
}

#[test]
fn what_a_withdrawn_key_has_said_counts_until_another_says_what_does() {
    let mut gate = filled(json!({}), &[]);
    takes(&mut gate, seconds(5), json!({"all": 4_000_000_000_u64}));
    let by_two = signed(
        2,
        "JWT",
        &json!({"iss": "https://i", "iat": 1_000_000,
        "exp": 4_000_000_000_u64, "status": {"status_list": {"idx": 6, "uri": uri(0)}}}),
    );
    hold(&mut gate, &[2], seconds(5));
    assert_eq!(verdict(&mut gate, &by_two, seconds(5)), "token_not_before");
    let body = list(2, 0, seconds(5), &[]);
    fetched(&mut gate, seconds(5), answer(&body)).unwrap();
    assert_eq!(verdict(&mut gate, &by_two, seconds(5)), "ok");
}

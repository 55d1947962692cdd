//! Lists that another gate was answered, and news of them.

use super::*;

fn take(
    gate: &mut Gate,
    body: &str,
    came: Duration,
    now: Duration,
) -> Result<KeyUpdate, FetchError> {
    let fetch = poll(gate, now).unwrap_or_else(|| panic!("no list is due at {now:?}"));
    gate.keys_mut().handle_copy(&fetch, answer(body), came, now)
}

fn demanding() -> Gate {
    let mut gate = gate();
    gate.keys_mut().demand(&list_id(0), at(0));
    gate
}

#[test]
fn a_copy_counts_from_when_it_came_and_the_next_answer_is_a_whole_one() {
    let mut gate = demanding();
    take(&mut gate, &list(1, 0, at(0), &[7]), at(0), seconds(3)).unwrap();
    assert_eq!(verdict(&mut gate, &token(0, 7), seconds(3)), "token_revoked");
    assert_eq!(verdict(&mut gate, &token(0, 1), seconds(4)), "ok");
    let next = gate.keys().next_wakeup().unwrap();
    assert!((seconds(4)..seconds(5)).contains(&next), "{next:?}");
    // Its `ETag` may be another list's.
    assert_eq!(poll(&mut gate, seconds(5)).unwrap().if_none_match, None);
}

#[test]
fn a_copy_that_is_older_than_max_age_is_asked_for_first() {
    let mut gate = demanding();
    take(&mut gate, &list(1, 0, at(0), &[]), at(0), seconds(30)).unwrap();
    assert_eq!(verdict(&mut gate, &token(0, 1), seconds(30)), "awaits its list");
    assert!(poll(&mut gate, seconds(30)).is_some());
}

#[test]
fn a_copy_that_is_refused_leaves_the_fetch_to_be_made() {
    let mut gate = filled(json!({}), &[7]);
    let fetch = poll(&mut gate, seconds(5)).unwrap();
    let copies = [list(9, 0, seconds(5), &[]), list(1, 1, seconds(5), &[]), "x".to_owned()];
    for body in &copies {
        let refused = gate.keys_mut().handle_copy(&fetch, answer(body), seconds(5), seconds(5));
        assert!(matches!(refused, Err(FetchError::StatusList(_))), "{refused:?}");
    }
    let older = list(1, 0, at(0).saturating_sub(SKEW + Duration::from_secs(1)), &[]);
    for came in [seconds(5), at(0).saturating_sub(Duration::from_secs(1))] {
        assert!(gate.keys_mut().handle_copy(&fetch, answer(&older), came, seconds(5)).is_err());
    }
    assert_eq!(verdict(&mut gate, &token(0, 7), seconds(5)), "token_revoked");
    let body = list(1, 0, seconds(5), &[8]);
    gate.keys_mut().handle_fetched(&fetch, answer(&body), seconds(5)).unwrap();
    assert_eq!(verdict(&mut gate, &token(0, 8), seconds(5)), "token_revoked");
    assert_eq!(gate.counters().lists_refused, 2, "what is old says nothing against the store");
}

#[test]
fn news_make_a_fetch_of_a_list_due_once_a_second() {
    let mut gate = filled(json!({"max_age": "60s"}), &[]);
    gate.refresh(at(500));
    assert_eq!(poll(&mut gate, at(999)), None);
    let fetch = poll(&mut gate, seconds(1)).unwrap();
    gate.refresh(at(1_500));
    gate.keys_mut().handle_fetched(&fetch, status(304), seconds(2)).unwrap();
    assert_eq!(poll(&mut gate, at(2_999)), None, "it had been answered just now");
    let fetch = poll(&mut gate, seconds(3)).expect("it may have been answered before the news");
    gate.keys_mut().handle_fetched(&fetch, status(304), seconds(3)).unwrap();
    assert_eq!(poll(&mut gate, at(6_500)), None);
}

#[test]
fn a_list_that_is_dated_anew_for_ever_is_asked_for_after_three_copies() {
    let mut gate = demanding().with_shared_instance(7);
    let old = list(1, 0, at(0), &[]);
    let mut taken = 0;
    for second in 0..30 {
        let now = seconds(second);
        let _ = verdict(&mut gate, &token(0, 7), now);
        let Some(fetch) = poll(&mut gate, now) else { continue };
        if gate.keys_mut().handle_copy(&fetch, answer(&old), now, now).is_err() {
            let body = list(1, 0, now, &[7]);
            gate.keys_mut().handle_fetched(&fetch, answer(&body), now).unwrap();
            assert_eq!(verdict(&mut gate, &token(0, 7), now), "token_revoked");
            break;
        }
        taken += 1;
    }
    assert_eq!((taken, gate.counters().lists_refused), (3, 0));
}

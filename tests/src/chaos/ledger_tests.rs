//! Made-up runs, each with one answer that is wrong, or that is not.

use super::*;
use crate::chaos::book::{EdgeFacts, Kind, Limits, Revocation, Scope, Shift, Trouble};

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// One edge that polls every 5 s and fails closed after 20 s, and one token that lives from 100 to 200.
fn book() -> Book {
    let token = TokenFacts {
        domain: "shop",
        subject: "ada".to_owned(),
        session: 7,
        key_id: "a".to_owned(),
        issued: at(100),
        expiration: at(200),
    };
    Book {
        limits: Limits {
            learning: at(10),
            learning_keys: at(7),
            max_age: at(5),
            max_stale: at(20),
        },
        edges: vec![EdgeFacts { name: "envoy", allowed_skew: at(0) }],
        tokens: vec![token],
        keys: [("a".to_owned(), at(50))].into(),
        ..Book::default()
    }
}

fn asked(manner: Manner, sent: u64, answer: Answer) -> Asked {
    let took = Duration::from_millis(1);
    Asked { edge: 0, token: 0, manner, sent: at(sent), took, answer }
}

fn denied() -> Answer {
    Answer::Refused(401, "token_revoked".to_owned())
}

fn unavailable() -> Answer {
    Answer::Refused(503, "status_unavailable".to_owned())
}

fn nothing() -> Answer {
    Answer::Nothing("connection refused".to_owned())
}

/// What is said of one answer to the token as it is.
fn judged(book: &Book, sent: u64, answer: Answer) -> Judgement {
    book.judge_one(&asked(Manner::AsItIs, sent, answer)).judgement
}

fn trouble(kind: Kind, since: u64, until: u64) -> Trouble {
    Trouble { kind, edge: Some(0), since: at(since), until: Some(at(until)) }
}

fn revoked(means: Means, scope: Scope, when: u64) -> Revocation {
    Revocation { means, scope, asked: at(when), done: Some(at(when)) }
}

#[test]
fn a_wrong_denial_is_found() {
    let book = book();
    assert_eq!(judged(&book, 150, Answer::Allowed), Judgement::Right);
    for wrong in [denied(), unavailable(), nothing(), Answer::Refused(500, String::new())] {
        assert_eq!(judged(&book, 150, wrong.clone()), Judgement::WrongDenial, "{wrong:?}");
    }
}

#[test]
fn a_wrong_accept_is_found() {
    let book = book();
    for manner in [Manner::Forged, Manner::Abroad] {
        let judge = |answer| book.judge_one(&asked(manner, 150, answer)).judgement;
        assert_eq!(judge(denied()), Judgement::Right);
        assert_eq!(judge(Answer::Allowed), Judgement::WrongAccept);
        assert_eq!(judge(Answer::Refused(502, String::new())), Judgement::WrongDenial);
    }
    assert_eq!(judged(&book, 201, denied()), Judgement::Right);
    assert_eq!(judged(&book, 201, Answer::Allowed), Judgement::WrongAccept);
    assert_eq!(judged(&book, 200, Answer::Allowed), Judgement::Right);
    assert_eq!(judged(&book, 150, Answer::AsSomebodyElse), Judgement::WrongAccept);
}

#[test]
fn a_token_that_nobody_has_made_must_not_pass() {
    let unknown = Asked { token: 9, ..asked(Manner::AsItIs, 150, Answer::Allowed) };
    assert_eq!(book().judge_one(&unknown).judgement, Judgement::WrongAccept);
}

#[test]
fn a_revocation_binds_ten_seconds_after_the_issuer_has_confirmed_it() {
    let mut book = book();
    book.revocations = vec![revoked(Means::Logout, Scope::Session(7), 150)];
    assert_eq!(judged(&book, 149, denied()), Judgement::WrongDenial);
    assert_eq!(judged(&book, 159, Answer::Allowed), Judgement::Right);
    assert_eq!(judged(&book, 151, denied()), Judgement::Right);
    assert_eq!(judged(&book, 160, Answer::Allowed), Judgement::WrongAccept);
    assert_eq!(judged(&book, 160, denied()), Judgement::Right);
    // Nobody else's.
    book.revocations = vec![revoked(Means::Logout, Scope::Session(8), 150)];
    assert_eq!(judged(&book, 160, denied()), Judgement::WrongDenial);
    // Not confirmed: it may be in force, and need not.
    book.revocations = vec![revoked(Means::Logout, Scope::Session(7), 150)];
    book.revocations[0].done = None;
    for answer in [denied(), Answer::Allowed] {
        assert_eq!(judged(&book, 180, answer), Judgement::Right);
    }
}

#[test]
fn an_edge_that_is_kept_in_the_dark_cannot_know_of_a_revocation() {
    let mut book = book();
    book.revocations =
        vec![revoked(Means::Withdrawal, Scope::Keys("shop", vec!["a".to_owned()]), 150)];
    book.troubles = vec![trouble(Kind::Freeze, 155, 160)];
    assert_eq!(judged(&book, 169, Answer::Allowed), Judgement::Right);
    assert_eq!(judged(&book, 170, Answer::Allowed), Judgement::WrongAccept);
    // To be slow is no excuse.
    book.troubles = vec![trouble(Kind::Slow, 155, 165)];
    assert_eq!(judged(&book, 160, Answer::Allowed), Judgement::WrongAccept);
}

#[test]
fn an_edge_may_be_unavailable_only_when_it_was_cut_off_for_too_long() {
    let mut book = book();
    book.troubles = vec![trouble(Kind::LongCut, 120, 150)];
    assert_eq!(judged(&book, 133, unavailable()), Judgement::WrongDenial);
    assert_eq!(judged(&book, 134, unavailable()), Judgement::Unavailable);
    assert_eq!(judged(&book, 155, unavailable()), Judgement::Unavailable);
    assert_eq!(judged(&book, 157, unavailable()), Judgement::WrongDenial);
    // A key that it does not know could be a new one.
    let forged = |sent| book.judge_one(&asked(Manner::Forged, sent, unavailable())).judgement;
    assert_eq!((forged(119), forged(121)), (Judgement::WrongDenial, Judgement::Unavailable));
    // Two short ones, and nothing to speak of between them.
    book.troubles = vec![trouble(Kind::Flip, 120, 130), trouble(Kind::Cut, 133, 145)];
    assert_eq!(judged(&book, 133, unavailable()), Judgement::WrongDenial);
    assert_eq!(judged(&book, 136, unavailable()), Judgement::Unavailable);
    // Others were not.
    book.troubles = vec![trouble(Kind::LongCut, 120, 150)];
    book.troubles[0].edge = Some(1);
    assert_eq!(judged(&book, 140, unavailable()), Judgement::WrongDenial);
    // Short, but it was started meanwhile, and so knows nothing.
    book.troubles = vec![trouble(Kind::Cut, 120, 125)];
    assert_eq!(judged(&book, 123, unavailable()), Judgement::WrongDenial);
    book.troubles.push(trouble(Kind::Kill, 121, 122));
    assert_eq!(judged(&book, 123, unavailable()), Judgement::Unavailable);
}

#[test]
fn an_edge_may_be_without_a_list_for_a_moment_after_a_withdrawal() {
    let mut book = book();
    for (domain, then) in [("shop", Judgement::Unavailable), ("vault", Judgement::WrongDenial)] {
        let other = vec!["b".to_owned()];
        book.revocations = vec![revoked(Means::Withdrawal, Scope::Keys(domain, other), 150)];
        assert_eq!(judged(&book, 152, unavailable()), then);
        assert_eq!(judged(&book, 153, unavailable()), Judgement::WrongDenial);
        assert_eq!(judged(&book, 152, denied()), Judgement::WrongDenial);
    }
}

#[test]
fn nobody_answers_only_while_the_edge_is_killed() {
    let mut book = book();
    book.troubles = vec![trouble(Kind::Kill, 120, 123), trouble(Kind::HotRestart, 140, 145)];
    assert_eq!(judged(&book, 121, nothing()), Judgement::Down);
    assert_eq!(judged(&book, 130, nothing()), Judgement::WrongDenial);
    assert_eq!(judged(&book, 142, nothing()), Judgement::WrongDenial);
}

#[test]
fn an_edge_goes_by_its_own_clock() {
    let mut book = book();
    book.edges[0].allowed_skew = at(65);
    assert_eq!(judged(&book, 263, denied()), Judgement::WrongDenial);
    assert_eq!(judged(&book, 266, Answer::Allowed), Judgement::WrongAccept);
    book.shifts = vec![Shift { edge: 0, at: at(0), seconds: -60 }];
    assert_eq!(judged(&book, 323, denied()), Judgement::WrongDenial);
    assert_eq!(judged(&book, 326, Answer::Allowed), Judgement::WrongAccept);
    book.shifts[0].seconds = 60;
    assert_eq!(judged(&book, 206, Answer::Allowed), Judgement::WrongAccept);
    assert_eq!(judged(&book, 203, denied()), Judgement::WrongDenial);
}

#[test]
fn a_key_has_to_be_known_once_it_could_be_learnt() {
    let mut book = book();
    book.keys = [("a".to_owned(), at(145))].into();
    assert_eq!(judged(&book, 151, denied()), Judgement::Right);
    assert_eq!(judged(&book, 152, denied()), Judgement::WrongDenial);
}

#[test]
fn the_reach_of_a_revocation_is_the_time_to_the_last_accept() {
    let mut book = book();
    book.revocations = vec![
        revoked(Means::Logout, Scope::Session(7), 150),
        revoked(Means::Reuse, Scope::Session(7), 151),
    ];
    book.troubles = vec![trouble(Kind::Cut, 152, 155)];
    book.requests = vec![
        asked(Manner::AsItIs, 149, Answer::Allowed),
        asked(Manner::AsItIs, 151, Answer::Allowed),
        asked(Manner::AsItIs, 152, denied()),
        asked(Manner::AsItIs, 157, Answer::Allowed),
    ];
    let reach = Reach { connected: at(4), on_the_wall: at(7), is_settled: false };
    assert_eq!(book.reaches(), [((0, 0), reach)].into());
    book.requests.push(asked(Manner::AsItIs, 158, denied()));
    assert!(book.reaches()[&(0, 0)].is_settled);
}

#[test]
fn every_class_that_is_judged_has_one_right_answer() {
    for class in Class::JUDGED {
        let expected = if class == Class::Valid { Expected::Pass } else { Expected::Denial };
        assert_eq!(class.expected(), expected, "{class}");
    }
}

//! Postern beside two others: npm's `jose` and Python's `joserfc` are asked the same of thousands
//! of tokens, right, wrong and odd. Where the three disagree, `disagreements.json` says why.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
)]

mod case;
mod changed_bytes;
mod claim_sets;
mod encoding;
mod headers;
mod key_sets;
mod random;
mod signer;
mod verdicts;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use case::{Case, Corpus};
use verdicts::Verdict;

/// The classes that all three accept, the first without exception. A wrong token that all three
/// accepted would be no disagreement.
const ACCEPTED: [&str; 19] = [
    "good",
    "a key that also signs",
    "a key without alg",
    "a modulus with leading zeros",
    "an early iat",
    "an early nbf",
    "an exponent with leading zeros",
    "beside a key for encryption",
    "beside a key of an unknown type",
    "changed bytes in the claims",
    "changed bytes in the header",
    "exp far ahead",
    "exp near now",
    "iat near now",
    "nbf near now",
    "no kid, and one key",
    "the header brings a key",
    "the header points at another key",
    "two keys of one kid",
];

/// Why some accept the cases of a class, and others do not.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Disagreement {
    class: String,
    accepted_by: BTreeSet<String>,
    /// Where the cases of a class are random: the only codes that the others refuse them by.
    #[serde(default)]
    codes: BTreeSet<String>,
    reason: String,
}

/// A class of cases, and who accepted one of them.
type Outcome = (String, BTreeSet<String>);

#[test]
fn postern_agrees_with_its_peers_or_says_why() {
    let mut corpus = Corpus::new();
    encoding::fill(&mut corpus);
    headers::fill(&mut corpus);
    claim_sets::fill(&mut corpus);
    key_sets::fill(&mut corpus);
    changed_bytes::fill(&mut corpus);
    let outcomes = outcomes(&corpus.cases);
    judge(&corpus.cases, &outcomes, listed());
}

/// The outcomes that have a reason, and the codes that it is a reason for; none means all.
fn listed() -> BTreeMap<Outcome, BTreeSet<String>> {
    let text = include_str!("../../differential/disagreements.json");
    let entries: Vec<Disagreement> = serde_json::from_str(text).unwrap();
    let mut listed = BTreeMap::new();
    for Disagreement { class, accepted_by, codes, reason } in entries {
        assert!(!reason.is_empty(), "`{class}` has no reason");
        let another = listed.insert((class.clone(), accepted_by), codes);
        assert!(another.is_none(), "`{class}` is listed twice");
    }
    listed
}

/// What each of the three says of each case.
fn outcomes(cases: &[Case]) -> Vec<[(&'static str, Verdict); 3]> {
    let questions: Vec<String> = cases.iter().map(|case| case.question().to_string()).collect();
    let questions = questions.join("\n");
    let (postern, jose, joserfc) = std::thread::scope(|scope| {
        let jose = scope.spawn(|| verdicts::jose(&questions));
        let joserfc = scope.spawn(|| verdicts::joserfc(&questions));
        (verdicts::postern(cases), jose.join().unwrap(), joserfc.join().unwrap())
    });
    assert_eq!((jose.len(), joserfc.len()), (cases.len(), cases.len()));
    let peers = jose.into_iter().zip(joserfc);
    let all = postern.into_iter().zip(peers);
    all.map(|(postern, (jose, joserfc))| {
        [("postern", postern), ("jose", jose), ("joserfc", joserfc)]
    })
    .collect()
}

fn covers(codes: &BTreeSet<String>, verdicts: &[(&'static str, Verdict); 3]) -> bool {
    let mut refusals = verdicts.iter().filter_map(|(_, verdict)| verdict.as_ref());
    codes.is_empty() || refusals.all(|code| codes.contains(code))
}

fn judge(
    cases: &[Case],
    outcomes: &[[(&'static str, Verdict); 3]],
    mut listed: BTreeMap<Outcome, BTreeSet<String>>,
) {
    let mut seen = BTreeMap::<Outcome, usize>::new();
    let mut unlisted = BTreeMap::<Outcome, (usize, String)>::new();
    let mut accepted_classes = BTreeSet::new();
    let (mut accepted, mut refused) = (0, 0);
    for (case, verdicts) in cases.iter().zip(outcomes) {
        let accepts = verdicts.iter().filter(|(_, verdict)| verdict.is_none());
        let accepted_by: BTreeSet<String> = accepts.map(|(who, _)| (*who).to_owned()).collect();
        match accepted_by.len() {
            0 if case.class != "good" => refused += 1,
            3 if ACCEPTED.contains(&case.class) => {
                accepted += 1;
                accepted_classes.insert(case.class);
            }
            _ => {
                let outcome = (case.class.to_owned(), accepted_by);
                if listed.get(&outcome).is_some_and(|codes| covers(codes, verdicts)) {
                    *seen.entry(outcome).or_default() += 1;
                } else {
                    let example = format!("{}\n    {verdicts:?}\n    {}", case.name, case.token);
                    unlisted.entry(outcome).or_insert((0, example)).0 += 1;
                }
            }
        }
    }
    println!("{} cases: {accepted} accepted by all, {refused} by none", cases.len());
    for ((class, accepted_by), times) in &seen {
        println!("{times} of `{class}` accepted by {accepted_by:?} only");
        listed.remove(&(class.clone(), accepted_by.clone()));
    }
    for ((class, accepted_by), (times, example)) in &unlisted {
        println!("UNLISTED: {times} of `{class}` accepted by {accepted_by:?} only: {example}");
    }
    assert!(unlisted.is_empty(), "{} unlisted disagreements", unlisted.len());
    assert!(listed.is_empty(), "listed, but did not occur: {listed:?}");
    assert_eq!(accepted_classes, BTreeSet::from(ACCEPTED));
    assert!(accepted > 200 && refused > 2_000, "the cases have become one-sided");
}

//! The verdict corpus (`tests/vectors/README.md`) before a real Envoy with the built filter: the
//! cases, their requests and their keys over real connections, and the time of Envoy's wall clock.
//!
//! - [`case`] reads the cases and puts them into groups; [`ages`] plays them.
//! - [`listeners`] is what Envoy is told.
//! - [`client`] sends requests, [`upstream`] takes those that pass, and [`keys`] ends the fetches.
//! - [`compare`] says what came of a case, and what differs from what it expects.
//! - [`exceptions`] lists what differs, with reasons.

mod ages;
mod case;
mod client;
mod compare;
mod exceptions;
mod keys;
mod listeners;
mod upstream;

use self::{
    ages::{Age, Stage},
    case::{Case, group, read_corpus},
    compare::{Outcome, differences},
    exceptions::{DIFFERENT, Different},
};

/// What this host can do: all that a case may need. Only that the route is chosen anew
/// (`clear_route_cache`) is not looked at.
const NEEDS: [&str; 12] = [
    "clock",
    "fetches",
    "field-bytes",
    "field-names",
    "filter-state",
    "forbidden-fields",
    "large",
    "metadata",
    "raw-method",
    "raw-target",
    "repeated-fields",
    "route",
];

#[tokio::test]
async fn every_case_has_its_verdict() {
    let cases = read_corpus();
    let mut wrong: Vec<String> = unknown(&cases);
    let count = cases.len();
    let (bad, cases): (Vec<Case>, Vec<Case>) =
        cases.into_iter().partition(|case| case.expects("policy_error"));
    let groups = group(cases);
    let mut stage = Stage::set(&groups).await;
    wrong.extend(stage.refuse(&bad).await);
    for age in Age::all(groups) {
        let outcomes = stage.play(&age).await;
        wrong.extend(outcomes.into_iter().filter_map(|(case, outcome)| judge(case, &outcome)));
    }
    println!("{count} cases in Envoy, none left out");
    for Different { why, outcome, cases } in DIFFERENT {
        println!("{} of them end as `{outcome}`: {why}", cases.len());
    }
    assert!(wrong.is_empty(), "{} of {count} cases:\n{}", wrong.len(), wrong.join("\n"));
}

/// What is listed and is no case, and what a case needs that is not listed.
fn unknown(cases: &[Case]) -> Vec<String> {
    let listed = DIFFERENT.iter().flat_map(|one| one.cases);
    let strangers = listed.filter(|name| cases.iter().all(|case| case.name != **name));
    let strangers = strangers.map(|name| format!("{name} is listed as different, and is no case"));
    let needs = cases.iter().flat_map(|case| case.needs.iter().map(move |need| (case, need)));
    let needs = needs.filter(|(_, need)| !NEEDS.contains(&need.as_str()));
    let needs = needs.map(|(case, need)| format!("{} needs `{need}`, unknown here", case.name));
    strangers.chain(needs).collect()
}

/// What is wrong with a case: a difference that is not listed, or a listed one that is none.
fn judge(case: &Case, outcome: &Outcome) -> Option<String> {
    let differences = differences(case, outcome).join("; ");
    let (name, label) = (&case.name, outcome.label());
    match exceptions::find(name) {
        None if differences.is_empty() => None,
        None => Some(format!("{name} ({}): {differences}", case.why)),
        Some(_) if differences.is_empty() => Some(format!("{name} is listed as different")),
        Some(listed) if listed.outcome == label => None,
        Some(listed) => Some(format!("{name} is {label}, listed as {}", listed.outcome)),
    }
}

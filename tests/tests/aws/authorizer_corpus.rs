//! The verdict corpus (`tests/vectors/README.md`), run through the Lambda authorizer: each case as an
//! event of API Gateway, in each format that can say it.

mod events;
mod exceptions;

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use postern_issuer::authorizer::{AuthorizerError, Judge, Outcome, Settings};
use postern_tests::workspace_root;
use postern_verify::{Fetched, Gate, KeySetId};
use serde_json::Value;

use self::events::Format;

/// What no event says: an Envoy host's configuration, and bytes that are no text.
const NOT_SAID: [&str; 2] = ["filter-state", "route"];

#[test]
fn every_case_has_its_verdict_in_each_format() {
    let mut wrong = Vec::new();
    let mut listed = exceptions::all();
    let mut counts: BTreeMap<Format, usize> = BTreeMap::new();
    for_each_case(|file, case| {
        let name = format!("{}/{}", text(&file["topic"]), text(&case["name"]));
        for format in [Format::One, Format::Two, Format::Token] {
            let Some(event) = events::event(format, &case["request"]) else { continue };
            let Some(mut judge) = judge(file, case) else { continue };
            if format == Format::Token && judge.gate_mut().policy().asks_for_fields() {
                continue;
            }
            *counts.entry(format).or_default() += 1;
            let expected = expected(&case["expect"]);
            let actual = actual(&mut judge, &event, seconds(&case["now"]));
            let exception = listed.remove(&(format, name.clone()));
            let due = exception.map_or(expected.as_str(), |exception| exception.outcome);
            if actual != due {
                wrong.push(format!("{format:?} {name} is {actual}, not {due}"));
            } else if exception.is_some() && actual == expected {
                wrong.push(format!("{format:?} {name} is listed, and is as expected"));
            }
        }
    });
    let left =
        listed.keys().map(|(format, name)| format!("{format:?} {name} is listed, and not run"));
    wrong.extend(left);
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(counts[&Format::One] >= 1700, "{counts:?}");
    assert!(counts[&Format::Two] >= 1700, "{counts:?}");
    assert!(counts[&Format::Token] >= 700, "{counts:?}");
}

#[test]
fn a_bad_policy_is_told_by_the_member_at_fault() {
    let mut wrong = Vec::new();
    for_each_case(|_, case| {
        let expected = &case["expect"];
        if expected["verdict"] != "policy_error" {
            return;
        }
        let document = match &case["policy"] {
            Value::String(document) => document.clone(),
            document => document.to_string(),
        };
        let error = settings(&document).err().map(|error| error.to_string()).unwrap_or_default();
        let start = format!("`POSTERN_POLICY`: {}", text(&expected["member"]));
        if !error.starts_with(&start) {
            wrong.push(format!("{}: {error}", case["name"]));
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn for_each_case(mut run: impl FnMut(&Value, &Value)) {
    let folder = workspace_root().join("tests/vectors");
    let files =
        fs::read_dir(folder).expect("the corpus is there").map(|entry| entry.unwrap().path());
    for path in files.filter(|path| path.extension().is_some_and(|extension| extension == "json")) {
        let file: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        file["cases"].as_array().unwrap().iter().for_each(|case| run(&file, case));
    }
}

/// The authorizer of a case, with its keys; none where the case is of something else.
fn judge(file: &Value, case: &Value) -> Option<Judge> {
    let needs = case["needs"].as_array().into_iter().flatten();
    if case["expect"]["verdict"] == "policy_error"
        || needs.into_iter().any(|need| NOT_SAID.contains(&text(need)))
    {
        return None;
    }
    let document = file["policies"][text(&case["policy"])].to_string();
    let document = match &file["policies"][text(&case["policy"])] {
        Value::String(document) => document.clone(),
        _ => document,
    };
    let mut judge = Judge::new(settings(&document).unwrap(), 0).unwrap();
    fetch_keys(judge.gate_mut(), file, case);
    Some(judge)
}

fn settings(policy: &str) -> Result<Settings, impl std::error::Error> {
    Settings::read(|name| (name == "POSTERN_POLICY").then(|| policy.to_owned()))
}

fn expected(expect: &Value) -> String {
    match text(&expect["verdict"]) {
        "deny" => format!("deny {}", text(&expect["code"])),
        "await" => format!("await {} {}", text(&expect["provider"]), text(&expect["domain"])),
        verdict => verdict.to_owned(),
    }
}

fn actual(judge: &mut Judge, event: &Value, now: Duration) -> String {
    match judge.outcome(event, now) {
        Outcome::Answer(answer) => {
            let effect = &answer["policyDocument"]["Statement"][0]["Effect"];
            if answer["isAuthorized"] == true || effect == "Allow" {
                return "allow".to_owned();
            }
            assert!(answer["isAuthorized"] == false || effect == "Deny", "{answer}");
            format!("deny {}", text(&answer["context"]["code"]))
        }
        Outcome::AwaitKeys(key_set) => {
            let name = judge.gate_mut().policy().provider_names().nth(key_set.provider);
            let domain = key_set.domain.as_deref().unwrap_or_default();
            format!("await {} {domain}", name.unwrap_or_default())
        }
        Outcome::Fail(AuthorizerError::Unauthorized { code }) => format!("deny {code}"),
        Outcome::Fail(AuthorizerError::KeysUnavailable) => "deny keys_unavailable".to_owned(),
        Outcome::Fail(error) => error.to_string(),
    }
}

/// Reports the ends of fetches in their order, and none besides.
fn fetch_keys(gate: &mut Gate, file: &Value, case: &Value) {
    let names: Vec<String> = gate.policy().provider_names().map(str::to_owned).collect();
    let mut ends: Vec<(Duration, KeySetId, &Value)> = Vec::new();
    for (name, fetches) in case["keys"].as_object().into_iter().flatten() {
        let provider = names.iter().position(|known| known == name).expect("a known provider");
        for end in fetches.as_array().unwrap() {
            let key_set = KeySetId::new(provider, end["domain"].as_str());
            ends.push((seconds(&end["at"]), key_set, end));
        }
    }
    ends.sort_by_key(|(at, ..)| *at);
    for (at, key_set, end) in ends {
        gate.keys_mut().demand(&key_set, at);
        let due = std::iter::from_fn(|| gate.keys_mut().poll_fetch(at));
        let fetch = due.into_iter().find(|fetch| fetch.key_set == key_set);
        let fetch = fetch.expect("the fetch that the case speaks of is due");
        let name = end["jwks"].as_str().or(end["discovery"].as_str());
        let body = match name.map(|name| &file["key_sets"][name]) {
            Some(Value::String(document)) => document.clone(),
            Some(document) => document.to_string(),
            None => String::new(),
        };
        let status = end["status"].as_u64().map_or(200, |status| u16::try_from(status).unwrap());
        let fetched = match end["failed"].as_bool() {
            Some(true) => Fetched::Failed,
            _ => Fetched::Response {
                status,
                etag: None,
                cache_control: None,
                age: None,
                body: body.as_bytes(),
            },
        };
        // A bad end is part of some cases.
        let _ = gate.keys_mut().handle_fetched(&fetch, fetched, at);
    }
}

fn seconds(value: &Value) -> Duration {
    Duration::from_secs_f64(value.as_f64().expect("a time is a number"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

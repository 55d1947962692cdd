//! The verdict corpus (`tests/vectors/README.md`), run natively: policy, keys, time and request in,
//! verdict out. The core can do everything that a case may need.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
)]

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use base64ct::{Base64, Encoding};
use postern_verify::{
    Decision, End, Fetched, Gate, KeySetId, Policy, Request, Route, Step, Verification,
};
use serde_json::{Map, Value, json};

#[test]
fn every_case_has_its_verdict() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    let (mut count, mut wrong) = (0, Vec::new());
    for entry in fs::read_dir(folder).expect("the corpus is there") {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let file: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for case in file["cases"].as_array().expect("a file has cases") {
            count += 1;
            let differences = run(&file, case);
            if !differences.is_empty() {
                let name = format!("{}/{}", text(&file["topic"]), text(&case["name"]));
                wrong.push(format!("{name} ({}): {differences}", text(&case["why"])));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count} cases:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 400, "the corpus has only {count} cases");
}

/// What differs between the expected verdict and ours; empty where nothing does.
fn run(file: &Value, case: &Value) -> String {
    let expected = &case["expect"];
    let document = match &case["policy"] {
        Value::String(name) if expected["verdict"] != "policy_error" => {
            file["policies"][name].to_string()
        }
        Value::String(document) => document.clone(),
        document => document.to_string(),
    };
    let policy = match Policy::parse(document.as_bytes()) {
        Err(error) => return policy_error(expected, &error.to_string()),
        Ok(_) if expected["verdict"] == "policy_error" => {
            return format!("the policy was taken, not refused at `{}`", expected["member"]);
        }
        Ok(policy) => policy,
    };
    let mut gate = Gate::new(policy);
    fetch_keys(&mut gate, file, case);
    let told = tell_apart(&mut gate, case);
    let actual = decide(gate, case);
    let members = expected.as_object().expect("a verdict has members");
    let differences = members.iter().filter_map(|(name, value)| {
        let differs = match name.as_str() {
            "headers" => !has_headers(value, &actual[name]),
            _ => *value != actual[name],
        };
        differs.then(|| format!("`{name}` is {}, not {value}", actual[name]))
    });
    let mut differences: Vec<String> = differences.chain(told).collect();
    for absent in ["target", "clear_route_cache"] {
        if actual["verdict"] == "allow"
            && expected.get(absent).is_none()
            && !actual[absent].is_null()
        {
            differences.push(format!("`{absent}` is {}", actual[absent]));
        }
    }
    differences.join("; ")
}

fn policy_error(expected: &Value, error: &str) -> String {
    match expected["member"].as_str() {
        Some(member) if error.starts_with(member) => String::new(),
        Some(member) => format!("the policy was refused by `{error}`, not at `{member}`"),
        None => format!("the policy was refused: {error}"),
    }
}

/// Each named field is as it says; `null` says that there is none.
fn has_headers(expected: &Value, actual: &Value) -> bool {
    expected.as_object().unwrap().iter().all(|(name, value)| *value == actual[name])
}

/// A token by itself is verified where a provider's steps take it, and only there; known or not.
fn tell_apart(gate: &mut Gate, case: &Value) -> Option<String> {
    let (token, now) = (case["token"].as_str()?.as_bytes(), seconds(&case["now"]));
    for domain in [None, Some("acme"), Some("globex"), Some("nobody")] {
        let steps = gate.explain_token(token, domain, now);
        let ends = |end: End| steps.iter().any(|step| step.end == Some(end));
        for _ in 0..2 {
            let told = match gate.verify(token, domain, now) {
                Verification::Verified { provider, .. } => {
                    let name = gate.policy().provider_names().nth(provider)?;
                    let took = |step: &Step| step.end == Some(End::Taken) && step.provider == name;
                    steps.iter().any(took)
                }
                Verification::AwaitKeys(_) => ends(End::AwaitsKeys) && !ends(End::Taken),
                Verification::Denied(denial) => {
                    let says = |step: &Step| step.outcome.as_ref() == Err(&denial);
                    !ends(End::Taken) && !ends(End::AwaitsKeys) && steps.iter().any(says)
                }
            };
            if !told {
                let verification = gate.verify(token, domain, now);
                return Some(format!("by itself it is {verification:?}, by its steps {steps:?}"));
            }
        }
    }
    None
}

fn decide(mut gate: Gate, case: &Value) -> Value {
    let raw = &case["request"];
    let fields: Vec<(String, Vec<u8>)> =
        raw["headers"].as_array().unwrap().iter().map(field).collect();
    let headers = fields.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let target = text(&raw["target"]).as_bytes();
    let mut request = Request::new(text(&raw["method"]), target, headers);
    request.authority = raw["authority"].as_str().unwrap_or("api.example.com").as_bytes();
    request.scheme = raw["scheme"].as_str().unwrap_or("https");
    request.filter_state = case["filter_state"].as_str();
    request.route = match &case["route"] {
        Value::Null => Route::Rules,
        route if route["disabled"] == true => Route::Disabled,
        route => Route::Requirement(text(&route["requirement_name"])),
    };
    let now = seconds(&case["now"]);
    let steps = gate.explain(&request, now);
    let decision = gate.decide(&request, now);
    if let Decision::Deny(denied) = &decision {
        let says = |step: &Step| step.outcome.as_ref().is_err_and(|why| *why == denied.denial);
        assert!(
            steps.iter().any(says),
            "{}: {steps:?} do not tell {}",
            case["name"],
            denied.denial
        );
    }
    match decision {
        Decision::AwaitKeys(key_set) => {
            let name = gate.policy().provider_names().nth(key_set.provider).unwrap();
            json!({"verdict": "await", "provider": name, "domain": key_set.domain})
        }
        Decision::Deny(denied) => {
            let headers: Map<String, Value> = denied
                .answer
                .headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), json!(value)))
                .collect();
            let body = serde_json::from_str(&denied.answer.body);
            json!({
                "verdict": "deny",
                "code": denied.denial.code(),
                "status": denied.answer.status,
                "headers": headers,
                "body": body.unwrap_or(json!(denied.answer.body)),
                "metadata": denied.metadata.into_iter().collect::<Map<String, Value>>(),
            })
        }
        Decision::Allow(forward) => {
            let set: BTreeMap<&str, String> =
                forward.set_headers().map(|(name, value)| (name, printable(value))).collect();
            let names = request.headers.iter().map(|field| field.0.to_ascii_lowercase());
            let replaced = names.filter(|name| set.contains_key(name.as_str()));
            let removed = forward.removed_headers().map(str::to_ascii_lowercase);
            let mut gone: Vec<String> = removed.chain(replaced).collect();
            gone.sort();
            gone.dedup();
            let metadata = forward.metadata();
            let metadata = metadata.map(|(key, value)| (key.to_owned(), value.clone()));
            json!({
                "verdict": "allow",
                "set_headers": set,
                "remove_headers": gone,
                "target": forward.target().map(printable),
                "metadata": metadata.collect::<Map<String, Value>>(),
                "clear_route_cache": forward.clears_route_cache().then_some(true),
            })
        }
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

fn field(field: &Value) -> (String, Vec<u8>) {
    let value = match &field[1] {
        Value::String(text) => text.clone().into_bytes(),
        bytes => Base64::decode_vec(text(&bytes["base64"])).unwrap(),
    };
    (text(&field[0]).to_owned(), value)
}

fn seconds(value: &Value) -> Duration {
    Duration::from_secs_f64(value.as_f64().expect("a time is a number"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

//! What came of a case, and whether it is what the case expects.

use serde_json::Value;

use super::{
    case::{Case, Request},
    client::Answer,
    listeners::METADATA_FIELD,
    upstream::Arrived,
};

type Field = (String, Vec<u8>);

/// What came of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It reached the service, whose answer came back.
    Allowed(Arrived, Option<Answer>),
    /// Envoy or the filter answered it.
    Answered(Answer),
    /// It waits for keys.
    Waits,
    /// The connection was closed without an answer.
    Closed,
}

impl Outcome {
    pub(crate) fn new(answer: Option<Answer>, arrived: Option<Arrived>) -> Self {
        match (arrived, answer) {
            (Some(arrived), answer) => Self::Allowed(arrived, answer),
            (None, Some(answer)) => Self::Answered(answer),
            (None, None) => Self::Closed,
        }
    }

    /// What it is in a word or two: what exceptions speak of.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Allowed(..) => "allow".to_owned(),
            Self::Waits => "await".to_owned(),
            Self::Closed => "closed".to_owned(),
            Self::Answered(answer) => match answer.code() {
                Some(code) => format!("deny {} {code}", answer.status),
                None => format!("{} of Envoy", answer.status),
            },
        }
    }
}

/// What differs from what the case expects; empty where nothing does.
pub(crate) fn differences(case: &Case, outcome: &Outcome) -> Vec<String> {
    let (mut differences, answer) = match outcome {
        Outcome::Allowed(arrived, answer) if case.expects("allow") => {
            (changes(case, arrived), answer.as_ref())
        }
        Outcome::Answered(answer) if case.expects("deny") => (denial(case, answer), Some(answer)),
        Outcome::Waits if case.expects("await") => (Vec::new(), None),
        _ => return vec![format!("is {}, not {}", outcome.label(), case.expect["verdict"])],
    };
    if let (Some(answer), Some(expected)) = (answer, case.expect.get("metadata")) {
        let metadata = metadata(answer);
        if metadata != *expected {
            differences.push(format!("`metadata` is {metadata}, not {expected}"));
        }
    }
    differences
}

/// What the filters behind the gate get to know, by key. To Envoy, each is an object of a type.
fn metadata(answer: &Answer) -> Value {
    let fields = answer.fields.iter().filter_map(|(name, value)| {
        let key = name.strip_prefix(METADATA_FIELD)?;
        let object: Value = serde_json::from_slice(value).unwrap();
        Some((key.to_owned(), object["value"].clone()))
    });
    Value::Object(fields.collect())
}

fn denial(case: &Case, answer: &Answer) -> Vec<String> {
    let expected = &case.expect;
    let mut differences = Vec::new();
    if expected["status"] != answer.status {
        differences.push(format!("`status` is {}, not {}", answer.status, expected["status"]));
    }
    let code = answer.code();
    if code.as_deref() != expected["code"].as_str() && (code.is_some() || shows_code(case)) {
        differences.push(format!("`code` is {code:?}, not {}", expected["code"]));
    }
    for (name, value) in expected["headers"].as_object().into_iter().flatten() {
        let sent = answer.field(name);
        if sent != value.as_str() {
            differences.push(format!("`{name}` is {sent:?}, not {value}"));
        }
    }
    let body = serde_json::from_str(&answer.body).unwrap_or(Value::from(answer.body.as_str()));
    if case.request.method != "HEAD" && expected.get("body").is_some_and(|value| *value != body) {
        differences.push(format!("`body` is {body}, not {}", expected["body"]));
    }
    differences
}

/// Whether the answer says why: not one without a body, and not a redirect.
fn shows_code(case: &Case) -> bool {
    let status = case.expect["status"].as_u64().unwrap_or_default();
    case.request.method != "HEAD" && case.expect["body"] != "" && !(300..400).contains(&status)
}

/// What went upstream is what was sent, but for what the case says, and what Envoy adds.
fn changes(case: &Case, arrived: &Arrived) -> Vec<String> {
    let mut differences = Vec::new();
    let target = case.expect["target"].as_str().unwrap_or(&case.request.target);
    if arrived.target != target.as_bytes() {
        let arrived = arrived.target.escape_ascii();
        differences.push(format!("`target` is {arrived}, not {target}"));
    }
    let mut expected = expected_fields(case);
    let mut fields = arrived.fields.clone();
    fields.sort();
    expected.sort();
    if fields != expected {
        let extra = fields.iter().filter(|field| !expected.contains(field)).map(shown);
        let missing = expected.iter().filter(|field| !fields.contains(field)).map(shown);
        let (extra, missing): (Vec<_>, Vec<_>) = (extra.collect(), missing.collect());
        differences.push(format!("{extra:?} went upstream, and {missing:?} did not"));
    }
    differences
}

fn expected_fields(case: &Case) -> Vec<Field> {
    let removed = case.expect["remove_headers"].as_array().into_iter().flatten();
    let removed: Vec<&str> = removed.filter_map(Value::as_str).collect();
    let fields = case.request.fields.iter().map(|(name, value)| {
        // White space around a value is not part of it (RFC 9110 §5.5).
        (name.to_ascii_lowercase(), value.trim_ascii().to_vec())
    });
    let kept = fields.filter(|(name, _)| !removed.contains(&name.as_str()));
    let set = case.expect["set_headers"].as_object().into_iter().flatten();
    let set = set.map(|(name, value)| (name.clone(), value.as_str().unwrap().into()));
    kept.chain(set).chain(of_envoy(case)).collect()
}

/// What Envoy adds to every request.
fn of_envoy(case: &Case) -> Vec<Field> {
    let Request { method, target, scheme, authority, .. } = &case.request;
    // RFC 9110 §7.2, §9.3.6: that of a tunnel is what it leads to.
    let host = if method == "CONNECT" { target } else { authority };
    let mut fields = vec![("host", host.as_str()), ("x-forwarded-proto", scheme.as_str())];
    if !["GET", "HEAD", "CONNECT", "TRACE"].contains(&method.as_str()) {
        // Of methods that may have a body, that there is none.
        fields.push(("content-length", "0"));
    }
    fields.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

fn shown((name, value): &Field) -> String {
    format!("{name}: {}", value.escape_ascii())
}

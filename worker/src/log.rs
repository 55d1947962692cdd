//! One line of JSON for what is worth one. There is never a token, a cookie, a query or a claim in it.

use std::time::Duration;

use postern_verify::{Denial, Denied, Fetch, Report, Request};
use serde_json::{Map, Value, json};

/// The longest text that is logged of what a client sent, in bytes.
const MAX_TEXT_BYTES: usize = 256;
/// How many keys that were left out are logged for one key set.
const MAX_LOGGED_KEYS: usize = 4;

/// A request that was refused.
pub(crate) fn denial(
    denied: &Denied,
    provider: Option<&str>,
    request: &Request<'_>,
    now: Duration,
) {
    report(denied.report.as_ref());
    let mut line = about("denied", request);
    line.insert("time".to_owned(), json!(now.as_secs_f64()));
    line.insert("code".to_owned(), json!(denied.denial.code()));
    line.insert("status".to_owned(), json!(denied.answer.status));
    line.insert("rule".to_owned(), json!(denied.rule));
    line.insert("provider".to_owned(), json!(provider));
    write(line);
}

/// A request that may pass, but that no origin is named for.
pub(crate) fn no_origin(request: &Request<'_>) {
    let mut line = about("no_origin", request);
    line.insert("status".to_owned(), json!(502));
    write(line);
}

/// What a rule on trial would have done, if it would have denied.
pub(crate) fn report(report: Option<&Report>) {
    if let Some(Report { rule, code: Some(code), .. }) = report {
        tell("would_deny", &[("rule", rule.as_str().into()), ("code", (*code).into())]);
    }
}

/// Keys that were fetched. Of status lists, which change with every logout, nothing is said.
pub(crate) fn keys(fetch: &Fetch, keys: usize, skipped: &[String]) {
    if fetch.key_set.status_list.is_some() {
        return;
    }
    let skipped: Vec<&String> = skipped.iter().take(MAX_LOGGED_KEYS).collect();
    let from = fetch.source.authority.as_str().into();
    tell("keys", &[("from", from), ("keys", keys.into()), ("skipped", json!(skipped))]);
}

/// Keys, or a status list, that were not fetched.
pub(crate) fn not_fetched(fetch: &Fetch, reason: &str) {
    fetch_failed("keys_not_fetched", fetch, reason);
}

/// A copy in a store that is not what the issuer answered.
pub(crate) fn copy_refused(fetch: &Fetch, reason: &str) {
    fetch_failed("copy_refused", fetch, reason);
}

/// What says that it is a push of an issuer, and is not.
pub(crate) fn push_refused(denial: &Denial) {
    tell("push_refused", &[("code", denial.code().into())]);
}

/// What does not work.
pub(crate) fn error(what: &str, reason: &str) {
    tell("error", &[("what", what.into()), ("reason", reason.into())]);
}

/// What works, but not as it could.
pub(crate) fn warning(what: &str, reason: &str) {
    tell("warning", &[("what", what.into()), ("reason", reason.into())]);
}

/// What is good to know.
pub(crate) fn info(what: &str, reason: &str) {
    tell("info", &[("what", what.into()), ("reason", reason.into())]);
}

fn fetch_failed(event: &str, fetch: &Fetch, reason: &str) {
    let from = fetch.source.authority.as_str().into();
    let list = json!(fetch.key_set.status_list);
    tell(event, &[("from", from), ("status_list", list), ("reason", reason.into())]);
}

fn tell(event: &str, members: &[(&str, Value)]) {
    let mut line = Map::new();
    line.insert("postern".to_owned(), event.into());
    line.extend(members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    write(line);
}

fn about(event: &str, request: &Request<'_>) -> Map<String, Value> {
    let path = request.target.split(|byte| *byte == b'?').next().unwrap_or_default();
    let ray = request.headers.iter().find(|field| field.0.eq_ignore_ascii_case("cf-ray"));
    let line = json!({
        "postern": event,
        "method": text(request.method.as_bytes()),
        "host": text(request.authority),
        "path": text(path),
        "ray": ray.map(|field| text(field.1)),
    });
    match line {
        Value::Object(line) => line,
        _ => Map::new(),
    }
}

fn text(bytes: &[u8]) -> String {
    let start = bytes.get(..MAX_TEXT_BYTES).unwrap_or(bytes);
    String::from_utf8_lossy(start).into_owned()
}

fn write(line: Map<String, Value>) {
    worker::console_log!("{}", Value::Object(line));
}

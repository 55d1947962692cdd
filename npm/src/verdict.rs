//! What became of a token or a request, as JSON.

use postern_javascript::FieldCoding;
use postern_verify::{Answer, Denial, Denied, Forward, Gate, KeySetId};
use serde_json::{Value, json};

use crate::{key_set_name, part, provider_name};

/// A refusal, as a `DenialError` tells it.
pub(crate) fn denial_of(denial: &Denial) -> Value {
    let answer = denial.answer();
    json!({
        "code": denial.code(),
        "message": denial.message(),
        "status": answer.status,
        "headers": headers(&answer),
    })
}

/// A refused request, and what to answer. `None` where the core has not decided.
pub(crate) fn denied(gate: &Gate, denial: &Denial, refused: Option<&Denied>) -> Value {
    let own = denial.answer();
    let answer = refused.map_or(&own, |refused| &refused.answer);
    let provider = refused.and_then(|refused| refused.provider);
    json!({
        "verdict": "deny",
        "code": denial.code(),
        "message": denial.message(),
        "rule": refused.and_then(|refused| refused.rule.as_deref()),
        "provider": provider.map(|provider| provider_name(gate, provider)),
        "status": answer.status,
        "headers": headers(answer),
        "body": answer.body,
        "metadata": refused.map(|refused| {
            refused.metadata.iter().cloned().collect::<serde_json::Map<String, Value>>()
        }),
    })
}

/// What to change in a request that is let through. `None` where the host has no string for a value.
///
/// Header and claims of the tokens go as they were signed, which is JSON that has been read once:
/// numbers as they were spelled.
pub(crate) fn allowed(gate: &Gate, forward: &Forward<'_>, coding: FieldCoding) -> Option<String> {
    let mut set = Vec::new();
    for (name, value) in forward.set_headers() {
        set.push(json!([name, text(value, coding)?]));
    }
    let target = match forward.target() {
        Some(target) => Some(text(target, coding)?),
        None => None,
    };
    let removed: Vec<&str> = forward.removed_headers().collect();
    let metadata = forward.metadata();
    let metadata: serde_json::Map<String, Value> =
        metadata.map(|(key, value)| (key.to_owned(), value.clone())).collect();
    let report = forward.report();
    let report = report.map(|report| json!({"rule": report.rule, "code": report.code}));
    let mut tokens = Vec::new();
    for bearer in forward.bearers() {
        let (header, claims) = (part(bearer.token, 0)?, part(bearer.token, 1)?);
        let (provider, domain) =
            (json!(provider_name(gate, bearer.provider)), json!(bearer.domain));
        tokens.push(format!(
            r#"{{"provider":{provider},"domain":{domain},"header":{header},"claims":{claims}}}"#
        ));
    }
    let (set, removed, tokens) = (json!(set), json!(removed), tokens.join(","));
    let (target, metadata, report) = (json!(target), json!(metadata), json!(report));
    Some(format!(
        r#"{{"verdict":"allow","setHeaders":{set},"removeHeaders":{removed},"target":{target},"metadata":{metadata},"report":{report},"tokens":[{tokens}]}}"#
    ))
}

/// A request that has to wait for keys.
pub(crate) fn waiting(gate: &Gate, key_set: &KeySetId) -> Value {
    let mut waiting = key_set_name(gate, key_set);
    if let Some(members) = waiting.as_object_mut() {
        members.insert("verdict".to_owned(), json!("await"));
    }
    waiting
}

/// What the gate has done so far.
pub(crate) fn counters(gate: &Gate) -> Value {
    let counters = gate.counters();
    let cache = counters.cache;
    json!({
        "allowed": counters.allowed,
        "denied": counters.denied,
        "wouldDeny": counters.would_deny,
        "bundlesRefused": counters.bundles_refused,
        "listsRefused": counters.lists_refused,
        "staleStatus": counters.stale_status,
        "cache": {
            "hits": cache.hits,
            "misses": cache.misses,
            "evictions": cache.evictions,
            "entries": cache.entries,
            "bytes": cache.bytes,
        },
    })
}

fn headers(answer: &Answer) -> Vec<Value> {
    answer.headers.iter().map(|(name, value)| json!([name, value])).collect()
}

/// The host's string for the bytes of a header.
fn text(bytes: &[u8], coding: FieldCoding) -> Option<String> {
    match coding {
        FieldCoding::Bytes => Some(bytes.iter().copied().map(char::from).collect()),
        FieldCoding::Utf8 => std::str::from_utf8(bytes).ok().map(str::to_owned),
    }
}

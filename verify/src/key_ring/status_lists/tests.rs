//! A gate and the lists of its issuer, in virtual time.

mod copies;
mod not_before;
mod polls;
mod simulation;
mod verdicts;

use serde_json::{Value, json};

use super::*;
use crate::{
    Decision, Gate, Request, Verification,
    status_list::signing::{key_set, list_claims, signed},
};

const LISTS: &str = "https://i/status-lists/";

fn at(millis: u64) -> Duration {
    Duration::from_millis(1_000_000_000 + millis)
}

fn seconds(seconds: u64) -> Duration {
    at(seconds * 1_000)
}

fn uri(list: u64) -> String {
    format!("{LISTS}{list}")
}

/// A gate of one provider whose `status_list` is this, and which has the keys `k1` and `k2`.
fn gate_with(status_list: Value) -> Gate {
    let provider = json!({"issuer": "https://i", "status_list": status_list, "remote_jwks":
        {"http_uri": {"uri": "https://i/jwks.json", "timeout": "2s"}, "cache_duration": "3600s"}});
    let policy = json!({"providers": {"p": provider},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "p"}}]});
    let mut gate = Gate::new(Policy::parse(policy.to_string().as_bytes()).unwrap());
    hold(&mut gate, &[1, 2], at(0));
    gate
}

fn gate() -> Gate {
    gate_with(json!({"timeout": "2s"}))
}

fn hold(gate: &mut Gate, keys: &[u8], now: Duration) {
    gate.keys_mut().hold(&KeySetId::new(0, None), key_set(keys).as_bytes(), now).unwrap();
}

fn list_id(list: u64) -> KeySetId {
    KeySetId { status_list: Some(uri(list).into()), ..KeySetId::new(0, None) }
}

fn token_with(claims: &Value) -> String {
    let mut all =
        json!({"iss": "https://i", "sub": "u", "iat": 1_000_000, "exp": 4_000_000_000_u64});
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    signed(1, "JWT", &all)
}

/// A token with this place in this list.
fn token(list: u64, index: u64) -> String {
    token_with(&json!({"status": {"status_list": {"idx": index, "uri": uri(list)}}}))
}

/// The list of this number, by this key, of which these do not say valid.
fn list(key: u8, number: u64, issued_at: Duration, refused: &[u64]) -> String {
    signed(key, "statuslist+jwt", &list_claims(&uri(number), issued_at, refused))
}

fn verdict(gate: &mut Gate, token: &str, now: Duration) -> &'static str {
    let verification = gate.verify(token.as_bytes(), None, now);
    match verification {
        Verification::Verified { .. } => "ok",
        Verification::Denied(denial) => denial.code(),
        Verification::AwaitKeys(key_set) if key_set.status_list.is_some() => "awaits its list",
        Verification::AwaitKeys(_) => "awaits keys",
    }
}

fn answer(body: &str) -> Fetched<'_> {
    let etag = Some(&b"\"e\""[..]);
    Fetched::Response { status: 200, etag, cache_control: None, age: None, body: body.as_bytes() }
}

fn status(status: u16) -> Fetched<'static> {
    Fetched::Response { status, etag: None, cache_control: None, age: None, body: b"" }
}

/// The next fetch that is due of a list, whatever is due of keys.
fn poll(gate: &mut Gate, now: Duration) -> Option<Fetch> {
    std::iter::from_fn(|| gate.keys_mut().poll_fetch(now))
        .find(|fetch| fetch.key_set.status_list.is_some())
}

/// A fetch of a list that is due begins and ends at once.
fn fetched(gate: &mut Gate, now: Duration, fetched: Fetched<'_>) -> Result<KeyUpdate, FetchError> {
    let fetch = poll(gate, now).unwrap_or_else(|| panic!("no list is due at {now:?}"));
    gate.keys_mut().handle_fetched(&fetch, fetched, now)
}

/// A gate that has fetched the list 0 at second 0, which refuses these.
fn filled(status_list: Value, refused: &[u64]) -> Gate {
    let mut gate = gate_with(status_list);
    assert_eq!(verdict(&mut gate, &token(0, 0), at(0)), "awaits its list");
    assert!(gate.keys_mut().demand(&list_id(0), at(0)));
    fetched(&mut gate, at(0), answer(&list(1, 0, at(0), refused))).unwrap();
    gate
}

/// Lets polls of the list 0 end as `end` says, with a look at it each time, from one time to another.
fn run(
    gate: &mut Gate,
    from: Duration,
    to: Duration,
    mut end: impl FnMut(Duration, &Fetch) -> Option<String>,
) -> Vec<Duration> {
    let mut polls = Vec::new();
    let mut now = from;
    while now < to {
        let _ = verdict(gate, &token(0, 0), now);
        if let Some(fetch) = poll(gate, now) {
            polls.push(now);
            let body = end(now, &fetch);
            let fetched = body.as_deref().map_or(Fetched::Failed, answer);
            let _ = gate.keys_mut().handle_fetched(&fetch, fetched, now);
        }
        now += Duration::from_millis(100);
    }
    polls
}

/// The decision on a request with this token.
fn decided(gate: &mut Gate, token: &str, now: Duration) -> &'static str {
    let bearer = format!("Bearer {token}");
    let request = Request::new("GET", b"/", vec![("authorization", bearer.as_bytes())]);
    match gate.decide_at_once(&request, now) {
        Decision::Allow(_) => "ok",
        Decision::Deny(denied) => denied.denial.code(),
        Decision::AwaitKeys(_) => "waits",
    }
}

//! One edge, and the one bundle that was made for it.

use std::time::Duration;

use postern_verify::{EdgeCredential, Fetched, Gate, Policy};
use serde_json::json;

/// When the bundle was made, in seconds since the Unix epoch.
const NOW: Duration = Duration::from_secs(1_800_000_000);
const CREDENTIAL: &[u8] = include_bytes!("../seeds/edge/credential.json");
const BUNDLE: &[u8] = include_bytes!("../seeds/edge/bundle");

/// A document is the edge's bundle only if it is that to the letter, and no push; and a credential
/// does not show what is secret.
///
/// # Panics
/// Where it is not so.
pub fn edge(document: &[u8]) {
    if let Ok(credential) = EdgeCredential::parse(document) {
        let (shown, text) = (format!("{credential:?}"), String::from_utf8_lossy(document));
        let secrets = text.split("\"d\":\"").skip(1).filter_map(|rest| rest.split('"').next());
        assert!(secrets.into_iter().all(|secret| secret.is_empty() || !shown.contains(secret)));
    }
    let credential = EdgeCredential::parse(CREDENTIAL).expect("the credential");
    assert!(credential.check_push(document, NOW).is_err());
    let policy = json!({
        "providers": {"shop": {"issuer": "https://auth.example.com/shop",
            "algorithms": ["HS256"], "edge_keys": {}}},
        "rules": [],
    });
    let policy = Policy::parse(policy.to_string().as_bytes()).expect("the policy");
    let mut gate = Gate::new(policy).with_edges(vec![credential]).expect("an edge of the issuer");
    let fetch = gate.keys_mut().poll_fetch(NOW).expect("a fetch");
    let (etag, cache_control, age) = (None, None, None);
    let fetched = Fetched::Response { status: 200, etag, cache_control, age, body: document };
    let taken = gate.keys_mut().handle_fetched(&fetch, fetched, NOW).is_ok();
    assert_eq!(taken, document == BUNDLE, "{}", document.escape_ascii());
}

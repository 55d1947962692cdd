//! Tokens that must not pass, each with the code that it is refused with.

mod claims;
mod encoding;
mod header;
mod signature;

use std::collections::BTreeSet;

use postern_tests::{ForgedKeys, Key, Protocol, Request, Seen};
use serde_json::Value;

use crate::local_gate::{HEADER, LocalGate, claims as good_claims};

/// A token, or what stands in the place of one, and its code.
struct Case {
    name: String,
    token: Vec<u8>,
    code: &'static str,
}

/// The table, as it is filled.
struct Table<'k> {
    keys: &'k ForgedKeys,
    cases: Vec<Case>,
}

impl Table<'_> {
    fn raw(&mut self, name: &str, token: impl AsRef<[u8]>, code: &'static str) {
        self.cases.push(Case { name: name.to_owned(), token: token.as_ref().to_owned(), code });
    }

    /// A header, with good claims and a signature that fits.
    fn header(&mut self, header: impl AsRef<[u8]>, code: &'static str) {
        let name = format!("header {}", header.as_ref().escape_ascii());
        let token = self.keys.sign(Key::Es256, header, good_claims().to_string());
        self.raw(&name, token, code);
    }

    /// Claims, with a good header and a signature that fits.
    fn claims(&mut self, claims: impl AsRef<[u8]>, code: &'static str) {
        let name = format!("claims {}", claims.as_ref().escape_ascii());
        self.raw(&name, self.keys.sign(Key::Es256, HEADER, claims), code);
    }

    /// Good claims but for one, which is replaced or, by `null` for nothing, left out.
    fn claim(&mut self, name: &str, value: Option<Value>, code: &'static str) {
        let mut claims = good_claims();
        let members = claims.as_object_mut().unwrap();
        match value {
            Some(value) => drop(members.insert(name.to_owned(), value)),
            None => drop(members.remove(name)),
        }
        self.claims(claims.to_string(), code);
    }
}

#[tokio::test]
async fn over_http1() {
    refused(Protocol::Http1).await;
}

#[tokio::test]
async fn over_http2() {
    refused(Protocol::Http2).await;
}

async fn refused(protocol: Protocol) {
    let gate = LocalGate::open().await;
    let cases = table(&gate.keys);
    assert!(cases.len() >= 40, "{} cases", cases.len());
    let names: BTreeSet<_> = cases.iter().map(|case| &case.token).collect();
    assert_eq!(names.len(), cases.len(), "two cases are the same");
    accepted(&gate, protocol).await;
    let before = gate.upstream.requests();
    let client = gate.envoy.client(protocol);
    let mut surprises = Vec::new();
    for Case { name, token, code } in &cases {
        let value = [b"Bearer ", token.as_slice()].concat();
        let request = Request::get("/api/a").header("authorization", value);
        let answer = client.send(request).await.unwrap();
        if (answer.status, answer.code().as_str()) != (401, *code) {
            surprises.push(format!("{name}: {} {}, not {code}", answer.status, answer.body));
        }
    }
    assert!(surprises.is_empty(), "of {} cases:\n{}", cases.len(), surprises.join("\n"));
    assert_eq!(gate.upstream.requests(), before, "a malformed token reached the upstream");
    // The gate is not merely shut.
    accepted(&gate, protocol).await;
}

fn table(keys: &ForgedKeys) -> Vec<Case> {
    let mut table = Table { keys, cases: Vec::new() };
    header::fill(&mut table);
    claims::fill(&mut table);
    encoding::fill(&mut table);
    signature::fill(&mut table);
    table.cases
}

/// Tokens on the right side of each line that the table draws.
async fn accepted(gate: &LocalGate, protocol: Protocol) {
    let client = gate.envoy.client(protocol);
    for token in good_tokens(&gate.keys) {
        let answer = client.send(Request::get("/api/a").bearer(&token)).await.unwrap();
        let seen = Seen::read(&answer).unwrap_or_else(|failure| panic!("{token}: {failure}"));
        assert_eq!(seen.all("x-user-id"), ["user-1"]);
    }
}

fn good_tokens(keys: &ForgedKeys) -> Vec<String> {
    let good = good_claims();
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        keys.sign(Key::Es256, HEADER, claims.to_string())
    };
    let headed = |key, header: &str| keys.sign(key, header, good.to_string());
    let expiration = good["exp"].as_u64().unwrap();
    vec![
        headed(Key::Es256, HEADER),
        headed(Key::Rs256, r#"{"alg":"RS256","kid":"rs","typ":"JWT"}"#),
        headed(Key::EdDsa, r#"{"alg":"EdDSA","kid":"ed"}"#),
        headed(Key::Es256, r#"{ "typ":"application/AT+JWT", "kid":"es", "alg":"ES256" }"#),
        headed(Key::Es256, r#"{"alg":"ES256","kid":"es","jwk":{},"jku":"http://x/","x5u":"u"}"#),
        with("aud", serde_json::json!(["other", "api"])),
        with("exp", serde_json::json!(f64::from(u32::try_from(expiration).unwrap()) + 0.5)),
        with("nbf", serde_json::json!(expiration - 300)),
        with("nested", serde_json::json!({ "a": { "a": [1, { "a": 1 }] } })),
    ]
}

//! Recognizing an edge by what it signs (in the spirit of RFC 7523, section 3).

use postern_verify::{ClaimRules, JwkSet, KeyKinds, MAX_TOKEN_BYTES, UnverifiedToken};
use serde_json::json;

use super::{Edge, EdgeId};
use crate::clock::Timestamp;

/// The `typ` of assertions: no other token that an edge signs, or that its users have, is one.
const TYPE: &str = "postern-edge+jwt";
/// How far an assertion's `iat` may be from now, either way: a clock may be a minute off, and a
/// request may take a while.
const AGE_SECONDS: f64 = 120.0;
/// How far its `exp`, 60 seconds after `iat`, may lie back: more than that, so that `iat` decides.
const SKEW: std::time::Duration = std::time::Duration::from_secs(61);
const INSTANCE_DIGITS: usize = 16;
const HELD_MAX_BYTES: usize = 128;

/// What an edge says of itself, and its signature is right.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Assertion {
    /// The process.
    pub(crate) instance: String,
    /// The entity tag of the bundle that it holds.
    pub(crate) held: Option<String>,
}

/// Who an assertion claims to be from. Untrusted: it only chooses.
pub(crate) fn asserted_edge(token: &[u8]) -> Option<EdgeId> {
    let token = UnverifiedToken::parse(token, MAX_TOKEN_BYTES).ok()?;
    EdgeId::claimed(token.issuer()?)
}

/// The assertion, if that edge has signed it for `issuer` just now.
pub(crate) fn assertion(
    token: &[u8],
    edge: &Edge,
    issuer: String,
    now: Timestamp,
) -> Option<Assertion> {
    let token = UnverifiedToken::parse(token, MAX_TOKEN_BYTES).ok()?;
    // Without a `kid` several keys would be tried; there is one.
    token.key_id().filter(|key_id| *key_id == edge.signing_key.id)?;
    let signed = token.verify(&signing_key(edge)?).ok()?;
    let mut rules = ClaimRules::new(edge.id.as_str());
    rules.audiences = vec![issuer];
    rules.clock_skew = SKEW;
    rules.token_types = vec![TYPE.to_owned()];
    let checked = signed.check(&rules, now.since_epoch()).ok()?;
    let claims = checked.claims();
    claims.string("sub").filter(|subject| *subject == edge.id.as_str())?;
    let issued_at = claims.value(&["iat"])?.as_f64()?;
    if (issued_at - now.since_epoch().as_secs_f64()).abs() > AGE_SECONDS {
        return None;
    }
    let instance = claims.string("instance").filter(|text| is_instance(text))?.to_owned();
    let held = match claims.value(&["held"]) {
        None => None,
        Some(held) => Some(held.as_str().filter(|held| held.len() <= HELD_MAX_BYTES)?.to_owned()),
    };
    Some(Assertion { instance, held })
}

fn signing_key(edge: &Edge) -> Option<JwkSet> {
    let mut key = serde_json::to_value(&edge.signing_key.public).ok()?;
    let members = key.as_object_mut()?;
    members.insert("kid".to_owned(), edge.signing_key.id.as_str().into());
    members.insert("alg".to_owned(), "ES256".into());
    JwkSet::parse(json!({ "keys": [key] }).to_string().as_bytes(), KeyKinds::PublicOnly).ok()
}

fn is_instance(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == INSTANCE_DIGITS && text.bytes().all(is_digit)
}

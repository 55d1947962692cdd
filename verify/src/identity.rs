//! Whom a token speaks for, in the form that goes upstream. It is made once per token, and kept
//! with it in the cache.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::{
    claims::Claims,
    policy::{MetadataKeys, PayloadHeader, Policy, Provider, ProviderIndex},
    revoked::session,
    status_list::Reference,
    token::VerifiedToken,
};

/// Whom a verified token speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Who<'a> {
    /// Whose token it is: the index counts [`crate::Policy::provider_names`].
    pub provider: usize,
    /// Its `iss`.
    pub issuer: Option<&'a str>,
    /// Its `sub`.
    pub subject: Option<&'a str>,
    /// The domain that it was verified for, where its provider has domains.
    pub domain: Option<&'a str>,
}

/// `iss` and `sub`.
struct Names {
    issuer: Option<Box<str>>,
    subject: Option<Box<str>>,
}

/// What one token says.
pub(crate) struct Identity {
    /// No other one of the gate has it; 0 where nobody has checked the token.
    pub(crate) number: u64,
    pub(crate) provider: ProviderIndex,
    /// Only where the policy has `identity_in_metadata`.
    names: Option<Box<Names>>,
    /// Header fields to set. Their names belong to the provider.
    pub(crate) headers: Vec<(Arc<str>, Vec<u8>)>,
    pub(crate) metadata: Vec<(String, Value)>,
    pub(crate) clear_route_cache: bool,
    /// The domain that it was verified for, where its provider has domains.
    pub(crate) domain: Option<Box<str>>,
    /// The session that it belongs to, if it says so.
    pub(crate) session: Option<Box<str>>,
    /// Where it stands whether it has been revoked; only where its provider has status lists.
    pub(crate) status: Option<Reference>,
    /// For the conditions of rules; only where the policy has any.
    pub(crate) claims: Option<Claims>,
}

impl Identity {
    /// Of a token that is this provider's.
    pub(crate) fn new(
        policy: &Policy,
        number: u64,
        (index, provider): (ProviderIndex, &Provider),
        domain: Option<&str>,
        token: &VerifiedToken<'_>,
        status: Option<Reference>,
    ) -> Self {
        let claims = token.claims();
        let names = policy.identity_in_metadata().then(|| {
            let text = |claim: Option<&str>| claim.map(Into::into);
            Box::new(Names {
                issuer: text(claims.string("iss")),
                subject: text(claims.string("sub")),
            })
        });
        let claims = policy.has_conditions.then(|| claims.clone());
        let nameless = Self::without_names(provider, domain, token);
        Self { number, provider: index, names, claims, status, ..nameless }
    }

    fn without_names(provider: &Provider, domain: Option<&str>, token: &VerifiedToken<'_>) -> Self {
        let headers = identity_headers(provider, token);
        let metadata = metadata(&provider.metadata, token);
        let changes_routing = !headers.is_empty() || provider.metadata.payload.is_some();
        Self {
            number: 0,
            provider: ProviderIndex::MAX,
            names: None,
            headers,
            metadata,
            clear_route_cache: provider.clear_route_cache && changes_routing,
            domain: domain.map(Into::into),
            session: session(token.claims()).map(Into::into),
            status: None,
            claims: None,
        }
    }

    /// What a token says that nobody has checked. It goes into headers only, beside one that tells
    /// so: what reads metadata, or chooses routes, does not see that one.
    pub(crate) fn unverified(
        provider: &Provider,
        domain: Option<&str>,
        token: &VerifiedToken<'_>,
    ) -> Self {
        let identity = Self::without_names(provider, domain, token);
        Self { metadata: Vec::new(), clear_route_cache: false, ..identity }
    }

    /// Whom it speaks for, where the policy wants that to be told.
    pub(crate) fn who(&self) -> Option<Who<'_>> {
        let names = self.names.as_ref()?;
        Some(Who {
            provider: self.provider,
            issuer: names.issuer.as_deref(),
            subject: names.subject.as_deref(),
            domain: self.domain.as_deref(),
        })
    }

    /// What it weighs: at least as much as it takes up.
    pub(crate) fn bytes(&self) -> usize {
        let headers = self
            .headers
            .iter()
            .map(|(_, value)| size_of::<(Arc<str>, Vec<u8>)>() + value.capacity() + ALLOCATION);
        let metadata = self.metadata.iter().map(|(key, value)| {
            size_of::<(String, Value)>() + ALLOCATION + key.len() + tree_bytes(value)
        });
        let names = self.names.iter().flat_map(|names| [&names.issuer, &names.subject]);
        let texts = [&self.domain, &self.session].into_iter().chain(names).flatten();
        let texts = texts.map(|text| &**text);
        let texts = texts.chain(self.status.iter().flat_map(Reference::texts));
        let texts: usize = texts.map(|text| text.len() + ALLOCATION).sum();
        let claims = self.claims.as_ref().map_or(0, |claims| object_bytes(claims.members()));
        // Behind an `Arc`, with its two counts.
        size_of::<Self>()
            + size_of::<Names>()
            + ALLOCATION
            + headers.sum::<usize>()
            + metadata.sum::<usize>()
            + texts
            + claims
    }
}

/// What an allocation takes beside its content, rounded up.
const ALLOCATION: usize = 16;
/// A node of a map: room for eleven entries, and what joins it to others.
const NODE: usize =
    11 * (size_of::<String>() + size_of::<Value>()) + 12 * size_of::<usize>() + ALLOCATION;
/// The fewest entries of a node that is not the only one.
const LEAST_IN_NODE: usize = 5;

/// What a value takes up beside its own size.
fn tree_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.capacity() + ALLOCATION,
        Value::Array(items) => {
            let own = items.capacity() * size_of::<Value>() + ALLOCATION;
            own + items.iter().map(tree_bytes).sum::<usize>()
        }
        Value::Object(members) => object_bytes(members),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

fn object_bytes(members: &Map<String, Value>) -> usize {
    let entry = |(name, value): (&String, &Value)| name.capacity() + ALLOCATION + tree_bytes(value);
    let nodes = members.len().div_ceil(LEAST_IN_NODE);
    nodes * NODE + members.iter().map(entry).sum::<usize>()
}

fn identity_headers(provider: &Provider, token: &VerifiedToken<'_>) -> Vec<(Arc<str>, Vec<u8>)> {
    let payload = provider
        .payload_header
        .iter()
        .map(|header| (Arc::clone(&header.name), payload_value(header, token.payload())));
    let claims = provider.claim_headers.iter().filter_map(|header| {
        let value = header_value(token.claims().value_at(&header.claim_path)?)?;
        Some((Arc::clone(&header.header_name), value.into_bytes()))
    });
    payload.chain(claims).collect()
}

/// The token's own spelling, which is canonical and not padded.
fn payload_value(header: &PayloadHeader, payload: &str) -> Vec<u8> {
    let whole = if header.padded { payload.len().next_multiple_of(4) } else { payload.len() };
    let mut value = payload.as_bytes().to_vec();
    value.resize(whole, b'=');
    value
}

/// A claim as a header value: scalars as text, an array of scalars as a comma list. A claim that
/// cannot stand in a header unambiguously (an object, a control character, a comma within a list)
/// sets none, so that the service sees no value rather than a forged one.
fn header_value(claim: &Value) -> Option<String> {
    match claim {
        Value::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(scalar).collect();
            let items = items?;
            let unambiguous = items.iter().all(|item| !item.contains(',') && !item.is_empty());
            unambiguous.then(|| items.join(","))
        }
        other => scalar(other),
    }
}

fn scalar(claim: &Value) -> Option<String> {
    let text = match claim {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        _ => return None,
    };
    let fits = !text.chars().any(char::is_control) && text.trim() == text;
    fits.then_some(text)
}

fn metadata(keys: &MetadataKeys, token: &VerifiedToken<'_>) -> Vec<(String, Value)> {
    let payload = keys.payload.iter().map(|key| {
        let claims = normalized(token.claims().members(), &keys.space_delimited_claims);
        (key.clone(), Value::Object(claims))
    });
    let header = keys.header.iter().map(|key| (key.clone(), Value::Object(token.header().clone())));
    payload.chain(header).collect()
}

/// The claims, with the words of some as arrays (RFC 8693 §4.2).
fn normalized(claims: &Map<String, Value>, space_delimited: &[String]) -> Map<String, Value> {
    let mut claims = claims.clone();
    for name in space_delimited {
        if let Some(Value::String(words)) = claims.get(name) {
            let words: Vec<Value> =
                words.split(' ').filter(|word| !word.is_empty()).map(Value::from).collect();
            claims.insert(name.clone(), Value::Array(words));
        }
    }
    claims
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn spells_claims_as_header_values() {
        for (claim, value) in [
            (json!("alice"), Some("alice")),
            (json!("José 😀"), Some("José 😀")),
            (json!(42), Some("42")),
            (json!(true), Some("true")),
            (json!(["a", 1, false]), Some("a,1,false")),
            (json!([]), Some("")),
            (json!(""), Some("")),
            (json!("a\r\nx-admin: 1"), None),
            (json!("a\u{85}"), None),
            (json!(" a"), None),
            (json!(["a,b"]), None),
            (json!(["a", ""]), None),
            (json!(["a", ["b"]]), None),
            (json!({"a": 1}), None),
            (json!(null), None),
        ] {
            assert_eq!(header_value(&claim).as_deref(), value, "{claim}");
        }
    }

    #[test]
    fn pads_the_payload_where_it_is_told_to() {
        for (padded, payload, value) in [
            (false, "Zg", "Zg"),
            (true, "Zg", "Zg=="),
            (true, "Zm8", "Zm8="),
            (true, "Zm9v", "Zm9v"),
        ] {
            let header = PayloadHeader { name: "x".into(), padded };
            assert_eq!(payload_value(&header, payload), value.as_bytes());
        }
    }

    #[test]
    fn splits_the_words_of_claims_that_are_lists() {
        let claims = json!({"scope": "a  b", "sub": "a b", "n": 1});
        let names = ["scope".to_owned(), "n".to_owned(), "absent".to_owned()];
        let normalized = normalized(claims.as_object().unwrap(), &names);
        assert_eq!(Value::Object(normalized), json!({"scope": ["a", "b"], "sub": "a b", "n": 1}));
    }
}

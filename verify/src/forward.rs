//! What goes upstream: identity headers in, tokens out.

use std::{collections::BTreeSet, fmt};

use serde_json::Value;

use crate::{
    location,
    policy::{Location, Provider},
    request::{Request, is_copy},
    token::VerifiedToken,
};

/// The changes to make to a request that is let through. Removals come first.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Forward {
    /// Header fields to remove, all copies of each. Lower case.
    pub remove_headers: Vec<String>,
    /// Header fields to set, each replacing what may still stand under its name. Lower case.
    pub set_headers: Vec<(String, Vec<u8>)>,
    /// The target (`:path`) to send instead of the client's, where a token stood in its query.
    pub target: Option<Vec<u8>>,
}

/// What one verified token says, and where it stood.
pub(crate) struct Identity<'a> {
    location: &'a Location,
    keep_token: bool,
    headers: Vec<(String, Vec<u8>)>,
}

impl<'a> Identity<'a> {
    pub(crate) fn new(
        provider: &'a Provider,
        location: &'a Location,
        token: &VerifiedToken<'_>,
    ) -> Self {
        let headers = identity_headers(provider, token);
        Self { location, keep_token: provider.forward, headers }
    }
}

/// The changes to `request`. Every identity header that the client sent is removed, and so is
/// every token in a place where one of `providers` looks for tokens, verified or not, unless the
/// provider that verified it says `forward`: what reaches the service there has passed the gate.
pub(crate) fn forward<'h>(
    request: &Request<'_>,
    providers: &[&Provider],
    identities: Vec<Identity<'_>>,
    identity_header_names: impl Iterator<Item = &'h str>,
) -> Forward {
    let kept = |location: &Location| {
        identities.iter().any(|found| found.keep_token && found.location == location)
    };
    let locations = providers.iter().flat_map(|provider| &provider.locations);
    let taken: Vec<&Location> = locations.filter(|location| !kept(location)).collect();
    let mut forward = Forward::default();
    for name in identity_header_names {
        forward.remove(copies(request, name));
    }
    take_headers(&taken, request, &mut forward);
    take_cookies(&taken, request, &mut forward);
    take_params(&taken, request, &mut forward);
    for (name, value) in identities.into_iter().flat_map(|identity| identity.headers) {
        forward.set_headers.retain(|(set, _)| *set != name);
        forward.set_headers.push((name, value));
    }
    forward
}

impl Forward {
    fn remove(&mut self, names: impl IntoIterator<Item = String>) {
        for name in names {
            if !self.remove_headers.contains(&name) {
                self.remove_headers.push(name);
            }
        }
    }
}

/// Values are identities and cookies: they stay out of debug output.
impl fmt::Debug for Forward {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set: Vec<&str> = self.set_headers.iter().map(|(name, _)| name.as_str()).collect();
        formatter
            .debug_struct("Forward")
            .field("remove_headers", &self.remove_headers)
            .field("set_headers", &set)
            .field("target_changed", &self.target.is_some())
            .finish()
    }
}

/// The names under which the client sent a header.
fn copies(request: &Request<'_>, name: &str) -> BTreeSet<String> {
    let sent = request.headers.iter().map(|field| field.0);
    sent.filter(|sent| is_copy(sent.as_bytes(), name)).map(str::to_ascii_lowercase).collect()
}

/// A header that holds something else than a token, such as Basic credentials, stays.
fn take_headers(taken: &[&Location], request: &Request<'_>, forward: &mut Forward) {
    for location in taken {
        let Location::Header { name, .. } = location else { continue };
        let found = location::find(request, std::slice::from_ref(*location));
        if !matches!(found, Ok(None)) {
            forward.remove(copies(request, name));
        }
    }
}

fn take_cookies(taken: &[&Location], request: &Request<'_>, forward: &mut Forward) {
    let names: Vec<&str> = taken
        .iter()
        .filter_map(|location| match location {
            Location::Cookie(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    if names.is_empty() || request.values("cookie").next().is_none() {
        return;
    }
    forward.remove(["cookie".to_owned()]);
    if let Some(rest) = location::without_cookies(request, &names) {
        forward.set_headers.push(("cookie".to_owned(), rest));
    }
}

fn take_params(taken: &[&Location], request: &Request<'_>, forward: &mut Forward) {
    let names: Vec<&str> = taken
        .iter()
        .filter_map(|location| match location {
            Location::Param(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    if names.is_empty() {
        return;
    }
    let rest = location::without_params(request, &names);
    forward.target = (rest != request.target).then_some(rest);
}

fn identity_headers(provider: &Provider, token: &VerifiedToken<'_>) -> Vec<(String, Vec<u8>)> {
    let payload = provider
        .payload_header
        .iter()
        .map(|name| (name.clone(), token.payload().as_bytes().to_vec()));
    let claims = provider.claim_headers.iter().filter_map(|header| {
        let path: Vec<&str> = header.claim_path.iter().map(String::as_str).collect();
        let value = header_value(token.claims().value(&path)?)?;
        Some((header.header_name.clone(), value.into_bytes()))
    });
    payload.chain(claims).collect()
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
}

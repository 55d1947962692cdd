//! Parts of a policy that both kinds of input lead to.

use serde_json::{Map, Value, json};

/// The places where Envoy and Istio look for a token by default. Postern's default has only the
/// first.
pub(super) fn default_token_places(provider: &mut Map<String, Value>) {
    let header = json!([{"name": "Authorization", "value_prefix": "Bearer "}]);
    provider.insert("from_headers".to_owned(), header);
    provider.insert("from_params".to_owned(), json!(["access_token"]));
}

/// One of these providers.
pub(super) fn any_of<'a>(providers: impl IntoIterator<Item = &'a str>) -> Value {
    let mut names: Vec<Value> =
        providers.into_iter().map(|name| json!({"provider_name": name})).collect();
    match names.len() {
        1 => names.remove(0),
        _ => json!({"requires_any": {"requirements": names}}),
    }
}

/// A rule that lets nobody in. The words of a policy have no `deny`, and falling through to no
/// rule would not do, since a rule behind this one may open: so it asks for a token that has a
/// claim and does not have it.
pub(super) fn closed_rule<'a>(
    matcher: Value,
    place: &str,
    providers: impl IntoIterator<Item = &'a str>,
) -> Value {
    json!({
        "match": matcher,
        "name": name(place),
        "requires": any_of(providers),
        "claims": [{"name": "iss", "present": true}, {"name": "iss", "present": false}],
    })
}

/// A rule's name that says where it comes from, in the letters that a name may have. Of a long
/// place the end says most.
fn name(place: &str) -> String {
    let plain =
        |sign: char| if sign.is_ascii_alphanumeric() || "_.".contains(sign) { sign } else { '-' };
    let place: String = place.chars().map(plain).collect();
    let place = place.trim_matches('-');
    let shown = place.get(place.len().saturating_sub(56)..).unwrap_or_default();
    format!("closed.{}", shown.trim_start_matches(['-', '.']))
}

/// The authority of a URI, its port and whether it is reached over TLS.
pub(super) fn host_and_port(uri: &str) -> Option<(&str, u16)> {
    let (scheme, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let default = if scheme == "http" { 80 } else { 443 };
    // An IPv6 address has colons of its own, within brackets.
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => Some((host, port.parse().ok()?)),
        _ => Some((authority, default)),
    }
    .filter(|(host, _)| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_told_apart() {
        for (uri, expected) in [
            ("https://a.example.com/x:1/y", Some(("a.example.com", 443))),
            ("http://a.example.com", Some(("a.example.com", 80))),
            ("https://a:8443?x", Some(("a", 8443))),
            ("https://[::1]/x", Some(("[::1]", 443))),
            ("https://[::1]:8443/x", Some(("[::1]", 8443))),
            ("https:///x", None),
            ("a.example.com", None),
        ] {
            assert_eq!(host_and_port(uri), expected, "{uri}");
        }
    }

    #[test]
    fn names_are_short_and_plain() {
        assert_eq!(name("rules[1]"), "closed.rules-1");
        let long = format!("documents[0].\u{e9}{}.rules[12]", "x".repeat(100));
        assert_eq!(name(&long), format!("closed.{}.rules-12", "x".repeat(47)));
    }

    #[test]
    fn one_provider_needs_no_list() {
        assert_eq!(any_of(["a"]), json!({"provider_name": "a"}));
        let list = json!([{"provider_name": "a"}, {"provider_name": "b"}]);
        assert_eq!(any_of(["a", "b"]), json!({"requires_any": {"requirements": list}}));
    }
}

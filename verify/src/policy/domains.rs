//! Many domains of one issuer behind one provider: which names there may be, and which of them a
//! request is for.

use std::borrow::Cow;

use regex_lite::Regex;

use super::{error::PolicyError, provider::header_name, raw::RawDomains};

/// What stands in a template for the name of a domain.
pub(crate) const DOMAIN: &str = "{domain}";
/// The longest name, in bytes: that of a host (RFC 1035 §2.3.4).
const MAX_NAME_BYTES: usize = 253;
const DEFAULT_NAMES: &str = "[a-z0-9-]{1,63}";
const DEFAULT_KEY_SETS: u32 = 128;
const MAX_KEY_SETS: u32 = 10_000;

/// The domains of a provider whose `issuer` is a template.
#[derive(Debug)]
pub(crate) struct Domains {
    names: Regex,
    from: DomainSource,
    /// Most key sets that are held at once.
    pub(crate) max_key_sets: usize,
}

/// What of a request names its domain.
#[derive(Debug, PartialEq, Eq)]
enum DomainSource {
    /// The host: what stands between these, in lower case.
    Host { before: String, after: String },
    /// This segment of the decoded path, counted from 0.
    PathSegment(usize),
    /// The only value of this header.
    Header(String),
}

impl Domains {
    /// Whether the host or a header field of a request names its domain.
    pub(super) fn asks_for_fields(&self) -> bool {
        !matches!(self.from, DomainSource::PathSegment(_))
    }

    pub(super) fn new(raw: &RawDomains, member: &str) -> Result<Self, PolicyError> {
        let names = whole_match(raw.names.as_deref().unwrap_or(DEFAULT_NAMES))
            .map_err(|reason| PolicyError::new(format!("{member}.names"), reason))?;
        let max_key_sets = raw.max_key_sets.unwrap_or(DEFAULT_KEY_SETS);
        if !(1..=MAX_KEY_SETS).contains(&max_key_sets) {
            let reason = format!("it must be from 1 to {MAX_KEY_SETS}");
            return Err(PolicyError::new(format!("{member}.max_key_sets"), reason));
        }
        let from = DomainSource::new(raw, member)?;
        Ok(Self { names, from, max_key_sets: max_key_sets as usize })
    }

    /// The domain that a request is for: of its authority (`Host`), its decoded path and its
    /// headers, what the policy says. `header_values` gives all values of a header and its copies.
    pub(crate) fn domain_of<'r>(
        &self,
        authority: &'r [u8],
        path: &'r str,
        header_values: impl FnOnce(&str) -> Vec<&'r [u8]>,
    ) -> Option<Cow<'r, str>> {
        let name = match &self.from {
            DomainSource::Host { before, after } => name_in_host(authority, before, after)?,
            DomainSource::PathSegment(index) => {
                Cow::Borrowed(path.strip_prefix('/')?.split('/').nth(*index)?)
            }
            DomainSource::Header(name) => match *header_values(name) {
                [value] => Cow::Borrowed(std::str::from_utf8(value).ok()?),
                _ => return None,
            },
        };
        self.allows(&name).then_some(name)
    }

    /// Whether it is a name of one of them.
    pub(super) fn allows(&self, name: &str) -> bool {
        is_safe(name) && self.names.is_match(name)
    }
}

impl DomainSource {
    fn new(raw: &RawDomains, member: &str) -> Result<Self, PolicyError> {
        match (&raw.from_host, raw.from_path_segment, &raw.from_header) {
            (Some(template), None, None) => host(template)
                .map_err(|reason| PolicyError::new(format!("{member}.from_host"), reason)),
            (None, Some(index), None) => Ok(Self::PathSegment(index as usize)),
            (None, None, Some(name)) => {
                let place = format!("{member}.from_header");
                let name = header_name(name, &place)?;
                if matches!(name.as_str(), "host" | "authorization" | "cookie") {
                    let reason = "it is a header of its own meaning; a host is `from_host`";
                    return Err(PolicyError::new(place, reason));
                }
                Ok(Self::Header(name))
            }
            _ => {
                let reason = "it needs one of `from_host`, `from_path_segment` and `from_header`";
                Err(PolicyError::new(member, reason))
            }
        }
    }
}

/// `issuer` has to be a template where there are domains, and only there.
pub(super) fn check_issuer(issuer: &str, domains: Option<&Domains>) -> Result<(), &'static str> {
    match (issuer.matches(DOMAIN).count(), domains) {
        (0, None) | (1, Some(_)) => Ok(()),
        (_, None) => Err("it holds `{domain}`, so `domains` is needed"),
        (_, Some(_)) => Err("with `domains` it must hold `{domain}` once"),
    }
}

fn host(template: &str) -> Result<DomainSource, &'static str> {
    let template = template.to_ascii_lowercase();
    let (before, after) = template.split_once(DOMAIN).ok_or("it must hold `{domain}` once")?;
    let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if !before.bytes().chain(after.bytes()).all(is_host_byte) {
        return Err("it must be a host name that holds `{domain}` once, without a port");
    }
    Ok(DomainSource::Host { before: before.to_owned(), after: after.to_owned() })
}

fn name_in_host<'r>(authority: &'r [u8], before: &str, after: &str) -> Option<Cow<'r, str>> {
    let authority = std::str::from_utf8(authority).ok()?;
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if is_port(port) => host,
        _ => authority,
    };
    // Hosts ignore case (RFC 9110 §4.2.3).
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        let host = host.to_ascii_lowercase();
        let name = host.strip_prefix(before)?.strip_suffix(after)?;
        return Some(Cow::Owned(name.to_owned()));
    }
    host.strip_prefix(before)?.strip_suffix(after).map(Cow::Borrowed)
}

/// Whether the name can stand in a URI as it is and stays one segment of it (RFC 3986 §2.3),
/// whatever the policy's pattern would let through.
fn is_safe(name: &str) -> bool {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (1..=MAX_NAME_BYTES).contains(&name.len())
        && name.bytes().all(is_unreserved)
        && name.bytes().any(|byte| byte != b'.')
}

/// The pattern is compiled alone first, since `a)|(b` would slip out of the group around it.
fn whole_match(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern)
        .and_then(|_| Regex::new(&format!(r"\A(?:{pattern})\z")))
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::read::FromValue;

    fn domains(raw: Value) -> Result<Domains, String> {
        let raw: RawDomains = FromValue::from_value(&raw).unwrap();
        Domains::new(&raw, "d").map_err(|error| error.to_string())
    }

    fn name_of(
        domains: &Domains,
        authority: &str,
        path: &str,
        values: &[&'static str],
    ) -> Option<String> {
        let values = |_: &str| values.iter().map(|value| value.as_bytes()).collect();
        domains.domain_of(authority.as_bytes(), path, values).map(Cow::into_owned)
    }

    #[test]
    fn a_host_names_a_domain() {
        let domains = domains(json!({"from_host": "{domain}.API.example.com"})).unwrap();
        for (authority, name) in [
            ("shop.api.example.com", Some("shop")),
            ("Shop.api.EXAMPLE.com:8443", Some("shop")),
            ("shop.api.example.com:", Some("shop")),
            ("shop.api.example.com.", None),
            ("a.shop.api.example.com", None),
            ("x@shop.api.example.com", None),
            (".api.example.com", None),
            ("shop.api.example.org", None),
            ("shop.api.example.com:80:x", None),
            ("", None),
        ] {
            assert_eq!(name_of(&domains, authority, "/", &[]).as_deref(), name, "{authority}");
        }
    }

    #[test]
    fn a_segment_of_the_path_names_a_domain() {
        let domains = domains(json!({"from_path_segment": 1})).unwrap();
        for (path, name) in [
            ("/v1/shop/orders", Some("shop")),
            ("/v1/shop", Some("shop")),
            ("/v1/", None),
            ("/v1", None),
            ("/v1/Shop", None),
            ("v1/shop", None),
        ] {
            assert_eq!(name_of(&domains, "shop", path, &["shop"]).as_deref(), name, "{path}");
        }
    }

    #[test]
    fn the_one_value_of_a_header_names_a_domain() {
        let domains = domains(json!({"from_header": "X-Domain"})).unwrap();
        assert_eq!(domains.from, DomainSource::Header("x-domain".to_owned()));
        for (values, name) in [
            (&["shop"][..], Some("shop")),
            (&["shop", "shop"], None),
            (&["shop,blog"], None),
            (&[" shop"], None),
            (&[], None),
        ] {
            assert_eq!(name_of(&domains, "h", "/", values).as_deref(), name, "{values:?}");
        }
    }

    #[test]
    fn a_name_stays_one_segment_whatever_the_pattern_says() {
        let any = domains(json!({"from_header": "d", "names": "(?s).*"})).unwrap();
        for name in ["", ".", "..", "a/b", "a b", "a%2fb", "a@b", "a:b", "caf\u{e9}", "a\nb"] {
            assert!(!any.allows(name), "{name:?}");
        }
        assert!(any.allows("a.b_C~1") && any.allows(&"a".repeat(253)));
        assert!(!any.allows(&"a".repeat(254)));
        let some = domains(json!({"from_header": "d", "names": "a|bc"})).unwrap();
        assert!(some.allows("a") && some.allows("bc") && !some.allows("abc"));
        let default = domains(json!({"from_header": "d"})).unwrap();
        assert!(default.allows(&"a".repeat(63)) && !default.allows(&"a".repeat(64)));
        assert!(!default.allows("A") && !default.allows("a.b"));
    }

    #[test]
    fn an_error_names_the_member() {
        for (raw, expected) in [
            (json!({}), "d: it needs one of `from_host`, "),
            (json!({"from_host": "{domain}", "from_header": "a"}), "d: it needs one of"),
            (json!({"from_host": "api.example.com"}), "d.from_host: it must hold `{domain}` once"),
            (json!({"from_host": "{domain}.{domain}"}), "d.from_host: it must be a host name"),
            (json!({"from_host": "{domain}:80"}), "d.from_host: it must be a host name"),
            (json!({"from_header": "a b"}), "d.from_header: `a b` is not a header name"),
            (json!({"from_header": "a", "names": "a)|(b"}), "d.names: "),
            (json!({"from_header": "a", "max_key_sets": 0}), "d.max_key_sets: it must be from 1"),
            (json!({"from_header": "a", "max_key_sets": 10_001}), "d.max_key_sets: it must be"),
        ] {
            let error = domains(raw.clone()).unwrap_err();
            assert!(error.starts_with(expected), "{raw}: {error}");
        }
    }
}

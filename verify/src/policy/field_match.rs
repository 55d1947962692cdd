//! Matching header fields and query parameters: Envoy's `HeaderMatcher` and
//! `QueryParameterMatcher`.

use std::borrow::Cow;

use regex_lite::Regex;

use super::{
    error::PolicyError,
    raw::{RawHeaderMatcher, RawQueryParameterMatcher, RawStringMatcher},
    string_matcher::{StringMatcher, full_match},
};
use crate::{
    denial::Denial,
    location,
    request::{Request, decode_form, is_copy},
};

/// One header field and what its value has to be. Several values of one field are joined by `,`.
#[derive(Debug)]
pub(super) struct HeaderMatcher {
    name: String,
    value: ValueMatch,
    invert: bool,
    missing_is_empty: bool,
}

/// One query parameter and what its value has to be.
#[derive(Debug)]
pub(super) struct QueryParameterMatcher {
    name: String,
    value: ValueMatch,
}

#[derive(Debug)]
enum ValueMatch {
    Present(bool),
    Text(StringMatcher),
    Regex(Regex),
    /// From the first up to, and without, the second.
    Range(i64, i64),
}

impl HeaderMatcher {
    pub(super) fn new(raw: &RawHeaderMatcher, member: &str) -> Result<Self, PolicyError> {
        let pseudo = [":method", ":path", ":authority", ":scheme"];
        let name = raw.name.to_ascii_lowercase();
        if !pseudo.contains(&name.as_str()) && !is_field_name(&name) {
            let reason = format!("`{name}` is not a header name");
            return Err(PolicyError::new(format!("{member}.name"), reason));
        }
        check_pseudo_header(&name, raw, member)?;
        Ok(Self {
            name,
            value: header_value_match(raw, member)?,
            invert: raw.invert_match,
            missing_is_empty: raw.treat_missing_header_as_empty,
        })
    }

    /// A missing field fits `present_match: false` only, inverted or not.
    ///
    /// # Errors
    ///
    /// [`Denial::HeaderAmbiguous`] where the field stands there under a name that only some services
    /// take for its own.
    pub(super) fn matches(&self, request: &Request<'_>) -> Result<bool, Denial> {
        let is_respelled = |field: &&(&str, &[u8])| {
            is_copy(field.0.as_bytes(), &self.name) && !field.0.eq_ignore_ascii_case(&self.name)
        };
        if request.headers.iter().any(|field| is_respelled(&field)) {
            return Err(Denial::HeaderAmbiguous);
        }
        let value = field_value(request, &self.name);
        if let ValueMatch::Present(present) = self.value {
            return Ok((value.is_some() == present) != self.invert);
        }
        let value = value.or(self.missing_is_empty.then_some(Cow::Borrowed(&b""[..])));
        // What is not text fits nothing, inverted or not.
        let fits =
            |value: Cow<'_, [u8]>| self.value.matches(&value).map(|fits| fits != self.invert);
        Ok(value.and_then(fits).unwrap_or(false))
    }
}

/// A host has no case, and methods have only one; a matcher that ignored this would match nothing.
fn check_pseudo_header(
    name: &str,
    raw: &RawHeaderMatcher,
    member: &str,
) -> Result<(), PolicyError> {
    let exact =
        raw.exact_match.as_ref().or(raw.string_match.as_ref().and_then(|raw| raw.exact.as_ref()));
    let reason = match (name, exact) {
        (":method", Some(method))
            if !method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') =>
        {
            "a method is in upper case"
        }
        (":authority" | "host", Some(host)) if host.contains(':') || host.ends_with('.') => {
            "a host is matched in lower case, without its port and without a dot at its end"
        }
        (":path", Some(path)) if !path.starts_with('/') => "a path begins with `/`",
        _ => return Ok(()),
    };
    Err(PolicyError::new(member, reason))
}

impl QueryParameterMatcher {
    pub(super) fn new(raw: &RawQueryParameterMatcher, member: &str) -> Result<Self, PolicyError> {
        if raw.name.is_empty() || raw.name.contains(['%', '&', ';', '=', '+', '[', ']']) {
            let reason = "it is compared with decoded names, and must hold no sign of a query";
            return Err(PolicyError::new(format!("{member}.name"), reason));
        }
        let value = match (&raw.string_match, raw.present_match) {
            (None, present) => ValueMatch::Present(present.unwrap_or(true)),
            (Some(text), None) => {
                ValueMatch::Text(StringMatcher::new(text, &format!("{member}.string_match"))?)
            }
            _ => {
                let reason = "it needs at most one of `string_match` and `present_match`";
                return Err(PolicyError::new(member, reason));
            }
        };
        Ok(Self { name: raw.name.clone(), value })
    }

    /// # Errors
    ///
    /// [`Denial::QueryAmbiguous`] where the parameter stands there twice, or in a spelling that only
    /// some services read: whatever is made of it, some service makes something else.
    pub(super) fn matches(&self, request: &Request<'_>) -> Result<bool, Denial> {
        let mut found = location::params_named(request, &self.name);
        let value = match (found.next(), found.next()) {
            (None, _) => None,
            (Some(param), None) => {
                let (name, value) = split_pair(param);
                if decode_form(name) != self.name.as_bytes() {
                    return Err(Denial::QueryAmbiguous);
                }
                Some(decode_form(value))
            }
            (Some(_), Some(_)) => return Err(Denial::QueryAmbiguous),
        };
        Ok(match self.value {
            ValueMatch::Present(present) => value.is_some() == present,
            _ => value.and_then(|value| self.value.matches(&value)).unwrap_or(false),
        })
    }
}

impl ValueMatch {
    /// `None` where the value is not text.
    fn matches(&self, value: &[u8]) -> Option<bool> {
        let text = std::str::from_utf8(value).ok()?;
        Some(match self {
            Self::Present(present) => *present,
            Self::Text(matcher) => matcher.matches(text),
            Self::Regex(regex) => regex.is_match(text),
            Self::Range(start, end) => {
                text.parse::<i64>().is_ok_and(|number| (*start..*end).contains(&number))
            }
        })
    }
}

fn header_value_match(raw: &RawHeaderMatcher, member: &str) -> Result<ValueMatch, PolicyError> {
    let mut named = Vec::new();
    for (field, raw) in text_matches(raw) {
        // The deprecated members of the header matcher are string matchers by another name.
        let matcher = StringMatcher::new(&raw, member)
            .map_err(|error| PolicyError::new(format!("{member}.{field}"), error.reason));
        named.push(matcher.map(ValueMatch::Text));
    }
    if let Some(raw) = &raw.safe_regex_match {
        let place = format!("{member}.safe_regex_match.regex");
        let regex = full_match(&raw.regex).map_err(|error| PolicyError::new(place, error));
        named.push(regex.map(ValueMatch::Regex));
    }
    if let Some(range) = &raw.range_match {
        let place = format!("{member}.range_match");
        let empty = || PolicyError::new(place, "`end` must be greater than `start`");
        let range = (range.start < range.end).then_some((range.start, range.end));
        named.push(range.map(|(start, end)| ValueMatch::Range(start, end)).ok_or_else(empty));
    }
    if let Some(raw) = &raw.string_match {
        let matcher = StringMatcher::new(raw, &format!("{member}.string_match"));
        named.push(matcher.map(ValueMatch::Text));
    }
    named.extend(raw.present_match.map(|present| Ok(ValueMatch::Present(present))));
    match named.pop() {
        None => Ok(ValueMatch::Present(true)),
        Some(value) if named.is_empty() => value,
        Some(_) => Err(PolicyError::new(member, "it may ask for one thing only of the value")),
    }
}

fn text_matches(raw: &RawHeaderMatcher) -> Vec<(&'static str, RawStringMatcher)> {
    let none = RawStringMatcher::default;
    let exact = |text: &String| RawStringMatcher { exact: Some(text.clone()), ..none() };
    let prefix = |text: &String| RawStringMatcher { prefix: Some(text.clone()), ..none() };
    let suffix = |text: &String| RawStringMatcher { suffix: Some(text.clone()), ..none() };
    let contains = |text: &String| RawStringMatcher { contains: Some(text.clone()), ..none() };
    [
        ("exact_match", raw.exact_match.as_ref().map(exact)),
        ("prefix_match", raw.prefix_match.as_ref().map(prefix)),
        ("suffix_match", raw.suffix_match.as_ref().map(suffix)),
        ("contains_match", raw.contains_match.as_ref().map(contains)),
    ]
    .into_iter()
    .filter_map(|(field, raw)| raw.map(|raw| (field, raw)))
    .collect()
}

fn field_value<'r>(request: &Request<'r>, name: &str) -> Option<Cow<'r, [u8]>> {
    match name {
        ":method" => Some(Cow::Borrowed(request.method.as_bytes())),
        ":path" => Some(Cow::Borrowed(request.target)),
        ":authority" | "host" => Some(host(request.authority)),
        ":scheme" => Some(Cow::Borrowed(request.scheme.as_bytes())),
        _ => {
            let mut values = request.values(name).map(<[u8]>::trim_ascii);
            let first = values.next()?;
            Some(values.fold(Cow::Borrowed(first), |joined, value| {
                Cow::Owned([joined.as_ref(), b",", value].concat())
            }))
        }
    }
}

/// The host of an authority as it is compared: in lower case, without the port and without the dot
/// that makes a name absolute.
fn host(authority: &[u8]) -> Cow<'_, [u8]> {
    let port = authority.iter().rposition(|byte| *byte == b':');
    let is_port = |digits: &[u8]| digits.iter().all(u8::is_ascii_digit);
    let host = match port.and_then(|colon| authority.split_at_checked(colon)) {
        Some((host, [b':', digits @ ..])) if is_port(digits) => host,
        _ => authority,
    };
    let host = host.strip_suffix(b".").unwrap_or(host);
    if host.iter().any(u8::is_ascii_uppercase) {
        return Cow::Owned(host.to_ascii_lowercase());
    }
    Cow::Borrowed(host)
}

fn split_pair(pair: &[u8]) -> (&[u8], &[u8]) {
    let equals = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
    let (name, value) = pair.split_at_checked(equals).unwrap_or((pair, b""));
    (name, value.get(1..).unwrap_or_default())
}

fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(super::provider::is_token_byte)
}

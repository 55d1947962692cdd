//! Matching header fields and query parameters: Envoy's `HeaderMatcher` and
//! `QueryParameterMatcher`.

use std::borrow::Cow;

use regex_lite::Regex;

use super::{
    error::PolicyError,
    raw::{RawHeaderMatcher, RawQueryParameterMatcher, RawStringMatcher},
    string_matcher::{StringMatcher, full_match},
};
use crate::request::{Request, decode_form};

/// One header field and what its value has to be. Several values of one field are joined by `,`.
#[derive(Debug)]
pub(super) struct HeaderMatcher {
    name: String,
    value: ValueMatch,
    invert: bool,
    missing_is_empty: bool,
}

/// One query parameter and what its value has to be. Of several, the first counts.
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
        Ok(Self {
            name,
            value: header_value_match(raw, member)?,
            invert: raw.invert_match,
            missing_is_empty: raw.treat_missing_header_as_empty,
        })
    }

    /// A missing field fits `present_match: false` only, inverted or not.
    pub(super) fn matches(&self, request: &Request<'_>) -> bool {
        let value = field_value(request, &self.name);
        if let ValueMatch::Present(present) = self.value {
            return (value.is_some() == present) != self.invert;
        }
        let value = value.or(self.missing_is_empty.then_some(Cow::Borrowed(&b""[..])));
        value.is_some_and(|value| self.value.matches(&value) != self.invert)
    }
}

impl QueryParameterMatcher {
    pub(super) fn new(raw: &RawQueryParameterMatcher, member: &str) -> Result<Self, PolicyError> {
        if raw.name.is_empty() {
            return Err(PolicyError::new(format!("{member}.name"), "it must not be empty"));
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

    pub(super) fn matches(&self, request: &Request<'_>) -> bool {
        let query = request.query().unwrap_or_default();
        let value = query.split(|byte| *byte == b'&').find_map(|pair| {
            let (name, value) = split_pair(pair);
            (decode_form(name) == self.name.as_bytes()).then(|| decode_form(value))
        });
        match self.value {
            ValueMatch::Present(present) => value.is_some() == present,
            _ => value.is_some_and(|value| self.value.matches(&value)),
        }
    }
}

impl ValueMatch {
    fn matches(&self, value: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(value) else { return false };
        match self {
            Self::Present(present) => *present,
            Self::Text(matcher) => matcher.matches(text),
            Self::Regex(regex) => regex.is_match(text),
            Self::Range(start, end) => {
                text.parse::<i64>().is_ok_and(|number| (*start..*end).contains(&number))
            }
        }
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
        ":authority" | "host" => Some(Cow::Borrowed(request.authority)),
        ":scheme" => Some(Cow::Borrowed(request.scheme.as_bytes())),
        _ => {
            let mut values = request.values(name);
            let first = values.next()?;
            Some(values.fold(Cow::Borrowed(first), |joined, value| {
                Cow::Owned([joined.as_ref(), b",", value].concat())
            }))
        }
    }
}

fn split_pair(pair: &[u8]) -> (&[u8], &[u8]) {
    let equals = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
    let (name, value) = pair.split_at_checked(equals).unwrap_or((pair, b""));
    (name, value.get(1..).unwrap_or_default())
}

fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(super::provider::is_token_byte)
}

//! Envoy's `StringMatcher`: one way to compare a text.

use regex_lite::Regex;

use super::{
    error::PolicyError,
    raw::{RawRegex, RawStringMatcher},
};

/// A text, or texts of one kind.
#[derive(Debug, Clone)]
pub(crate) struct StringMatcher {
    pattern: Pattern,
    ignore_case: bool,
}

#[derive(Debug, Clone)]
enum Pattern {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Contains(String),
    Regex(Regex),
}

impl StringMatcher {
    pub(super) fn new(raw: &RawStringMatcher, member: &str) -> Result<Self, PolicyError> {
        let RawStringMatcher { exact, prefix, suffix, contains, safe_regex, ignore_case } = raw;
        let ignore_case = *ignore_case;
        let pattern = match (exact, prefix, suffix, contains, safe_regex) {
            (Some(text), None, None, None, None) => Pattern::Exact(fold(text, ignore_case)),
            (None, Some(text), None, None, None) => {
                Pattern::Prefix(part(text, ignore_case, &format!("{member}.prefix"))?)
            }
            (None, None, Some(text), None, None) => {
                Pattern::Suffix(part(text, ignore_case, &format!("{member}.suffix"))?)
            }
            (None, None, None, Some(text), None) => {
                Pattern::Contains(part(text, ignore_case, &format!("{member}.contains"))?)
            }
            (None, None, None, None, Some(_)) if ignore_case => {
                let reason = "it has no effect on `safe_regex`; begin the regex with `(?i)`";
                return Err(PolicyError::new(format!("{member}.ignore_case"), reason));
            }
            (None, None, None, None, Some(RawRegex { regex })) => {
                Pattern::Regex(full_match(regex).map_err(|error| {
                    PolicyError::new(format!("{member}.safe_regex.regex"), error)
                })?)
            }
            _ => {
                let reason = "it needs one of `exact`, `prefix`, `suffix`, `contains` and \
                              `safe_regex`";
                return Err(PolicyError::new(member, reason));
            }
        };
        Ok(Self { pattern, ignore_case })
    }

    #[cfg(test)]
    pub(crate) fn prefix(prefix: &str) -> Self {
        Self { pattern: Pattern::Prefix(prefix.to_owned()), ignore_case: false }
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        if self.ignore_case {
            return self.pattern.matches(&text.to_ascii_lowercase());
        }
        self.pattern.matches(text)
    }
}

impl Pattern {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => text == exact,
            Self::Prefix(prefix) => text.starts_with(prefix),
            Self::Suffix(suffix) => text.ends_with(suffix),
            Self::Contains(part) => text.contains(part),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

/// Like Envoy's `safe_regex`, the whole text has to match. The pattern is compiled alone first,
/// since `a)|(b` is an error by itself but would slip out of the group around it.
pub(super) fn full_match(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern)
        .and_then(|_| Regex::new(&format!(r"\A(?:{pattern})\z")))
        .map_err(|error| error.to_string())
}

/// Case is ignored in ASCII only, as Envoy does.
fn fold(text: &str, ignore_case: bool) -> String {
    if ignore_case { text.to_ascii_lowercase() } else { text.to_owned() }
}

fn part(text: &str, ignore_case: bool, member: &str) -> Result<String, PolicyError> {
    if text.is_empty() {
        return Err(PolicyError::new(member, "it must not be empty: it would match anything"));
    }
    Ok(fold(text, ignore_case))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::read::FromValue;

    fn matcher(value: Value) -> Result<StringMatcher, PolicyError> {
        StringMatcher::new(&FromValue::from_value(&value).unwrap(), "m")
    }

    #[test]
    fn matches_as_it_says() {
        for (value, fits, misfits) in [
            (json!({"exact": "a"}), vec!["a"], vec!["A", "ab", ""]),
            (json!({"exact": "a", "ignore_case": true}), vec!["a", "A"], vec!["ab"]),
            (json!({"prefix": "ab"}), vec!["ab", "abc"], vec!["a", "xab", "AB"]),
            (json!({"suffix": "ab"}), vec!["ab", "xab"], vec!["abx"]),
            (json!({"contains": "Ab", "ignore_case": true}), vec!["xaBx"], vec!["a b"]),
            (json!({"safe_regex": {"regex": "a+|b"}}), vec!["aa", "b"], vec!["ab", "xa", "a\n"]),
            (json!({"safe_regex": {"regex": "(?i)a"}}), vec!["A"], vec!["AA"]),
        ] {
            let matcher = matcher(value.clone()).unwrap();
            assert!(fits.iter().all(|text| matcher.matches(text)), "{value}");
            assert!(!misfits.iter().any(|text| matcher.matches(text)), "{value}");
        }
    }

    #[test]
    fn an_error_names_the_member() {
        for (value, expected) in [
            (json!({}), "m: it needs one of"),
            (json!({"exact": "a", "prefix": "b"}), "m: it needs one of"),
            (json!({"ignore_case": true}), "m: it needs one of"),
            (json!({"prefix": ""}), "m.prefix: it must not be empty"),
            (json!({"contains": ""}), "m.contains: it must not be empty"),
            (json!({"safe_regex": {"regex": "("}}), "m.safe_regex.regex: "),
            (json!({"safe_regex": {"regex": "a)|(b"}}), "m.safe_regex.regex: "),
            (json!({"safe_regex": {"regex": "a"}, "ignore_case": true}), "m.ignore_case: "),
        ] {
            let error = matcher(value.clone()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{value}: {error}");
        }
    }
}

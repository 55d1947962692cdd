//! Which requests a rule is for: path, methods and headers, and how two such sets overlap.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::pattern::{Pattern, path_regex};

/// The requests that fit all three.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Traffic {
    pub(super) path: Paths,
    pub(super) methods: Methods,
    pub(super) headers: BTreeSet<HeaderMatch>,
}

/// All methods where there are none.
pub(super) type Methods = BTreeSet<String>;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Paths {
    #[default]
    All,
    Fit(Pattern),
    /// A template with `{*}` or `{**}`.
    Template(String),
}

/// A header, by its name in lower case, and what its value has to fit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HeaderMatch {
    pub(super) name: String,
    pub(super) value: Pattern,
}

/// What two sets have in common.
#[derive(Debug, PartialEq)]
pub(super) enum Overlap<T> {
    Nothing,
    Exactly(T),
    /// Something perhaps; a policy could not say what.
    Unclear,
}

/// More ways than this to combine paths, hosts and headers help nobody.
const MAX_COMBINATIONS: usize = 2_000;

/// What of `traffic` is of one of the alternatives, too; none where that is too much to say.
/// Alternatives are about headers, so that overlaps are clear.
pub(super) fn combine(traffic: &[Traffic], alternatives: &[Traffic]) -> Option<Vec<Traffic>> {
    if traffic.len().saturating_mul(alternatives.len()) > MAX_COMBINATIONS {
        return None;
    }
    let both = |one: &Traffic| {
        let common = |other: &Traffic| match one.overlap(other) {
            Overlap::Exactly(common) => Some(common),
            Overlap::Nothing | Overlap::Unclear => None,
        };
        alternatives.iter().filter_map(common).collect::<Vec<_>>()
    };
    Some(traffic.iter().flat_map(both).collect())
}

impl Traffic {
    pub(super) fn overlap(&self, other: &Self) -> Overlap<Self> {
        let path = match self.path.overlap(&other.path) {
            Overlap::Exactly(path) => path,
            Overlap::Nothing => return Overlap::Nothing,
            Overlap::Unclear => return self.disjoint_besides_path(other),
        };
        let Some(methods) = self.common_methods(other) else { return Overlap::Nothing };
        let Some(headers) = self.common_headers(other) else { return Overlap::Nothing };
        Overlap::Exactly(Self { path, methods, headers })
    }

    fn disjoint_besides_path(&self, other: &Self) -> Overlap<Self> {
        let both = self.common_methods(other).is_some() && self.common_headers(other).is_some();
        if both { Overlap::Unclear } else { Overlap::Nothing }
    }

    /// The least of these requests that holds all that are of the other set, too, and can be said
    /// where the paths cannot be told apart.
    pub(super) fn narrowed_to(&self, other: &Self) -> Self {
        let path = self.path.clone();
        let methods = self.common_methods(other).unwrap_or_default();
        let headers = self.common_headers(other).unwrap_or_default();
        Self { path, methods, headers }
    }

    fn common_methods(&self, other: &Self) -> Option<Methods> {
        match (&self.methods, &other.methods) {
            (all, methods) | (methods, all) if all.is_empty() => Some(methods.clone()),
            (one, other) => {
                let common: Methods = one.intersection(other).cloned().collect();
                (!common.is_empty()).then_some(common)
            }
        }
    }

    fn common_headers(&self, other: &Self) -> Option<BTreeSet<HeaderMatch>> {
        let apart = |one: &HeaderMatch| {
            let same_name = |other: &&HeaderMatch| other.name == one.name;
            other
                .headers
                .iter()
                .filter(same_name)
                .any(|other| one.value.overlap(&other.value).is_none())
        };
        if self.headers.iter().any(apart) {
            return None;
        }
        Some(self.headers.union(&other.headers).cloned().collect())
    }

    /// As `match` of a rule.
    pub(super) fn words(&self) -> Value {
        let mut words = Map::new();
        let (name, value) = self.path.words();
        words.insert(name.to_owned(), value);
        if !self.methods.is_empty() {
            words.insert("methods".to_owned(), json!(self.methods));
        }
        if !self.headers.is_empty() {
            let headers: Vec<_> = self.headers.iter().map(HeaderMatch::words).collect();
            words.insert("headers".to_owned(), Value::Array(headers));
        }
        Value::Object(words)
    }
}

impl Paths {
    fn overlap(&self, other: &Self) -> Overlap<Self> {
        match (self, other) {
            (Self::All, path) | (path, Self::All) => Overlap::Exactly(path.clone()),
            (Self::Fit(one), Self::Fit(other)) => match one.overlap(other) {
                Some(pattern) => Overlap::Exactly(Self::Fit(pattern)),
                None => Overlap::Nothing,
            },
            (Self::Template(one), Self::Template(other)) if one == other => {
                Overlap::Exactly(self.clone())
            }
            (Self::Template(template), Self::Fit(pattern))
            | (Self::Fit(pattern), Self::Template(template)) => {
                let literal = literal_prefix(template);
                match pattern {
                    Pattern::Affixes { prefix, suffix } => {
                        if suffix.is_empty() && literal.starts_with(prefix) {
                            return Overlap::Exactly(Self::Template(template.clone()));
                        }
                        if prefix.starts_with(literal) || literal.starts_with(prefix) {
                            Overlap::Unclear
                        } else {
                            Overlap::Nothing
                        }
                    }
                    Pattern::Exact(path) if !path.starts_with(literal) => Overlap::Nothing,
                    Pattern::Exact(_) | Pattern::Present => Overlap::Unclear,
                }
            }
            (Self::Template(one), Self::Template(other)) => {
                let (one, other) = (literal_prefix(one), literal_prefix(other));
                let may = one.starts_with(other) || other.starts_with(one);
                if may { Overlap::Unclear } else { Overlap::Nothing }
            }
        }
    }

    fn words(&self) -> (&'static str, Value) {
        match self {
            Self::All | Self::Fit(Pattern::Present) => ("prefix", json!("/")),
            Self::Fit(Pattern::Exact(path)) => ("path", json!(path)),
            Self::Fit(Pattern::Affixes { prefix, suffix }) if suffix.is_empty() => {
                ("prefix", json!(prefix))
            }
            Self::Fit(Pattern::Affixes { prefix, suffix }) => {
                ("safe_regex", json!({"regex": path_regex(prefix, suffix)}))
            }
            Self::Template(template) => {
                // Istio's wildcards are Envoy's, in braces.
                let template = template.replace("{**}", "**").replace("{*}", "*");
                ("path_template", json!(template))
            }
        }
    }
}

fn literal_prefix(template: &str) -> &str {
    template.split('{').next().unwrap_or_default()
}

impl HeaderMatch {
    fn words(&self) -> Value {
        // Host names are compared without case; Istio compares other headers with it.
        let ignore_case = self.name == ":authority";
        let (name, value) = match &self.value {
            Pattern::Present => return json!({"name": self.name, "present_match": true}),
            Pattern::Exact(value) => ("exact", value),
            // No pattern of a header has both.
            Pattern::Affixes { prefix, suffix } if suffix.is_empty() => ("prefix", prefix),
            Pattern::Affixes { suffix, .. } => ("suffix", suffix),
        };
        let mut matcher = Map::new();
        matcher.insert(name.to_owned(), json!(value));
        if ignore_case {
            matcher.insert("ignore_case".to_owned(), json!(true));
        }
        json!({"name": self.name, "string_match": matcher})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic(path: &str, methods: &[&str]) -> Traffic {
        let path = if path.contains('{') {
            Paths::Template(path.to_owned())
        } else {
            Paths::Fit(Pattern::parse(path))
        };
        let methods = methods.iter().map(|name| (*name).to_owned()).collect();
        Traffic { path, methods, headers: BTreeSet::new() }
    }

    #[test]
    fn the_overlap_fits_both() {
        let all = Traffic::default();
        let api = traffic("/api/*", &[]);
        let get = traffic("/api/*", &["GET", "PUT"]);
        assert_eq!(all.overlap(&api), Overlap::Exactly(api.clone()));
        assert_eq!(api.overlap(&get), Overlap::Exactly(get.clone()));
        let put = traffic("/api/a", &["PUT"]);
        assert_eq!(traffic("/api/a", &["POST", "PUT"]).overlap(&get), Overlap::Exactly(put));
        assert_eq!(traffic("/api/a", &["POST"]).overlap(&get), Overlap::Nothing);
        let template = traffic("/api/{*}/x", &[]);
        assert_eq!(api.overlap(&template), Overlap::Exactly(template.clone()));
        assert_eq!(template.overlap(&traffic("/api/1/x", &[])), Overlap::Unclear);
        assert_eq!(template.overlap(&traffic("/web/*", &[])), Overlap::Nothing);
        assert_eq!(template.overlap(&traffic("/api/{**}", &[])), Overlap::Unclear);
        assert_eq!(traffic("*.js", &["GET"]).overlap(&traffic("/a*", &["PUT"])), Overlap::Nothing);
        assert_eq!(traffic("*.js", &[]).overlap(&template), Overlap::Unclear);
    }

    #[test]
    fn hosts_that_differ_have_nothing_in_common() {
        let host = |value: &str| {
            let header =
                HeaderMatch { name: ":authority".to_owned(), value: Pattern::parse(value) };
            Traffic { headers: [header].into(), ..Traffic::default() }
        };
        assert_eq!(host("a.example").overlap(&host("b.example")), Overlap::Nothing);
        let Overlap::Exactly(both) = host("a.example").overlap(&host("*.example")) else {
            panic!()
        };
        assert_eq!(both.headers.len(), 2);
    }

    #[test]
    fn words_of_a_suffix_match_nothing_else() {
        let words = traffic("*.j-s", &["GET"]).words();
        assert_eq!(words, json!({"safe_regex": {"regex": r"/.*\.j-s"}, "methods": ["GET"]}));
    }
}

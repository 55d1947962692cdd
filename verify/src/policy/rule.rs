//! Rules: which requests need what.

use std::collections::BTreeMap;

use regex_lite::Regex;

use super::{
    error::PolicyError,
    raw::{RawMatch, RawRequirement, RawRequirementList, RawRule},
};
use crate::request::decode_path;

/// Index of a provider within its policy.
pub(crate) type ProviderIndex = usize;

/// How deep requirements may be nested.
const MAX_DEPTH: usize = 8;

/// One rule: the requests that it is for, and what they need.
#[derive(Debug)]
pub(crate) struct Rule {
    path: PathMatch,
    methods: Option<Vec<String>>,
    pub(crate) requirement: Requirement,
}

#[derive(Debug)]
enum PathMatch {
    Prefix(String),
    Exact(String),
    Regex(Regex),
}

/// What a request needs. `allow_missing` and `allow_missing_or_failed` standing alone are kept
/// as an [`Requirement::Any`] over all providers, which is what they mean.
#[derive(Debug, PartialEq)]
pub(crate) enum Requirement {
    /// Nothing: the rule opens the path.
    Open,
    Provider(ProviderIndex),
    Any(Vec<Requirement>, Fallback),
    All(Vec<Requirement>),
}

/// What an [`Requirement::Any`] does when none of its members is satisfied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fallback {
    Deny,
    /// Let through where no token stands in any of the places.
    AllowMissing,
    /// Let through in any case.
    AllowMissingOrFailed,
}

impl Requirement {
    /// Every provider that is named anywhere in it.
    pub(crate) fn providers(&self) -> Vec<ProviderIndex> {
        match self {
            Self::Open => Vec::new(),
            Self::Provider(index) => vec![*index],
            Self::Any(members, _) | Self::All(members) => {
                members.iter().flat_map(Self::providers).collect()
            }
        }
    }
}

impl Rule {
    pub(super) fn new(
        raw: RawRule,
        index: usize,
        providers: &BTreeMap<String, ProviderIndex>,
    ) -> Result<Self, PolicyError> {
        let member = format!("rules[{index}]");
        let methods = methods(raw.r#match.methods.as_deref(), &format!("{member}.match.methods"))?;
        let path = PathMatch::new(&raw.r#match, &format!("{member}.match"))?;
        let requirement = match &raw.requires {
            None => Requirement::Open,
            Some(raw) => {
                Compiler { providers }.requirement(raw, &format!("{member}.requires"), 0)?
            }
        };
        Ok(Self { path, methods, requirement })
    }

    /// Whether the rule is for this method and decoded path.
    pub(crate) fn matches(&self, method: &str, path: &str) -> bool {
        let method_fits =
            self.methods.as_ref().is_none_or(|methods| methods.iter().any(|name| name == method));
        method_fits && self.path.matches(path)
    }
}

impl PathMatch {
    fn new(raw: &RawMatch, member: &str) -> Result<Self, PolicyError> {
        match (&raw.prefix, &raw.path, &raw.safe_regex) {
            (Some(prefix), None, None) => {
                Ok(Self::Prefix(plain_path(prefix, "x", &format!("{member}.prefix"))?))
            }
            (None, Some(path), None) => {
                Ok(Self::Exact(plain_path(path, "", &format!("{member}.path"))?))
            }
            (None, None, Some(raw)) => full_match(&raw.regex)
                .map(Self::Regex)
                .map_err(|error| PolicyError::new(format!("{member}.safe_regex.regex"), error)),
            _ => Err(PolicyError::new(member, "it needs one of `prefix`, `path` and `safe_regex`")),
        }
    }

    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Prefix(prefix) => path.starts_with(prefix),
            Self::Exact(exact) => path == exact,
            Self::Regex(regex) => regex.is_match(path),
        }
    }
}

/// Like Envoy's `safe_regex`, the whole path has to match. The pattern is compiled alone first,
/// since `a)|(b` is an error by itself but would slip out of the group around it.
fn full_match(pattern: &str) -> Result<Regex, String> {
    if pattern.contains('%') {
        return Err("it is matched against the decoded path, so it must hold no `%`".to_owned());
    }
    if pattern.contains("//") {
        return Err("no request can have a path with `//`".to_owned());
    }
    Regex::new(pattern)
        .and_then(|_| Regex::new(&format!(r"\A(?:{pattern})\z")))
        .map_err(|error| error.to_string())
}

/// A path in a policy is read as a request's is: decoded, without a query. One that no request
/// can have would leave its rule without effect, and what the rule guards to the rules behind it.
/// With `rest`, the path may go on.
fn plain_path(path: &str, rest: &str, member: &str) -> Result<String, PolicyError> {
    if !path.starts_with('/') {
        return Err(PolicyError::new(member, "it must begin with `/`"));
    }
    if path.contains(['?', '#']) {
        return Err(PolicyError::new(member, "it must hold neither a query nor a fragment"));
    }
    let whole = format!("{path}{rest}");
    let decoded = decode_path(whole.as_bytes()).ok_or_else(|| {
        PolicyError::new(member, "no request can have this path: it is ambiguous")
    })?;
    Ok(decoded.strip_suffix(rest).unwrap_or(&decoded).to_owned())
}

fn methods(names: Option<&[String]>, member: &str) -> Result<Option<Vec<String>>, PolicyError> {
    let Some(names) = names else { return Ok(None) };
    if names.is_empty() {
        return Err(PolicyError::new(member, "an empty list would match nothing"));
    }
    let is_method = |name: &&String| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-')
    };
    match names.iter().find(|name| !is_method(name)) {
        Some(name) => Err(PolicyError::new(member, format!("`{name}` is not a method name"))),
        None => Ok(Some(names.to_vec())),
    }
}

struct Compiler<'a> {
    providers: &'a BTreeMap<String, ProviderIndex>,
}

impl Compiler<'_> {
    fn requirement(
        &self,
        raw: &RawRequirement,
        member: &str,
        depth: usize,
    ) -> Result<Requirement, PolicyError> {
        if depth > MAX_DEPTH {
            return Err(PolicyError::new(member, format!("it is nested deeper than {MAX_DEPTH}")));
        }
        let one_of = "it needs one of `provider_name`, `requires_any`, `requires_all`, \
                      `allow_missing` and `allow_missing_or_failed`";
        match raw {
            RawRequirement { provider_name: Some(name), .. } if raw.members() == 1 => {
                self.providers.get(name).map(|index| Requirement::Provider(*index)).ok_or_else(
                    || {
                        let reason = format!("there is no provider `{name}`");
                        PolicyError::new(format!("{member}.provider_name"), reason)
                    },
                )
            }
            RawRequirement { requires_any: Some(list), .. } if raw.members() == 1 => {
                self.any(list, &format!("{member}.requires_any"), depth)
            }
            RawRequirement { requires_all: Some(list), .. } if raw.members() == 1 => {
                self.all(list, &format!("{member}.requires_all"), depth)
            }
            _ => match raw.fallback() {
                Some(fallback) if raw.members() == 1 => Ok(self.any_provider(fallback)),
                _ => Err(PolicyError::new(member, one_of)),
            },
        }
    }

    fn any(
        &self,
        list: &RawRequirementList,
        member: &str,
        depth: usize,
    ) -> Result<Requirement, PolicyError> {
        let fallback = list.requirements.iter().filter_map(RawRequirement::fallback).max();
        let named = self.list(list, member, depth, |raw| raw.fallback().is_none())?;
        if named.is_empty() {
            return Ok(self.any_provider(fallback.unwrap_or(Fallback::Deny)));
        }
        Ok(Requirement::Any(named, fallback.unwrap_or(Fallback::Deny)))
    }

    fn all(
        &self,
        list: &RawRequirementList,
        member: &str,
        depth: usize,
    ) -> Result<Requirement, PolicyError> {
        self.list(list, member, depth, |_| true).map(Requirement::All)
    }

    fn list(
        &self,
        list: &RawRequirementList,
        member: &str,
        depth: usize,
        keep: impl Fn(&RawRequirement) -> bool,
    ) -> Result<Vec<Requirement>, PolicyError> {
        if list.requirements.is_empty() {
            return Err(PolicyError::new(format!("{member}.requirements"), "it must not be empty"));
        }
        let mut requirements = Vec::new();
        for (index, raw) in list.requirements.iter().enumerate() {
            let place = format!("{member}.requirements[{index}]");
            let requirement = self.requirement(raw, &place, depth + 1)?;
            if keep(raw) {
                requirements.push(requirement);
            }
        }
        Ok(requirements)
    }

    fn any_provider(&self, fallback: Fallback) -> Requirement {
        let providers = self.providers.values().map(|index| Requirement::Provider(*index));
        Requirement::Any(providers.collect(), fallback)
    }
}

impl RawRequirement {
    fn members(&self) -> usize {
        [
            self.provider_name.is_some(),
            self.requires_any.is_some(),
            self.requires_all.is_some(),
            self.allow_missing.is_some(),
            self.allow_missing_or_failed.is_some(),
        ]
        .into_iter()
        .filter(|present| *present)
        .count()
    }

    fn fallback(&self) -> Option<Fallback> {
        match self {
            Self { allow_missing_or_failed: Some(_), .. } => Some(Fallback::AllowMissingOrFailed),
            Self { allow_missing: Some(_), .. } => Some(Fallback::AllowMissing),
            _ => None,
        }
    }
}

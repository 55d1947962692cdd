//! The policy: which requests need a token of which provider. Names follow Envoy's `jwt_authn`.

mod conditions;
mod domains;
mod duration;
mod error;
mod field_match;
mod key_source;
mod path_template;
mod provider;
mod raw;
mod requirement;
mod route_match;
mod rule;
mod rule_index;
#[cfg(feature = "schema")]
mod schema;
mod status_list;
mod string_matcher;

use std::collections::BTreeMap;

use serde_json::Value;

pub(crate) use self::{
    conditions::Conditions,
    domains::{DOMAIN, Domains},
    key_source::{Discovery, KeyFetching, KeySource},
    provider::{Location, MetadataKeys, PayloadHeader, Provider},
    requirement::{Check, Fallback, Need, OPEN, ProviderIndex, Requirement},
    rule::{DenyResponse, Redirect, Rule},
    status_list::StatusLists,
    string_matcher::StringMatcher,
};
pub use self::{error::PolicyError, key_source::HttpUri};
use self::{
    raw::{RawFilterStateRules, RawPolicy, RawRequirement},
    requirement::Compiler,
    rule_index::RuleIndex,
};
use crate::{
    denial::Denial,
    json,
    read::FromValue,
    request::{Request, Route, cmp_folded, fold, is_copy},
};

/// The bound of the cache of verified tokens where the policy names none: 8 MiB.
const DEFAULT_CACHE_BYTES: u64 = 8 << 20;
/// 1 GiB
const MAX_CACHE_BYTES: u64 = 1 << 30;

/// A validated policy. The first rule that matches a request decides what it needs; a request
/// that no rule matches is denied.
#[derive(Debug)]
pub struct Policy {
    pub(crate) providers: Vec<Provider>,
    rules: Vec<Rule>,
    rule_index: RuleIndex,
    requirement_map: BTreeMap<String, Requirement>,
    filter_state_rules: Option<FilterStateRules>,
    pub(crate) switches: Switches,
    stat_prefix: Option<String>,
    pub(crate) cache_bytes: usize,
    /// Whether any rule asks for more of a token than its validity.
    pub(crate) has_conditions: bool,
    identity_headers: IdentityHeaders,
}

/// What a policy switches on or off as a whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Switches {
    bypass_cors_preflight: bool,
    pub(crate) strip_failure_response: bool,
    identity_in_metadata: bool,
}

/// Requirements by the value of a host's filter state.
#[derive(Debug)]
struct FilterStateRules {
    name: String,
    requirements: BTreeMap<String, Requirement>,
}

/// What a policy demands of a request.
#[derive(Clone, Copy)]
pub(crate) struct Demand<'p> {
    pub(crate) requirement: &'p Requirement,
    /// The rule that says so, if it was one.
    pub(crate) rule: Option<&'p Rule>,
}

impl<'p> Demand<'p> {
    fn of(requirement: &'p Requirement) -> Self {
        Self { requirement, rule: None }
    }
}

/// What is demanded, if anything is said of the request at all, and what would be by a rule on
/// trial.
pub(crate) struct Demands<'p> {
    pub(crate) trial: Option<Demand<'p>>,
    pub(crate) demand: Option<Demand<'p>>,
}

/// Header names in the order of their folded spelling, so that a copy is found by bisection.
#[derive(Debug)]
struct IdentityHeaders {
    sorted: Vec<String>,
    /// By length (the last one is of all that are longer), which first letters there are, as bits:
    /// most headers of a request need no more.
    first_letters: [u64; 64],
}

impl IdentityHeaders {
    fn new<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        let mut sorted: Vec<String> = names.map(str::to_owned).collect();
        sorted.sort_by_key(|name| name.bytes().map(fold).collect::<Vec<u8>>());
        sorted.dedup();
        let mut first_letters = [0; 64];
        for name in &sorted {
            let (length, letter) = Self::shape(name);
            if let Some(letters) = first_letters.get_mut(length) {
                *letters |= letter;
            }
        }
        Self { sorted, first_letters }
    }

    fn shape(name: &str) -> (usize, u64) {
        let first = name.bytes().next().map_or(0, fold);
        (name.len().min(63), 1 << (first & 63))
    }

    fn has_copy(&self, sent: &str) -> bool {
        let (length, letter) = Self::shape(sent);
        if self.first_letters.get(length).is_none_or(|letters| letters & letter == 0) {
            return false;
        }
        self.sorted.binary_search_by(|name| cmp_folded(name.as_bytes(), sent.as_bytes())).is_ok()
    }
}

impl Policy {
    /// Parses and validates a policy document (JSON).
    ///
    /// # Errors
    ///
    /// [`PolicyError`] names the first member that is unknown, missing, doubled or out of bounds.
    pub fn parse(document: &[u8]) -> Result<Self, PolicyError> {
        let value = json::parse(document).map_err(|error| PolicyError::new("", error))?;
        refuse_null(&value, "")?;
        let raw: RawPolicy = from_value(value, "")?;
        let mut providers = Vec::new();
        for (name, value) in raw.providers {
            let member = format!("providers.{name}");
            providers.push(Provider::new(&name, from_value(value, &member)?)?);
        }
        let mut compiler = Compiler::new(&providers);
        let requirement_map = compile(&mut compiler, &raw.requirement_map, "requirement_map")?;
        let filter_state_rules =
            filter_state_rules(&mut compiler, raw.filter_state_rules.as_ref())?;
        let mut rules = Vec::new();
        for (index, value) in raw.rules.into_iter().enumerate() {
            let raw = from_value(value, &format!("rules[{index}]"))?;
            let named = |name: &str| requirement_map.get(name).cloned();
            let rule = Rule::new(&raw, index, &mut compiler, named)?;
            let opens = |earlier: &Rule| earlier.opens_what_is_guarded_by(&rule);
            if let Some(opening) = rules.iter().position(opens) {
                let reason = format!("no request gets here: rules[{opening}] opens all paths");
                return Err(PolicyError::new(format!("rules[{index}]"), reason));
            }
            rules.push(rule);
        }
        let cache_bytes = raw.verified_token_cache.map_or(DEFAULT_CACHE_BYTES, |raw| raw.max_bytes);
        let policy = Self {
            identity_headers: IdentityHeaders::new(std::iter::empty()),
            requirement_map,
            filter_state_rules,
            switches: Switches {
                bypass_cors_preflight: raw.bypass_cors_preflight,
                strip_failure_response: raw.strip_failure_response,
                identity_in_metadata: raw.identity_in_metadata,
            },
            stat_prefix: stat_prefix(raw.stat_prefix)?,
            cache_bytes: bounded_cache(cache_bytes)?,
            has_conditions: rules.iter().any(|rule| !rule.conditions.is_empty()),
            rule_index: RuleIndex::new(rules.iter().map(Rule::path_start)),
            providers,
            rules,
        };
        policy.check_own_headers()?;
        let identity_headers = IdentityHeaders::new(policy.names_of_identity_headers());
        Ok(Self { identity_headers, ..policy })
    }

    /// Names of the providers, in the order that their indices in [`crate::KeySetId`] count.
    pub fn provider_names(&self) -> impl Iterator<Item = &str> {
        self.providers.iter().map(|provider| provider.name.as_str())
    }

    /// Names of the rules, in their order.
    pub fn rule_names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.name.as_str())
    }

    /// What the policy says to fetch: the member that says so, such as
    /// `providers.shop.remote_jwks.http_uri`, and from where.
    pub fn http_uris(&self) -> impl Iterator<Item = (String, &HttpUri)> {
        self.providers.iter().flat_map(|provider| {
            let keys = provider.keys.http_uri();
            let lists = provider.status_lists.as_ref().map(|lists| ("status_list", &lists.place));
            let name = &provider.name;
            let named = move |(member, http_uri)| (format!("providers.{name}.{member}"), http_uri);
            keys.into_iter().chain(lists).map(named)
        })
    }

    /// All headers that the policy may set, in lower case. They are removed from every request
    /// that comes in, whether or not it carries a token.
    pub fn identity_headers(&self) -> impl Iterator<Item = &str> {
        self.identity_headers.sorted.iter().map(String::as_str)
    }

    /// The filter state whose value the host is to show as [`Request::filter_state`], if any.
    #[must_use]
    pub fn filter_state_name(&self) -> Option<&str> {
        self.filter_state_rules.as_ref().map(|rules| rules.name.as_str())
    }

    /// What the names of the host's metrics begin with, if anything.
    #[must_use]
    pub fn stat_prefix(&self) -> Option<&str> {
        self.stat_prefix.as_deref()
    }

    /// Whether the host's metadata is to tell whom a token speaks for ([`crate::Forward::identity`]).
    #[must_use]
    pub fn identity_in_metadata(&self) -> bool {
        self.switches.identity_in_metadata
    }

    /// The keys that [`crate::Forward::metadata`] and [`crate::Denied::metadata`] may have.
    pub fn metadata_keys(&self) -> impl Iterator<Item = &str> {
        self.providers.iter().flat_map(|provider| provider.metadata.names())
    }

    /// Whether a request's token alone decides: the first rule is for every path, and nothing else of
    /// a request is looked at. What such a policy has decided of a token may be kept, and holds for
    /// other requests that show the same token.
    #[must_use]
    pub fn rests_on_token_alone(&self) -> bool {
        let first_is_all = self.rules.first().is_some_and(Rule::is_for_all);
        let has_domains = self.providers.iter().any(|provider| provider.domains.is_some());
        first_is_all && !self.switches.bypass_cors_preflight && !has_domains
    }

    /// Whether header fields, the host or query parameters decide which rule or domain a request is
    /// of: a host that cannot show them has to refuse such a policy, since a rule that opens might be
    /// reached past one that guards.
    #[must_use]
    pub fn asks_for_fields(&self) -> bool {
        let domains = self.providers.iter().filter_map(|provider| provider.domains.as_ref());
        self.rules.iter().any(Rule::asks_for_fields)
            || domains.into_iter().any(Domains::asks_for_fields)
    }

    /// Whether there are requirements that a host's route may name ([`crate::Route`]).
    #[must_use]
    pub fn has_named_requirements(&self) -> bool {
        !self.requirement_map.is_empty()
    }

    /// Whether a service might take a header or trailer of this name for one that the policy sets.
    #[must_use]
    pub fn is_identity_header(&self, sent: &str) -> bool {
        self.identity_headers.has_copy(sent)
    }

    /// What is demanded of a request whose decoded path is `path`: what the host says of its route,
    /// or else the first matching rule, or else the host's filter state. A rule on trial demands
    /// nothing; the first one that matches is told beside.
    pub(crate) fn demands(
        &self,
        request: &Request<'_>,
        method: &str,
        path: &str,
    ) -> Result<Demands<'_>, Denial> {
        let by_host = |requirement| Demands { trial: None, demand: Some(Demand::of(requirement)) };
        if self.switches.bypass_cors_preflight && request.is_cors_preflight() {
            return Ok(by_host(&OPEN));
        }
        match request.route {
            Route::Disabled => return Ok(by_host(&OPEN)),
            Route::Requirement(name) => {
                let named = self.requirement_map.get(name);
                return named.map(by_host).ok_or(Denial::RequirementUnknown);
            }
            Route::Rules => {}
        }
        let mut trial = None;
        let candidates = self.rule_index.candidates(path);
        for rule in candidates.filter_map(|index| self.rules.get(index)) {
            let is_on_trial = rule.report_header.is_some();
            if (is_on_trial && trial.is_some()) || !rule.matches(request, method, path)? {
                continue;
            }
            let demand = Demand { requirement: &rule.requirement, rule: Some(rule) };
            if is_on_trial {
                trial = Some(demand);
            } else {
                return Ok(Demands { trial, demand: Some(demand) });
            }
        }
        let by_state = self.filter_state_rules.as_ref().zip(request.filter_state);
        let requirement = by_state.and_then(|(rules, value)| rules.requirements.get(value));
        Ok(Demands { trial, demand: requirement.map(Demand::of) })
    }

    /// What the gate says of itself must not be taken for what a token says.
    fn check_own_headers(&self) -> Result<(), PolicyError> {
        for (member, own) in self.own_headers() {
            let mut identities = self.providers.iter().flat_map(Provider::identity_headers);
            if identities.any(|name| is_copy(name.as_bytes(), own)) {
                let reason = format!("`{own}` is a header of a provider's claims, too");
                return Err(PolicyError::new(member, reason));
            }
        }
        Ok(())
    }

    /// The headers in which the gate speaks of itself, and where the policy names them.
    fn own_headers(&self) -> impl Iterator<Item = (String, &str)> {
        let rules = self.rules.iter().enumerate().flat_map(|(index, rule)| {
            let report = rule.report_header.as_deref();
            let report = report.map(|name| (format!("rules[{index}].report_only_header"), name));
            let status = rule.requirement.need.status_header();
            let status = status.map(|name| (format!("rules[{index}].requires"), name));
            report.into_iter().chain(status)
        });
        let named = self.requirement_map.iter().filter_map(|(name, requirement)| {
            let status = requirement.need.status_header()?;
            Some((format!("requirement_map.{name}"), status))
        });
        let by_state = self.filter_state_rules.iter().flat_map(|rules| &rules.requirements);
        let by_state = by_state.filter_map(|(value, requirement)| {
            let status = requirement.need.status_header()?;
            Some((format!("filter_state_rules.requires.{value}"), status))
        });
        rules.chain(named).chain(by_state)
    }

    fn names_of_identity_headers(&self) -> impl Iterator<Item = &str> {
        let of_providers = self.providers.iter().flat_map(Provider::identity_headers);
        of_providers.chain(self.own_headers().map(|(_, name)| name))
    }
}

fn compile(
    compiler: &mut Compiler<'_>,
    raw: &BTreeMap<String, RawRequirement>,
    member: &str,
) -> Result<BTreeMap<String, Requirement>, PolicyError> {
    let mut requirements = BTreeMap::new();
    for (name, raw) in raw {
        requirements.insert(name.clone(), compiler.compile(raw, &format!("{member}.{name}"))?);
    }
    Ok(requirements)
}

fn filter_state_rules(
    compiler: &mut Compiler<'_>,
    raw: Option<&RawFilterStateRules>,
) -> Result<Option<FilterStateRules>, PolicyError> {
    let Some(raw) = raw else { return Ok(None) };
    if raw.name.is_empty() {
        return Err(PolicyError::new("filter_state_rules.name", "it must not be empty"));
    }
    let requirements = compile(compiler, &raw.requires, "filter_state_rules.requires")?;
    Ok(Some(FilterStateRules { name: raw.name.clone(), requirements }))
}

fn stat_prefix(raw: Option<String>) -> Result<Option<String>, PolicyError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    match raw {
        Some(prefix) if prefix.is_empty() || !prefix.bytes().all(is_plain) => {
            Err(PolicyError::new("stat_prefix", "it is letters, digits, `-`, `_` and `.`"))
        }
        prefix => Ok(prefix),
    }
}

fn bounded_cache(bytes: u64) -> Result<usize, PolicyError> {
    usize::try_from(bytes).ok().filter(|_| bytes <= MAX_CACHE_BYTES).ok_or_else(|| {
        let reason = format!("it may be at most {MAX_CACHE_BYTES}");
        PolicyError::new("verified_token_cache.max_bytes", reason)
    })
}

/// A `null` is most often a template that found no value, and `requires: null` would open a path.
fn refuse_null(value: &Value, member: &str) -> Result<(), PolicyError> {
    match value {
        Value::Null => Err(PolicyError::new(member, "it must not be null")),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| refuse_null(item, &format!("{member}[{index}]"))),
        Value::Object(members) => members.iter().try_for_each(|(name, item)| {
            let dot = if member.is_empty() { "" } else { "." };
            refuse_null(item, &format!("{member}{dot}{name}"))
        }),
        _ => Ok(()),
    }
}

fn from_value<T: FromValue>(value: Value, member: &str) -> Result<T, PolicyError> {
    if !value.is_object() {
        return Err(PolicyError::new(member, "it must be an object"));
    }
    T::from_value(&value).map_err(|error| {
        let error = error.within(member);
        PolicyError { member: error.member, reason: error.reason }
    })
}

#[cfg(test)]
mod tests;

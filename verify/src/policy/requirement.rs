//! Requirements: what a request needs, compiled from Envoy's `JwtRequirement`.

use super::{
    error::PolicyError,
    provider::{Location, Provider, check_audiences, identity_header},
    raw::{RawExtractOnly, RawProviderAndAudiences, RawRequirement, RawRequirementList},
};

/// Index of a provider within its policy.
pub(crate) type ProviderIndex = usize;

/// How deep requirements may be nested.
const MAX_DEPTH: usize = 8;
/// Envoy's default for `verification_status_header`.
const DEFAULT_STATUS_HEADER: &str = "x-jwt-signature-verified";

/// What a request needs, and where tokens may stand that this can be proven with.
#[derive(Debug, Clone)]
pub(crate) struct Requirement {
    pub(crate) need: Need,
    /// The places of all providers that are named anywhere in it.
    pub(crate) locations: Vec<Location>,
    /// The one provider that is named in it, if it is one.
    pub(crate) sole_provider: Option<ProviderIndex>,
}

/// What a request needs. `allow_missing` and `allow_missing_or_failed` standing alone are kept
/// as an [`Need::Any`] over all providers, which is what they mean.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Need {
    /// Nothing: the rule opens the path.
    Open,
    Token(Check),
    Any(Vec<Need>, Fallback),
    All(Vec<Need>),
    /// The claims of a token that nobody checks, and the header that says so.
    ExtractOnly {
        status_header: String,
    },
}

/// A token of one provider, for its own audiences or for others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) provider: ProviderIndex,
    /// In place of the provider's.
    pub(crate) audiences: Option<Vec<String>>,
    /// Unique among all different checks of the policy.
    pub(crate) id: u32,
}

impl Check {
    /// A token of this provider, for its own audiences.
    pub(crate) fn of_provider(provider: ProviderIndex) -> Self {
        let id = u32::try_from(provider).unwrap_or(u32::MAX);
        Self { provider, audiences: None, id }
    }
}

/// What an [`Need::Any`] does when none of its members is satisfied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fallback {
    Deny,
    /// Let through where no token stands in any of the places.
    AllowMissing,
    /// Let through in any case.
    AllowMissingOrFailed,
}

/// Nothing is needed.
pub(crate) static OPEN: Requirement =
    Requirement { need: Need::Open, locations: Vec::new(), sole_provider: None };

impl Need {
    /// Whether this provider is named anywhere in it.
    fn names(&self, provider: ProviderIndex) -> bool {
        match self {
            Self::Open => false,
            Self::ExtractOnly { .. } => true,
            Self::Token(check) => check.provider == provider,
            Self::Any(members, _) | Self::All(members) => {
                members.iter().any(|member| member.names(provider))
            }
        }
    }

    /// The header that tells that claims are unverified, where it is about such.
    pub(super) fn status_header(&self) -> Option<&str> {
        match self {
            Self::ExtractOnly { status_header } => Some(status_header),
            _ => None,
        }
    }

    /// Whether a request without any verified token can satisfy it.
    pub(super) fn may_lack_a_token(&self) -> bool {
        match self {
            Self::Open | Self::ExtractOnly { .. } => true,
            Self::Token(_) => false,
            Self::Any(members, fallback) => {
                *fallback != Fallback::Deny || members.iter().any(Self::may_lack_a_token)
            }
            Self::All(members) => members.iter().all(Self::may_lack_a_token),
        }
    }
}

impl Fallback {
    /// What it adds to a list of alternatives.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Deny => "",
            Self::AllowMissing => " or no token",
            Self::AllowMissingOrFailed => " or whatever there is",
        }
    }
}

/// Compiles the requirements of one policy, which share their checks.
pub(super) struct Compiler<'p> {
    /// In the order of their names.
    providers: &'p [Provider],
    with_audiences: Vec<(ProviderIndex, Vec<String>)>,
}

impl<'p> Compiler<'p> {
    /// The providers, in the order of their names.
    pub(super) fn new(providers: &'p [Provider]) -> Self {
        Self { providers, with_audiences: Vec::new() }
    }

    /// A requirement that stands by itself: of a rule, or with a name.
    pub(super) fn compile(
        &mut self,
        raw: &RawRequirement,
        member: &str,
    ) -> Result<Requirement, PolicyError> {
        let need = match &raw.extract_only_without_validation {
            Some(extract) if raw.members() == 1 => extract_only(extract, member)?,
            _ => self.need(raw, member, 0)?,
        };
        let named = |index: &ProviderIndex| need.names(*index);
        let mut indices = (0..self.providers.len()).filter(named);
        let sole_provider = indices.next().filter(|_| indices.next().is_none());
        let mut locations = Vec::new();
        for (index, provider) in self.providers.iter().enumerate() {
            let fresh = provider.locations.iter().filter(|_| named(&index));
            for location in fresh {
                if !locations.contains(location) {
                    locations.push(location.clone());
                }
            }
        }
        Ok(Requirement { need, locations, sole_provider })
    }

    fn need(
        &mut self,
        raw: &RawRequirement,
        member: &str,
        depth: usize,
    ) -> Result<Need, PolicyError> {
        if depth > MAX_DEPTH {
            return Err(PolicyError::new(member, format!("it is nested deeper than {MAX_DEPTH}")));
        }
        if raw.members() != 1 {
            return Err(PolicyError::new(member, ONE_OF));
        }
        match raw {
            RawRequirement { provider_name: Some(name), .. } => {
                let provider = self.named(name, &format!("{member}.provider_name"))?;
                Ok(self.token(provider))
            }
            RawRequirement { provider_and_audiences: Some(raw), .. } => {
                self.with_audiences(raw, &format!("{member}.provider_and_audiences"))
            }
            RawRequirement { requires_any: Some(list), .. } => {
                self.any(list, &format!("{member}.requires_any"), depth)
            }
            RawRequirement { requires_all: Some(list), .. } => {
                let members = self.list(list, &format!("{member}.requires_all"), depth)?;
                Ok(Need::All(members.into_iter().map(|(_, member)| member).collect()))
            }
            RawRequirement { extract_only_without_validation: Some(_), .. } => {
                let place = format!("{member}.extract_only_without_validation");
                Err(PolicyError::new(place, "it must be the whole requirement"))
            }
            _ => raw
                .fallback()
                .map(|fallback| self.any_provider(fallback))
                .ok_or_else(|| PolicyError::new(member, ONE_OF)),
        }
    }

    fn named(&self, name: &str, member: &str) -> Result<ProviderIndex, PolicyError> {
        let unknown = || PolicyError::new(member, format!("there is no provider `{name}`"));
        let found = self.providers.binary_search_by(|provider| provider.name.as_str().cmp(name));
        found.map_err(|_| unknown())
    }

    #[expect(clippy::unused_self, reason = "beside `with_audiences`")]
    fn token(&self, provider: ProviderIndex) -> Need {
        Need::Token(Check::of_provider(provider))
    }

    fn with_audiences(
        &mut self,
        raw: &RawProviderAndAudiences,
        member: &str,
    ) -> Result<Need, PolicyError> {
        let provider = self.named(&raw.provider_name, &format!("{member}.provider_name"))?;
        if raw.audiences.is_empty() {
            let place = format!("{member}.audiences");
            return Err(PolicyError::new(place, "it must not be empty; use `provider_name`"));
        }
        let has_domains =
            self.providers.get(provider).is_some_and(|provider| provider.domains.is_some());
        check_audiences(&raw.audiences, has_domains, &format!("{member}.audiences"))?;
        let wanted = (provider, raw.audiences.clone());
        let known = self.with_audiences.iter().position(|known| *known == wanted);
        let place = known.unwrap_or(self.with_audiences.len());
        if known.is_none() {
            self.with_audiences.push(wanted);
        }
        let id = u32::try_from(self.providers.len() + place).unwrap_or(u32::MAX);
        Ok(Need::Token(Check { provider, audiences: Some(raw.audiences.clone()), id }))
    }

    fn any(
        &mut self,
        list: &RawRequirementList,
        member: &str,
        depth: usize,
    ) -> Result<Need, PolicyError> {
        let members = self.list(list, member, depth)?;
        let fallback = members.iter().filter_map(|(fallback, _)| *fallback).max();
        let fallback = fallback.unwrap_or(Fallback::Deny);
        let named = members.into_iter().filter(|(fallback, _)| fallback.is_none());
        let named: Vec<Need> = named.map(|(_, member)| member).collect();
        if named.is_empty() {
            return Ok(self.any_provider(fallback));
        }
        Ok(Need::Any(named, fallback))
    }

    fn list(
        &mut self,
        list: &RawRequirementList,
        member: &str,
        depth: usize,
    ) -> Result<Vec<(Option<Fallback>, Need)>, PolicyError> {
        if list.requirements.is_empty() {
            return Err(PolicyError::new(format!("{member}.requirements"), "it must not be empty"));
        }
        let mut members = Vec::new();
        for (index, raw) in list.requirements.iter().enumerate() {
            let place = format!("{member}.requirements[{index}]");
            members.push((raw.fallback(), self.need(raw, &place, depth + 1)?));
        }
        Ok(members)
    }

    fn any_provider(&self, fallback: Fallback) -> Need {
        let checks = (0..self.providers.len()).map(|provider| self.token(provider));
        Need::Any(checks.collect(), fallback)
    }
}

const ONE_OF: &str = "it needs one of `provider_name`, `provider_and_audiences`, `requires_any`, \
                      `requires_all`, `allow_missing`, `allow_missing_or_failed` and \
                      `extract_only_without_validation`";

/// Envoy can leave the header out. Nothing would tell the claims of a forger then.
fn extract_only(raw: &RawExtractOnly, member: &str) -> Result<Need, PolicyError> {
    let place = format!("{member}.extract_only_without_validation.verification_status_header");
    let name = raw.verification_status_header.as_deref().unwrap_or(DEFAULT_STATUS_HEADER);
    if name == "-" {
        let reason = "the header that tells unverified claims cannot be left out";
        return Err(PolicyError::new(place, reason));
    }
    Ok(Need::ExtractOnly { status_header: identity_header(name, &place)? })
}

impl RawRequirement {
    fn members(&self) -> usize {
        [
            self.provider_name.is_some(),
            self.provider_and_audiences.is_some(),
            self.requires_any.is_some(),
            self.requires_all.is_some(),
            self.allow_missing.is_some(),
            self.allow_missing_or_failed.is_some(),
            self.extract_only_without_validation.is_some(),
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

//! What goes upstream: identity headers in, tokens out.

use std::{fmt, sync::Arc};

use serde_json::Value;
use smallvec::SmallVec;

use crate::{
    claims::Claims,
    identity::{Identity, Who},
    location,
    policy::{Location, Policy, ProviderIndex},
    request::{Request, is_copy},
    token::{MAX_TOKEN_BYTES, UnverifiedToken},
};

/// How many names a name is compared with, so that none is told twice.
const MAX_COMPARED: usize = 32;

/// The changes to make to a request that is let through. Removals come first.
#[derive(Clone, Default)]
pub struct Forward<'r> {
    removed: SmallVec<[&'r str; 4]>,
    /// Whom it speaks for, and the tokens that say so.
    identities: SmallVec<[(Arc<Identity>, &'r [u8]); 1]>,
    /// What is set beside identities: what is left of cookies, and what the gate says of itself.
    others: Vec<(String, Vec<u8>)>,
    target: Option<Vec<u8>>,
    metadata: Vec<(String, Value)>,
    report: Option<Box<Report>>,
    rule: Option<usize>,
}

/// What a rule on trial (`report_only`) would have done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The rule's name.
    pub rule: String,
    /// The code of the denial; `None` where it would have let the request through.
    pub code: Option<&'static str>,
}

/// A verified token of a request that is let through.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bearer<'a> {
    /// Whose it is: the index counts [`crate::Policy::provider_names`].
    pub provider: usize,
    /// The domain that it was verified for, where its provider has domains.
    pub domain: Option<&'a str>,
    /// Its text: not for logs.
    pub token: &'a [u8],
}

impl Bearer<'_> {
    /// The verified claims.
    #[must_use]
    pub fn claims(&self) -> Option<Claims> {
        UnverifiedToken::parse(self.token, MAX_TOKEN_BYTES).ok().map(UnverifiedToken::into_claims)
    }
}

/// A token that passed, and the place where it stood.
#[derive(Clone)]
pub(crate) struct Found<'p, 'r> {
    pub(crate) identity: Arc<Identity>,
    pub(crate) text: &'r [u8],
    pub(crate) location: &'p Location,
    /// Whether it stays there.
    pub(crate) stays: bool,
}

impl<'r> Forward<'r> {
    /// The changes to `request`. Every identity header that the client sent is removed, and so is
    /// every token in one of `locations`, verified or not, unless it was verified and stays: what
    /// reaches the service there has passed the gate.
    pub(crate) fn new(
        request: &Request<'r>,
        policy: &Policy,
        locations: &[Location],
        found: &[Found<'_, 'r>],
    ) -> Self {
        let mut forward = Self::without_spoofed_headers(request, policy, found);
        let stays = |location: &&Location| {
            found.iter().any(|found| found.stays && found.location == *location)
        };
        let taken: SmallVec<[&Location; 4]> =
            locations.iter().filter(|location| !stays(location)).collect();
        forward.take_headers(&taken, found, request);
        forward.take_cookies(&taken, request);
        forward.take_params(&taken, request);
        forward
    }

    /// The same, but that all tokens stay where they are.
    pub(crate) fn without_spoofed_headers(
        request: &Request<'r>,
        policy: &Policy,
        found: &[Found<'_, 'r>],
    ) -> Self {
        let identities = found.iter().map(|found| (Arc::clone(&found.identity), found.text));
        let mut forward = Self { identities: identities.collect(), ..Self::default() };
        let sent = request.headers.iter().map(|field| field.0);
        forward.remove(sent.filter(|name| policy.is_identity_header(name)));
        forward
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        let value = value.into();
        match self.others.iter_mut().find(|(set, _)| set == name) {
            Some((_, earlier)) => *earlier = value,
            None => self.others.push((name.to_owned(), value)),
        }
    }

    pub(crate) fn with_metadata(mut self, metadata: Vec<(String, Value)>) -> Self {
        self.metadata = metadata;
        self
    }

    pub(crate) fn with_rule(mut self, rule: Option<usize>) -> Self {
        self.rule = rule;
        self
    }

    /// Tells the upstream, too, what the rule would have done.
    pub(crate) fn with_report(mut self, header: &str, report: Report) -> Self {
        let value = match report.code {
            Some(code) => format!("deny; code={code}; rule={}", report.rule),
            None => format!("allow; rule={}", report.rule),
        };
        self.set(header, value);
        self.report = Some(Box::new(report));
        self
    }

    /// Names of header fields to remove, all copies of each, as the client spells them.
    pub fn removed_headers(&self) -> impl Iterator<Item = &'r str> {
        self.removed.iter().copied()
    }

    /// Header fields to set. Lower case, and no name twice. What the request has under these names is
    /// among [`Forward::removed_headers`]: when that is gone, to set is to add.
    pub fn set_headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        // Of two tokens that set one header, the later one wins.
        let identities = self.identities.iter().enumerate().flat_map(|(index, (identity, _))| {
            let later = self.identities.get(index + 1..).unwrap_or_default();
            let is_last = |name: &str| !later.iter().any(|(identity, _)| identity.sets(name));
            identity
                .headers
                .iter()
                .map(|(name, value)| (&**name, value.as_slice()))
                .filter(move |(name, _)| is_last(name))
        });
        identities.chain(self.others.iter().map(|(name, value)| (name.as_str(), value.as_slice())))
    }

    /// The target (`:path`) to send instead of the client's, where a token stood in its query.
    #[must_use]
    pub fn target(&self) -> Option<&[u8]> {
        self.target.as_deref()
    }

    /// Entries for the host's metadata (in Envoy: of the namespace `envoy.filters.http.jwt_authn`).
    pub fn metadata(&self) -> impl Iterator<Item = (&str, &Value)> {
        let identities = self.identities.iter().flat_map(|(identity, _)| &identity.metadata);
        identities.chain(&self.metadata).map(|(key, value)| (key.as_str(), value))
    }

    /// Whom the first token speaks for, where the policy has `identity_in_metadata`.
    #[must_use]
    pub fn identity(&self) -> Option<Who<'_>> {
        self.identities.iter().find_map(|(identity, _)| identity.who())
    }

    /// The tokens that were verified.
    pub fn bearers(&self) -> impl Iterator<Item = Bearer<'_>> {
        let verified = self.identities.iter().filter(|(identity, _)| identity.number > 0);
        verified.map(|(identity, text)| Bearer {
            provider: identity.provider,
            domain: identity.domain.as_deref(),
            token: text,
        })
    }

    /// The providers whose tokens were verified.
    pub(crate) fn providers(&self) -> impl Iterator<Item = ProviderIndex> {
        self.identities.iter().map(|(identity, _)| identity.provider)
    }

    /// Whether the host has to choose the route anew, by what is set now.
    #[must_use]
    pub fn clears_route_cache(&self) -> bool {
        self.identities.iter().any(|(identity, _)| identity.clear_route_cache)
    }

    /// The rule that let the request through, if it was one: the index counts [`Policy::rule_names`].
    /// Where no other rule speaks of the request, the one on trial.
    #[must_use]
    pub fn rule(&self) -> Option<usize> {
        self.rule
    }

    /// What a rule on trial would have done; for the log and for metrics.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        self.report.as_deref()
    }

    fn remove(&mut self, names: impl IntoIterator<Item = &'r str>) {
        for name in names {
            // To remove a name twice is no harm; to compare thousands with each other would be.
            let recent = self.removed.iter().rev().take(MAX_COMPARED);
            if !recent.into_iter().any(|removed| removed.eq_ignore_ascii_case(name)) {
                self.removed.push(name);
            }
        }
    }

    /// A header that holds something else than a token, such as Basic credentials, stays.
    fn take_headers(
        &mut self,
        taken: &[&Location],
        found: &[Found<'_, '_>],
        request: &Request<'r>,
    ) {
        for location in taken {
            let Location::Header { name, .. } = location else { continue };
            let has_token = found.iter().any(|found| found.location == *location);
            if has_token
                || !matches!(location::find(request, std::slice::from_ref(*location)), Ok(None))
            {
                let sent = request.headers.iter().map(|field| field.0);
                self.remove(sent.filter(|sent| is_copy(sent.as_bytes(), name)));
            }
        }
    }

    fn take_cookies(&mut self, taken: &[&Location], request: &Request<'r>) {
        let names: SmallVec<[&str; 4]> =
            taken.iter().filter_map(|location| location.cookie()).collect();
        if names.is_empty() || !location::has_cookie(request, &names) {
            return;
        }
        self.remove(["cookie"]);
        if let Some(rest) = location::without_cookies(request, &names) {
            self.set("cookie", rest);
        }
    }

    fn take_params(&mut self, taken: &[&Location], request: &Request<'_>) {
        if request.query().is_none() || !taken.iter().any(|location| location.param().is_some()) {
            return;
        }
        let rest = location::without_tokens(request, taken);
        self.target = (rest != request.target).then_some(rest);
    }
}

impl Identity {
    fn sets(&self, name: &str) -> bool {
        self.headers.iter().any(|(set, _)| **set == *name)
    }
}

/// Prints no token.
impl fmt::Debug for Bearer<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Bearer")
            .field("provider", &self.provider)
            .field("domain", &self.domain)
            .finish_non_exhaustive()
    }
}

/// Values are identities and cookies: they stay out of debug output.
impl fmt::Debug for Forward<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set: Vec<&str> = self.set_headers().map(|(name, _)| name).collect();
        let metadata: Vec<&str> = self.metadata().map(|(key, _)| key).collect();
        formatter
            .debug_struct("Forward")
            .field("removed_headers", &self.removed)
            .field("set_headers", &set)
            .field("target_changed", &self.target.is_some())
            .field("metadata", &metadata)
            .field("report", &self.report)
            .finish()
    }
}

//! The evaluation of one request: which of its tokens pass, and whether that is enough.

use std::{borrow::Cow, sync::Arc, time::Duration};

use serde_json::{Value, json};
use smallvec::SmallVec;

use crate::{
    claims::ClaimRules,
    denial::Denial,
    forward::Found,
    identity::Identity,
    key_ring::{KeyRing, KeySetId, KeysAtHand},
    location,
    policy::{Check, Conditions, Demand, Fallback, Need, Policy, Provider},
    request::Request,
    token::{MAX_TOKEN_BYTES, UnverifiedToken},
    verified_tokens::{Validity, VerifiedTokens},
};

/// What became of a whole demand.
pub(crate) enum Verdict<'p> {
    /// With the header that has to tell upstream that the claims are unverified, if they are.
    Satisfied {
        status_header: Option<&'p str>,
    },
    Failed(Denial),
    Await(KeySetId),
}

/// What became of one need.
enum Outcome {
    Satisfied,
    Failed(Denial),
    Await(KeySetId),
}

/// One look at one request.
pub(crate) struct Evaluation<'g, 'r> {
    policy: &'g Policy,
    keys: &'g KeyRing,
    verified: &'g mut VerifiedTokens<Arc<Identity>>,
    request: &'g Request<'r>,
    path: &'g str,
    now: Duration,
    /// The tokens that were parsed: several providers may look at the same one.
    parsed: Vec<(&'r [u8], Result<UnverifiedToken<'r>, Denial>)>,
    /// The tokens that passed.
    pub(crate) found: SmallVec<[Found<'g>; 2]>,
    /// What is to be told of those that did not (`failed_status_in_metadata`).
    pub(crate) failures: Vec<(String, Value)>,
}

impl<'g, 'r> Evaluation<'g, 'r> {
    pub(crate) fn new(
        policy: &'g Policy,
        keys: &'g KeyRing,
        verified: &'g mut VerifiedTokens<Arc<Identity>>,
        request: &'g Request<'r>,
        path: &'g str,
        now: Duration,
    ) -> Self {
        let (parsed, found, failures) = (Vec::new(), SmallVec::new(), Vec::new());
        Self { policy, keys, verified, request, path, now, parsed, found, failures }
    }

    pub(crate) fn judge(&mut self, demand: &Demand<'g>) -> Verdict<'g> {
        let conditions = demand.rule.map(|rule| &rule.conditions);
        if let Need::ExtractOnly { status_header } = &demand.requirement.need {
            let extracted = self.extract();
            return Verdict::Satisfied {
                status_header: extracted.then_some(status_header.as_str()),
            };
        }
        match self.judge_need(&demand.requirement.need, conditions) {
            Outcome::Satisfied => Verdict::Satisfied { status_header: None },
            Outcome::Failed(denial) => Verdict::Failed(denial),
            Outcome::Await(key_set) => Verdict::Await(key_set),
        }
    }

    fn judge_need(&mut self, need: &'g Need, conditions: Option<&Conditions>) -> Outcome {
        match need {
            Need::Open | Need::ExtractOnly { .. } => Outcome::Satisfied,
            Need::Token(check) => self.judge_check(check, conditions),
            Need::All(members) => self.judge_all(members, conditions),
            Need::Any(members, fallback) => self.judge_any(members, *fallback, conditions),
        }
    }

    /// All have to be satisfied. A failure outweighs waiting: no key can heal it. Every member is
    /// judged, for whoever asks whether a token is missing must hear of a bad one beside it.
    fn judge_all(&mut self, members: &'g [Need], conditions: Option<&Conditions>) -> Outcome {
        let mut waiting = None;
        let mut nearest: Option<Denial> = None;
        for member in members {
            match self.judge_need(member, conditions) {
                Outcome::Satisfied => {}
                Outcome::Failed(denial) => nearest = Some(nearer(nearest, denial)),
                Outcome::Await(key_set) => waiting = waiting.or(Some(key_set)),
            }
        }
        match (nearest, waiting) {
            // Where a token is missing beside one that waits, it cannot be said yet whether there
            // is a bad one.
            (None | Some(Denial::TokenMissing), Some(key_set)) => Outcome::Await(key_set),
            (Some(denial), _) => Outcome::Failed(denial),
            (None, None) => Outcome::Satisfied,
        }
    }

    /// The first satisfied one decides. Waiting outweighs a failure: the keys may turn it.
    fn judge_any(
        &mut self,
        members: &'g [Need],
        fallback: Fallback,
        conditions: Option<&Conditions>,
    ) -> Outcome {
        let mut nearest = Denial::TokenMissing;
        let mut waiting = None;
        for member in members {
            let before = self.found.len();
            match self.judge_need(member, conditions) {
                Outcome::Satisfied => return Outcome::Satisfied,
                Outcome::Await(key_set) => waiting = waiting.or(Some(key_set)),
                Outcome::Failed(denial) => nearest = nearer(Some(nearest), denial),
            }
            // What a failed member has gathered must not go upstream.
            self.found.truncate(before);
        }
        match (waiting, fallback) {
            (Some(key_set), _) => Outcome::Await(key_set),
            (None, Fallback::AllowMissingOrFailed) => Outcome::Satisfied,
            (None, Fallback::AllowMissing) if nearest == Denial::TokenMissing => Outcome::Satisfied,
            (None, _) => Outcome::Failed(nearest),
        }
    }

    fn judge_check(&mut self, check: &'g Check, conditions: Option<&Conditions>) -> Outcome {
        let Some(provider) = self.policy.providers.get(check.provider) else {
            return Outcome::Failed(Denial::NoMatchingRule);
        };
        // A request for a domain that is not served is not heard, with a token or without.
        let domain = match provider.domain_of(self.request, self.path) {
            Ok(domain) => domain,
            Err(denial) => return self.failed(provider, denial),
        };
        let (text, location) = match location::find(self.request, &provider.locations) {
            Ok(Some(found)) => found,
            Ok(None) => return Outcome::Failed(Denial::TokenMissing),
            Err(denial) => return self.failed(provider, denial),
        };
        let identity = self
            .identity(check, provider, domain.as_deref(), text)
            .and_then(|identity| meets(&identity, conditions).map(|()| identity));
        match identity {
            Ok(identity) => {
                self.found.push(Found { identity, location, stays: provider.forward });
                Outcome::Satisfied
            }
            Err(Outcome::Failed(denial)) => self.failed(provider, denial),
            Err(outcome) => outcome,
        }
    }

    /// Whom the token of this text speaks for, if it is the provider's and passes.
    fn identity(
        &mut self,
        check: &Check,
        provider: &'g Provider,
        domain: Option<&str>,
        text: &'r [u8],
    ) -> Result<Arc<Identity>, Outcome> {
        if let Some(version) = self.keys.version_at_hand(check.provider, domain, self.now)
            && let Some(identity) = self.verified.lookup(check.id, text, version, self.now)
            && identity.domain.as_deref() == domain
        {
            return Ok(identity);
        }
        self.parse(text);
        let rules = rules(check, provider, domain);
        let token = self.token_of(text, rules.issuer.as_deref()).map_err(Outcome::Failed)?;
        if !provider.algorithms.contains(&token.algorithm()) {
            return Err(Outcome::Failed(Denial::AlgorithmNotAllowed));
        }
        let at_hand = self.keys.at_hand(check.provider, domain, token.key_id(), self.now);
        let (keys, version) = match at_hand {
            KeysAtHand::Ready { keys, version } => (keys, version),
            KeysAtHand::Await => return Err(Outcome::Await(key_set(check, domain))),
            KeysAtHand::Unavailable { retry_after } => {
                return Err(Outcome::Failed(Denial::KeysUnavailable { retry_after }));
            }
        };
        let verified = token
            .verify_by(self.keys.signatures(), keys)
            .and_then(|signed| signed.check(&rules, self.now))
            .map_err(Outcome::Failed)?;
        let identity =
            Arc::new(Identity::new(provider, domain, &verified, self.policy.has_conditions));
        if text.len() <= provider.max_cached_token_bytes {
            let ends = verified.claims().ends(&rules).unwrap_or(Duration::MAX);
            let validity = Validity { version, verified_at: self.now, ends };
            let (value, bytes) = (Arc::clone(&identity), identity.bytes(text.len()));
            self.verified.insert(check.id, text, validity, value, bytes);
        }
        Ok(identity)
    }

    fn parse(&mut self, text: &'r [u8]) {
        if !self.parsed.iter().any(|(parsed, _)| *parsed == text) {
            self.parsed.push((text, UnverifiedToken::parse(text, MAX_TOKEN_BYTES)));
        }
    }

    /// The parsed token of this text, if it names `issuer`.
    fn token_of(&self, text: &[u8], issuer: Option<&str>) -> Result<&UnverifiedToken<'r>, Denial> {
        match self.parsed.iter().find(|(parsed, _)| *parsed == text) {
            Some((_, Ok(token))) if issuer.is_none() || token.issuer() == issuer => Ok(token),
            Some((_, Err(denial))) => Err(denial.clone()),
            _ => Err(Denial::IssuerUnknown),
        }
    }

    fn failed(&mut self, provider: &Provider, denial: Denial) -> Outcome {
        if let Some(key) = &provider.metadata.failed_status {
            let status = json!({ "code": denial.code(), "message": denial.message() });
            self.failures.push((key.clone(), status));
        }
        Outcome::Failed(denial)
    }

    /// Takes the claims of the first token that looks like a provider's. Whether there was one.
    fn extract(&mut self) -> bool {
        for provider in &self.policy.providers {
            let Ok(Some((text, location))) = location::find(self.request, &provider.locations)
            else {
                continue;
            };
            if let Some(identity) = self.unverified_identity(provider, text) {
                let identity = Arc::new(identity);
                self.found.push(Found { identity, location, stays: provider.forward });
                return true;
            }
        }
        false
    }

    fn unverified_identity(&mut self, provider: &'g Provider, text: &'r [u8]) -> Option<Identity> {
        let domain = provider.domain_of(self.request, self.path).ok()?;
        self.parse(text);
        let issuer = provider.issuer(domain.as_deref());
        let token = self.token_of(text, issuer.as_deref()).ok()?;
        let claimed = token.dangerous_assume_verified();
        Some(Identity::new(provider, domain.as_deref(), &claimed, false))
    }
}

fn meets(identity: &Identity, conditions: Option<&Conditions>) -> Result<(), Outcome> {
    match (conditions, &identity.claims) {
        (Some(conditions), Some(claims)) => conditions.check(claims).map_err(Outcome::Failed),
        (Some(conditions), None) if !conditions.is_empty() => {
            Err(Outcome::Failed(Denial::InsufficientScope { scope: String::new() }))
        }
        _ => Ok(()),
    }
}

/// The provider's rules, for the audiences and the domain at hand.
pub(crate) fn rules<'p>(
    check: &Check,
    provider: &'p Provider,
    domain: Option<&str>,
) -> Cow<'p, ClaimRules> {
    let mut rules = Cow::Borrowed(&provider.claim_rules);
    if let Some(audiences) = &check.audiences {
        rules.to_mut().audiences.clone_from(audiences);
    }
    if let Some(domain) = domain {
        rules.to_mut().fill_in(domain);
    }
    rules
}

fn key_set(check: &Check, domain: Option<&str>) -> KeySetId {
    KeySetId { provider: check.provider, domain: domain.map(Into::into) }
}

/// Of two denials the one whose token came nearer to being accepted; the earlier one of equals.
fn nearer(earlier: Option<Denial>, later: Denial) -> Denial {
    match earlier {
        Some(denial) if denial.progress() >= later.progress() => denial,
        _ => later,
    }
}

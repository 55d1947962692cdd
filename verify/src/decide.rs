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
    revoked::RevokedSessions,
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

/// The verdict, the tokens that passed, and what is to be told of those that did not
/// (`failed_status_in_metadata`).
pub(crate) type Outcome<'p> = (Verdict<'p>, Tokens<'p>, Vec<(String, Value)>);
type Tokens<'p> = SmallVec<[Found<'p>; 2]>;

/// What a request is told that cannot wait for keys, or no longer.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What became of one need.
enum Proof {
    Given,
    Failed(Denial),
    Await(KeySetId),
}

/// One look at one request.
pub(crate) struct Evaluation<'p, 'g, 'r> {
    policy: &'p Policy,
    keys: &'g KeyRing,
    verified: &'g mut VerifiedTokens<Arc<Identity>>,
    revoked: &'g RevokedSessions,
    request: &'g Request<'r>,
    path: &'g str,
    now: Duration,
    /// The tokens that were parsed: several providers may look at the same one.
    parsed: Vec<(&'r [u8], Result<UnverifiedToken<'r>, Denial>)>,
    found: Tokens<'p>,
    failures: Vec<(String, Value)>,
    may_wait: bool,
}

impl<'p, 'g, 'r> Evaluation<'p, 'g, 'r> {
    pub(crate) fn new(
        policy: &'p Policy,
        keys: &'g KeyRing,
        verified: &'g mut VerifiedTokens<Arc<Identity>>,
        revoked: &'g RevokedSessions,
        request: &'g Request<'r>,
        path: &'g str,
        now: Duration,
    ) -> Self {
        let (parsed, found, failures) = (Vec::new(), SmallVec::new(), Vec::new());
        let may_wait = false;
        Self {
            policy,
            keys,
            verified,
            revoked,
            request,
            path,
            now,
            parsed,
            found,
            failures,
            may_wait,
        }
    }

    /// The verdict by what is demanded. A request that may not wait for keys fails for want of them.
    pub(crate) fn judge(mut self, demand: &Demand<'p>, may_wait: bool) -> Outcome<'p> {
        self.may_wait = may_wait;
        let conditions = demand.rule.map(|rule| &rule.conditions);
        let verdict = match &demand.requirement.need {
            Need::ExtractOnly { status_header } => {
                let extracted = self.extract();
                Verdict::Satisfied { status_header: extracted.then_some(status_header.as_str()) }
            }
            need => match self.judge_need(need, conditions) {
                Proof::Given => Verdict::Satisfied { status_header: None },
                Proof::Failed(denial) => Verdict::Failed(denial),
                Proof::Await(key_set) => Verdict::Await(key_set),
            },
        };
        (verdict, self.found, self.failures)
    }

    fn judge_need(&mut self, need: &'p Need, conditions: Option<&Conditions>) -> Proof {
        match need {
            Need::Open | Need::ExtractOnly { .. } => Proof::Given,
            Need::Token(check) => self.judge_check(check, conditions),
            Need::All(members) => self.judge_all(members, conditions),
            Need::Any(members, fallback) => self.judge_any(members, *fallback, conditions),
        }
    }

    /// All have to be satisfied. A failure outweighs waiting: no key can heal it. Every member is
    /// judged, for whoever asks whether a token is missing must hear of a bad one beside it.
    fn judge_all(&mut self, members: &'p [Need], conditions: Option<&Conditions>) -> Proof {
        let mut waiting = None;
        let mut nearest: Option<Denial> = None;
        for member in members {
            match self.judge_need(member, conditions) {
                Proof::Given => {}
                Proof::Failed(denial) => nearest = Some(nearer(nearest, denial)),
                Proof::Await(key_set) => waiting = waiting.or(Some(key_set)),
            }
        }
        match (nearest, waiting) {
            // Where a token is missing beside one that waits, it cannot be said yet whether there
            // is a bad one.
            (None | Some(Denial::TokenMissing), Some(key_set)) => Proof::Await(key_set),
            (Some(denial), _) => Proof::Failed(denial),
            (None, None) => Proof::Given,
        }
    }

    /// The first satisfied one decides. Waiting outweighs a failure: the keys may turn it.
    fn judge_any(
        &mut self,
        members: &'p [Need],
        fallback: Fallback,
        conditions: Option<&Conditions>,
    ) -> Proof {
        let mut nearest = Denial::TokenMissing;
        let mut waiting = None;
        for member in members {
            let before = self.found.len();
            match self.judge_need(member, conditions) {
                Proof::Given => return Proof::Given,
                Proof::Await(key_set) => waiting = waiting.or(Some(key_set)),
                Proof::Failed(denial) => nearest = nearer(Some(nearest), denial),
            }
            // What a failed member has gathered must not go upstream.
            self.found.truncate(before);
        }
        match (waiting, fallback) {
            (Some(key_set), _) => Proof::Await(key_set),
            (None, Fallback::AllowMissingOrFailed) => Proof::Given,
            (None, Fallback::AllowMissing) if nearest == Denial::TokenMissing => Proof::Given,
            (None, _) => Proof::Failed(nearest),
        }
    }

    fn judge_check(&mut self, check: &'p Check, conditions: Option<&Conditions>) -> Proof {
        let Some(provider) = self.policy.providers.get(check.provider) else {
            return Proof::Failed(Denial::NoMatchingRule);
        };
        // A request for a domain that is not served is not heard, with a token or without.
        let domain = match provider.domain_of(self.request, self.path) {
            Ok(domain) => domain,
            Err(denial) => return self.failed(provider, denial),
        };
        let (text, location) = match location::find(self.request, &provider.locations) {
            Ok(Some(found)) => found,
            Ok(None) => return Proof::Failed(Denial::TokenMissing),
            Err(denial) => return self.failed(provider, denial),
        };
        let identity = self
            .identity(check, provider, domain.as_deref(), text)
            .and_then(|identity| self.is_alive(check, &identity).map(|()| identity))
            .and_then(|identity| meets(&identity, conditions).map(|()| identity));
        match identity {
            Ok(identity) => {
                self.found.push(Found { identity, location, stays: provider.forward });
                Proof::Given
            }
            Err(Proof::Failed(denial)) => self.failed(provider, denial),
            Err(proof) => proof,
        }
    }

    /// Whom the token of this text speaks for, if it is the provider's and passes.
    fn identity(
        &mut self,
        check: &Check,
        provider: &'p Provider,
        domain: Option<&str>,
        text: &'r [u8],
    ) -> Result<Arc<Identity>, Proof> {
        if let Some(version) = self.keys.version_at_hand(check.provider, domain, self.now)
            && let Some(identity) = self.verified.lookup(check.id, text, version, self.now)
            && identity.domain.as_deref() == domain
        {
            return Ok(identity);
        }
        self.parse(text);
        let rules = rules(check, provider, domain);
        let token = self.token_of(text, rules.issuer.as_deref()).map_err(Proof::Failed)?;
        if !provider.algorithms.contains(&token.algorithm()) {
            return Err(Proof::Failed(Denial::AlgorithmNotAllowed));
        }
        let at_hand = self.keys.at_hand(check.provider, domain, token.key_id(), self.now);
        let (keys, version) = match at_hand {
            KeysAtHand::Ready { keys, version } => (keys, version),
            KeysAtHand::Await if self.may_wait => {
                return Err(Proof::Await(key_set(check, domain)));
            }
            KeysAtHand::Await => {
                let denial = Denial::KeysUnavailable { retry_after: RETRY_AFTER };
                return Err(Proof::Failed(denial));
            }
            KeysAtHand::Unavailable { retry_after } => {
                return Err(Proof::Failed(Denial::KeysUnavailable { retry_after }));
            }
        };
        let verified = token
            .verify_by(self.keys.signatures(), keys)
            .and_then(|signed| signed.check(&rules, self.now))
            .map_err(Proof::Failed)?;
        let identity =
            Arc::new(Identity::new(self.policy, (check.provider, provider), domain, &verified));
        if text.len() <= provider.max_cached_token_bytes {
            let ends = verified.claims().ends(&rules).unwrap_or(Duration::MAX);
            let validity = Validity { version, verified_at: self.now, ends };
            let (value, bytes) = (Arc::clone(&identity), identity.bytes());
            self.verified.insert(check.id, text, validity, value, bytes);
        }
        Ok(identity)
    }

    /// Cached or not: a session may have been revoked since.
    fn is_alive(&self, check: &Check, identity: &Identity) -> Result<(), Proof> {
        match &identity.session {
            Some(session) if self.revoked.holds(check.provider, session, self.now) => {
                Err(Proof::Failed(Denial::TokenRevoked))
            }
            _ => Ok(()),
        }
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

    fn failed(&mut self, provider: &Provider, denial: Denial) -> Proof {
        if let Some(key) = &provider.metadata.failed_status {
            let status = json!({ "code": denial.code(), "message": denial.message() });
            self.failures.push((key.clone(), status));
        }
        Proof::Failed(denial)
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

    fn unverified_identity(&mut self, provider: &'p Provider, text: &'r [u8]) -> Option<Identity> {
        let domain = provider.domain_of(self.request, self.path).ok()?;
        self.parse(text);
        let issuer = provider.issuer(domain.as_deref());
        let token = self.token_of(text, issuer.as_deref()).ok()?;
        let claimed = token.dangerous_assume_verified();
        Some(Identity::unverified(provider, domain.as_deref(), &claimed))
    }
}

fn meets(identity: &Identity, conditions: Option<&Conditions>) -> Result<(), Proof> {
    match (conditions, &identity.claims) {
        (Some(conditions), Some(claims)) => conditions.check(claims).map_err(Proof::Failed),
        (Some(conditions), None) if !conditions.is_empty() => {
            Err(Proof::Failed(Denial::InsufficientScope { scope: String::new() }))
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

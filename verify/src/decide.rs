//! The evaluation of one request: which of its tokens pass, and whether that is enough.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use smallvec::SmallVec;

use crate::{
    denial::Denial,
    forward::Found,
    identity::Identity,
    inspection::{Inspection, Obstacle, nearer},
    key_ring::{KeyRing, KeySetId},
    location,
    policy::{Check, Conditions, Demand, Fallback, Need, Policy, Provider},
    request::Request,
    revoked::RevokedSessions,
    verified_tokens::VerifiedTokens,
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
pub(crate) type Outcome<'p, 'r> = (Verdict<'p>, Tokens<'p, 'r>, Vec<(String, Value)>);
type Tokens<'p, 'r> = SmallVec<[Found<'p, 'r>; 2]>;

/// What became of one need.
enum Proof {
    Given,
    Failed(Denial),
    Await(KeySetId),
}

/// One look at one request.
pub(crate) struct Evaluation<'p, 'g, 'r> {
    tokens: Inspection<'p, 'g, 'r>,
    request: &'g Request<'r>,
    path: &'g str,
    found: Tokens<'p, 'r>,
    failures: Vec<(String, Value)>,
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
        let tokens = Inspection::new(policy, keys, verified, revoked, now);
        Self { tokens, request, path, found: SmallVec::new(), failures: Vec::new() }
    }

    /// The verdict by what is demanded. A request that may not wait for keys fails for want of them.
    pub(crate) fn judge(mut self, demand: &Demand<'p>, may_wait: bool) -> Outcome<'p, 'r> {
        self.tokens.may_wait = may_wait;
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
        let Some(provider) = self.tokens.policy.providers.get(check.provider) else {
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
            .tokens
            .identity(check, provider, domain.as_deref(), text)
            .and_then(|identity| meets(&identity, conditions).map(|()| identity));
        match identity {
            Ok(identity) => {
                self.found.push(Found { identity, text, location, stays: provider.forward });
                Proof::Given
            }
            Err(Obstacle::Failed(denial)) => self.failed(provider, denial),
            Err(Obstacle::Await(key_set)) => Proof::Await(key_set),
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
        for provider in &self.tokens.policy.providers {
            let Ok(Some((text, location))) = location::find(self.request, &provider.locations)
            else {
                continue;
            };
            if let Some(identity) = self.unverified_identity(provider, text) {
                let identity = Arc::new(identity);
                self.found.push(Found { identity, text, location, stays: provider.forward });
                return true;
            }
        }
        false
    }

    fn unverified_identity(&mut self, provider: &'p Provider, text: &'r [u8]) -> Option<Identity> {
        let domain = provider.domain_of(self.request, self.path).ok()?;
        self.tokens.unverified(provider, domain.as_deref(), text)
    }
}

fn meets(identity: &Identity, conditions: Option<&Conditions>) -> Result<(), Obstacle> {
    match (conditions, &identity.claims) {
        (Some(conditions), Some(claims)) => conditions.check(claims).map_err(Obstacle::Failed),
        (Some(conditions), None) if !conditions.is_empty() => {
            Err(Obstacle::Failed(Denial::InsufficientScope { scope: String::new() }))
        }
        _ => Ok(()),
    }
}

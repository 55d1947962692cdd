//! The decision: a request, a policy and the keys at hand give one verdict.

use std::time::Duration;

use crate::{
    denial::Denial,
    forward::{Forward, Upstream},
    key_ring::{KeyRing, KeysAtHand},
    location,
    policy::{Fallback, Location, Policy, Provider, ProviderIndex, Requirement},
    request::Request,
    token::{MAX_TOKEN_BYTES, UnverifiedToken, VerifiedToken},
};

/// The core's total answer to a request. Exhaustive, so that no adapter can forget a case.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Let the request through, changed as told.
    Allow(Forward),
    /// Answer in the upstream's stead.
    Deny(Denial),
    /// The keys of this provider have to be fetched first; decide again when they have been.
    /// The index counts [`Policy::provider_names`].
    AwaitKeys(usize),
}

/// What became of one requirement.
enum Outcome {
    Satisfied,
    Failed(Denial),
    Await(ProviderIndex),
}

impl Policy {
    /// Decides on a request at the time `now`, counted from the Unix epoch.
    ///
    /// Total: it never panics and never fails; whatever is not allowed is denied.
    #[must_use]
    pub fn decide(&self, request: &Request<'_>, keys: &KeyRing, now: Duration) -> Decision {
        let requirement = match self.requirement(request) {
            Ok(requirement) => requirement,
            Err(denial) => return Decision::Deny(denial),
        };
        let mut evaluation =
            Evaluation { policy: self, request, keys, now, upstream: Upstream::default() };
        match evaluation.judge(requirement) {
            Outcome::Satisfied => {
                Decision::Allow(evaluation.upstream.forward(request, self.identity_headers()))
            }
            Outcome::Failed(denial) => Decision::Deny(denial),
            Outcome::Await(provider) => Decision::AwaitKeys(provider),
        }
    }
}

struct Evaluation<'a, 'r> {
    policy: &'a Policy,
    request: &'a Request<'r>,
    keys: &'a KeyRing,
    now: Duration,
    upstream: Upstream<'a>,
}

impl<'a> Evaluation<'a, '_> {
    fn judge(&mut self, requirement: &Requirement) -> Outcome {
        match requirement {
            Requirement::Open => Outcome::Satisfied,
            Requirement::Provider(index) => self.judge_provider(*index),
            Requirement::All(members) => self.judge_all(members),
            Requirement::Any(members, fallback) => self.judge_any(members, *fallback),
        }
    }

    /// All have to be satisfied. A failure outweighs waiting: no key can heal it.
    fn judge_all(&mut self, members: &[Requirement]) -> Outcome {
        let mut outcome = Outcome::Satisfied;
        for member in members {
            match self.judge(member) {
                Outcome::Satisfied => {}
                Outcome::Failed(denial) => return Outcome::Failed(denial),
                waiting @ Outcome::Await(_) => outcome = waiting,
            }
        }
        outcome
    }

    /// The first satisfied one decides. Waiting outweighs a failure: the keys may turn it.
    fn judge_any(&mut self, members: &[Requirement], fallback: Fallback) -> Outcome {
        let mut nearest = Denial::TokenMissing;
        let mut waiting = None;
        for member in members {
            let before = self.upstream.clone();
            match self.judge(member) {
                Outcome::Satisfied => return Outcome::Satisfied,
                Outcome::Await(provider) => waiting = waiting.or(Some(provider)),
                Outcome::Failed(denial) if denial.progress() > nearest.progress() => {
                    nearest = denial;
                }
                Outcome::Failed(_) => {}
            }
            // What a failed member has gathered must not go upstream; that a token was tried stays.
            self.upstream.identities = before.identities;
        }
        match (waiting, fallback) {
            (Some(provider), _) => Outcome::Await(provider),
            (None, Fallback::AllowMissingOrFailed) => Outcome::Satisfied,
            (None, Fallback::AllowMissing) if nearest == Denial::TokenMissing => Outcome::Satisfied,
            (None, _) => Outcome::Failed(nearest),
        }
    }

    fn judge_provider(&mut self, index: ProviderIndex) -> Outcome {
        let Some(provider) = self.policy.providers.get(index) else {
            return Outcome::Failed(Denial::NoMatchingRule);
        };
        self.upstream.tried.push(provider);
        match location::find(self.request, &provider.locations) {
            Err(denial) => Outcome::Failed(denial),
            Ok(None) => Outcome::Failed(Denial::TokenMissing),
            Ok(Some((text, location))) => self.judge_token(index, provider, text, location),
        }
    }

    fn judge_token(
        &mut self,
        index: ProviderIndex,
        provider: &'a Provider,
        text: &[u8],
        location: &'a Location,
    ) -> Outcome {
        let token = match UnverifiedToken::parse(text, MAX_TOKEN_BYTES) {
            Ok(token) if token.issuer() == Some(&provider.claim_rules.issuer) => token,
            Ok(_) => return Outcome::Failed(Denial::IssuerUnknown),
            Err(denial) => return Outcome::Failed(denial),
        };
        let keys = match self.keys.at_hand(index, token.key_id(), self.now) {
            KeysAtHand::Ready(keys) => keys,
            KeysAtHand::Await => return Outcome::Await(index),
            KeysAtHand::Unavailable { retry_after } => {
                return Outcome::Failed(Denial::KeysUnavailable { retry_after });
            }
        };
        let verified =
            token.verify(keys).and_then(|signed| signed.check(&provider.claim_rules, self.now));
        match verified {
            Ok(verified) => self.accept(provider, location, &verified),
            Err(denial) => Outcome::Failed(denial),
        }
    }

    fn accept(
        &mut self,
        provider: &'a Provider,
        location: &'a Location,
        token: &VerifiedToken<'_>,
    ) -> Outcome {
        self.upstream.accept(provider, location, token);
        Outcome::Satisfied
    }
}

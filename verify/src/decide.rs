//! The decision: a request, a policy and the keys at hand give one verdict.

use std::time::Duration;

use crate::{
    denial::Denial,
    forward::{Forward, Identity, forward},
    key_ring::{KeyRing, KeysAtHand},
    location,
    policy::{Fallback, Location, Policy, Provider, ProviderIndex, Requirement},
    request::Request,
    token::{MAX_TOKEN_BYTES, UnverifiedToken},
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
        let mut evaluation = Evaluation {
            policy: self,
            request,
            keys,
            now,
            parsed: Vec::new(),
            identities: Vec::new(),
        };
        match evaluation.judge(requirement) {
            Outcome::Satisfied => Decision::Allow(forward(
                request,
                &self.named_providers(requirement),
                evaluation.identities,
                self.identity_headers(),
            )),
            Outcome::Failed(denial) => Decision::Deny(denial),
            Outcome::Await(provider) => Decision::AwaitKeys(provider),
        }
    }

    fn named_providers(&self, requirement: &Requirement) -> Vec<&Provider> {
        let named = requirement.providers();
        named.into_iter().filter_map(|index| self.providers.get(index)).collect()
    }
}

struct Evaluation<'a, 'r> {
    policy: &'a Policy,
    request: &'a Request<'r>,
    keys: &'a KeyRing,
    now: Duration,
    /// The tokens that were looked at: several providers may look at the same one.
    parsed: Vec<(&'r [u8], Result<UnverifiedToken<'r>, Denial>)>,
    /// The tokens that passed.
    identities: Vec<Identity<'a>>,
}

impl<'a, 'r> Evaluation<'a, 'r> {
    fn judge(&mut self, requirement: &Requirement) -> Outcome {
        match requirement {
            Requirement::Open => Outcome::Satisfied,
            Requirement::Provider(index) => self.judge_provider(*index),
            Requirement::All(members) => self.judge_all(members),
            Requirement::Any(members, fallback) => self.judge_any(members, *fallback),
        }
    }

    /// All have to be satisfied. A failure outweighs waiting: no key can heal it. Every member is
    /// judged, for whoever asks whether a token is missing must hear of a bad one beside it.
    fn judge_all(&mut self, members: &[Requirement]) -> Outcome {
        let mut waiting = None;
        let mut nearest: Option<Denial> = None;
        for member in members {
            match self.judge(member) {
                Outcome::Satisfied => {}
                Outcome::Failed(denial) => nearest = Some(nearer(nearest, denial)),
                Outcome::Await(provider) => waiting = waiting.or(Some(provider)),
            }
        }
        match (nearest, waiting) {
            // Where a token is missing beside one that waits, it cannot be said yet whether there
            // is a bad one.
            (None | Some(Denial::TokenMissing), Some(provider)) => Outcome::Await(provider),
            (Some(denial), _) => Outcome::Failed(denial),
            (None, None) => Outcome::Satisfied,
        }
    }

    /// The first satisfied one decides. Waiting outweighs a failure: the keys may turn it.
    fn judge_any(&mut self, members: &[Requirement], fallback: Fallback) -> Outcome {
        let mut nearest = Denial::TokenMissing;
        let mut waiting = None;
        for member in members {
            let before = self.identities.len();
            match self.judge(member) {
                Outcome::Satisfied => return Outcome::Satisfied,
                Outcome::Await(provider) => waiting = waiting.or(Some(provider)),
                Outcome::Failed(denial) => nearest = nearer(Some(nearest), denial),
            }
            // What a failed member has gathered must not go upstream.
            self.identities.truncate(before);
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
        text: &'r [u8],
        location: &'a Location,
    ) -> Outcome {
        if !self.parsed.iter().any(|(parsed, _)| *parsed == text) {
            self.parsed.push((text, UnverifiedToken::parse(text, MAX_TOKEN_BYTES)));
        }
        match self.identity(index, provider, text, location) {
            Ok(identity) => {
                self.identities.push(identity);
                Outcome::Satisfied
            }
            Err(outcome) => outcome,
        }
    }

    /// Whom the token of this text speaks for, if it is the provider's and passes.
    fn identity(
        &self,
        index: ProviderIndex,
        provider: &'a Provider,
        text: &[u8],
        location: &'a Location,
    ) -> Result<Identity<'a>, Outcome> {
        let token = self.token_of(text, &provider.claim_rules.issuer).map_err(Outcome::Failed)?;
        if !provider.algorithms.contains(&token.algorithm()) {
            return Err(Outcome::Failed(Denial::AlgorithmNotAllowed));
        }
        let keys = match self.keys.at_hand(index, token.key_id(), self.now) {
            KeysAtHand::Ready(keys) => keys,
            KeysAtHand::Await => return Err(Outcome::Await(index)),
            KeysAtHand::Unavailable { retry_after } => {
                return Err(Outcome::Failed(Denial::KeysUnavailable { retry_after }));
            }
        };
        token
            .verify_by(self.keys.signatures(), keys)
            .and_then(|signed| signed.check(&provider.claim_rules, self.now))
            .map(|verified| Identity::new(provider, location, &verified))
            .map_err(Outcome::Failed)
    }

    /// The parsed token of this text, if it names `issuer`.
    fn token_of(&self, text: &[u8], issuer: &str) -> Result<&UnverifiedToken<'r>, Denial> {
        match self.parsed.iter().find(|(parsed, _)| *parsed == text) {
            Some((_, Ok(token))) if token.issuer() == Some(issuer) => Ok(token),
            Some((_, Err(denial))) => Err(denial.clone()),
            _ => Err(Denial::IssuerUnknown),
        }
    }
}

/// Of two denials the one whose token came nearer to being accepted; the earlier one of equals.
fn nearer(earlier: Option<Denial>, later: Denial) -> Denial {
    match earlier {
        Some(denial) if denial.progress() >= later.progress() => denial,
        _ => later,
    }
}

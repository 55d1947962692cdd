//! A token by itself, without a request around it.

use std::time::Duration;

use crate::{
    denial::Denial,
    gate::Gate,
    inspection::{Inspection, Obstacle, nearer},
    key_ring::KeySetId,
    policy::Check,
};

/// The core's total answer to a token by itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Verification {
    /// The signature and the claims are right.
    Verified {
        /// Whose it is: the index counts [`crate::Policy::provider_names`].
        provider: usize,
        /// Stays the same for as long as the gate remembers the token, and no other verified token of
        /// the gate ever has it: what a host has read of the token may be kept under it.
        number: u64,
    },
    /// It is none of the policy's, or not now.
    Denied(Denial),
    /// These keys, or this status list, have to be fetched first ([`crate::KeyRing::demand`]); verify
    /// again when they have been.
    AwaitKeys(KeySetId),
}

impl Gate {
    /// Verifies a token by itself at the time `now`, counted from the Unix epoch: whether a rule that
    /// requires a token of any provider of the policy would take it. Rules are not looked at, nor
    /// are their `scopes` and `claims`.
    ///
    /// `domain` is the one that providers with domains are to assume: it has to come from where the
    /// host trusts it, never from the token.
    ///
    /// Total, as [`Gate::decide`]; counted and remembered as there.
    #[must_use]
    pub fn verify(&mut self, token: &[u8], domain: Option<&str>, now: Duration) -> Verification {
        self.verify_counted(token, domain, now, true)
    }

    /// Verifies as [`Gate::verify`] does a token that cannot wait, or no longer: in place of
    /// [`Verification::AwaitKeys`], [`Denial::KeysUnavailable`] or [`Denial::StatusUnavailable`].
    #[must_use]
    pub fn verify_at_once(
        &mut self,
        token: &[u8],
        domain: Option<&str>,
        now: Duration,
    ) -> Verification {
        self.verify_counted(token, domain, now, false)
    }

    fn verify_counted(
        &mut self,
        token: &[u8],
        domain: Option<&str>,
        now: Duration,
        may_wait: bool,
    ) -> Verification {
        let verification = self.try_providers(token, domain, now, may_wait);
        let counter = match &verification {
            Verification::Verified { provider, .. } => {
                self.tallies.allow(*provider);
                &mut self.counters.allowed
            }
            Verification::Denied(denial) => {
                let sole_provider = (self.policy.providers.len() == 1).then_some(0);
                self.tallies.deny(sole_provider, denial.code());
                &mut self.counters.denied
            }
            Verification::AwaitKeys(_) => return verification,
        };
        *counter = counter.saturating_add(1);
        verification
    }

    /// The first provider that takes it decides. Waiting outweighs a failure: the keys may turn it.
    fn try_providers(
        &mut self,
        token: &[u8],
        domain: Option<&str>,
        now: Duration,
        may_wait: bool,
    ) -> Verification {
        let Self { policy, keys, verified, revoked, .. } = self;
        let mut tokens = Inspection::new(policy, keys, verified, revoked, now);
        tokens.may_wait = may_wait;
        let (mut nearest, mut waiting) = (None, None);
        for (index, provider) in policy.providers.iter().enumerate() {
            let check = Check::of_provider(index);
            let identity = provider
                .named_domain(domain)
                .map_err(Obstacle::Failed)
                .and_then(|domain| tokens.identity(&check, provider, domain, token));
            match identity {
                Ok(identity) => {
                    return Verification::Verified { provider: index, number: identity.number };
                }
                Err(Obstacle::Failed(denial)) => nearest = Some(nearer(nearest, denial)),
                Err(Obstacle::Await(key_set)) => waiting = waiting.or(Some(key_set)),
            }
        }
        match waiting {
            Some(key_set) => Verification::AwaitKeys(key_set),
            None => Verification::Denied(nearest.unwrap_or(Denial::IssuerUnknown)),
        }
    }
}

//! The look at one token: whose it is, whether its signature and its claims are right, and whether that
//! is known already.

use std::{borrow::Cow, sync::Arc, time::Duration};

use crate::{
    claims::ClaimRules,
    denial::Denial,
    identity::Identity,
    key_ring::{KeyRing, KeySetId, KeysAtHand, StatusAtHand},
    policy::{Check, Policy, Provider},
    revoked::RevokedSessions,
    status_list::Reference,
    token::{MAX_TOKEN_BYTES, UnverifiedToken},
    verified_tokens::{Validity, VerifiedTokens},
};

/// What a token is told that cannot wait for keys, or no longer.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a token does not pass, or not yet.
pub(crate) enum Obstacle {
    Failed(Denial),
    Await(KeySetId),
}

/// Looks at the tokens of one request, at one time.
pub(crate) struct Inspection<'p, 'g, 't> {
    pub(crate) policy: &'p Policy,
    pub(crate) keys: &'g KeyRing,
    pub(crate) verified: &'g mut VerifiedTokens<Arc<Identity>>,
    pub(crate) revoked: &'g RevokedSessions,
    pub(crate) now: Duration,
    /// Whether there is time to fetch keys first.
    pub(crate) may_wait: bool,
    /// The tokens that were parsed: several providers may look at the same one.
    parsed: Vec<Parsed<'t>>,
}

type Parsed<'t> = (&'t [u8], Result<UnverifiedToken<'t>, Denial>);

impl<'p, 'g, 't> Inspection<'p, 'g, 't> {
    pub(crate) fn new(
        policy: &'p Policy,
        keys: &'g KeyRing,
        verified: &'g mut VerifiedTokens<Arc<Identity>>,
        revoked: &'g RevokedSessions,
        now: Duration,
    ) -> Self {
        Self { policy, keys, verified, revoked, now, may_wait: false, parsed: Vec::new() }
    }

    /// Whom the token of this text speaks for, if it is the provider's, passes `check`, and its
    /// session has not been revoked.
    pub(crate) fn identity(
        &mut self,
        check: &Check,
        provider: &Provider,
        domain: Option<&str>,
        text: &'t [u8],
    ) -> Result<Arc<Identity>, Obstacle> {
        let identity = match self.known(check, domain, text) {
            Some(identity) => identity,
            None => self.verify(check, provider, domain, text)?,
        };
        // Known or not: the session may have been revoked since.
        if let Some(session) = &identity.session
            && self.revoked.holds(check.provider, session, self.now)
        {
            return Err(Obstacle::Failed(Denial::TokenRevoked));
        }
        if let Some(status) = &identity.status {
            self.check_status(check, domain, status)?;
        }
        Ok(identity)
    }

    /// Whether the issuer has revoked the token, as far as its lists say.
    fn check_status(
        &self,
        check: &Check,
        domain: Option<&str>,
        status: &Reference,
    ) -> Result<(), Obstacle> {
        let denial = match self.keys.status_at_hand(check.provider, domain, status, self.now) {
            StatusAtHand::Valid => return Ok(()),
            StatusAtHand::Await { .. } if self.may_wait => {
                let status_list = status.list.as_ref().map(|(uri, _)| uri.clone());
                return Err(Obstacle::Await(KeySetId { status_list, ..key_set(check, domain) }));
            }
            StatusAtHand::Stale | StatusAtHand::Await { may_be_stale: true } => {
                self.keys.count_stale_status();
                return Ok(());
            }
            StatusAtHand::Revoked => Denial::TokenRevoked,
            StatusAtHand::TooOld => Denial::TokenNotBefore,
            StatusAtHand::Await { .. } => Denial::StatusUnavailable { retry_after: RETRY_AFTER },
            StatusAtHand::Unavailable { retry_after } => Denial::StatusUnavailable { retry_after },
        };
        Err(Obstacle::Failed(denial))
    }

    fn known(&mut self, check: &Check, domain: Option<&str>, text: &[u8]) -> Option<Arc<Identity>> {
        let version = self.keys.version_at_hand(check.provider, domain, self.now)?;
        let identity = self.verified.lookup(check.id, text, version, self.now)?;
        (identity.domain.as_deref() == domain).then_some(identity)
    }

    fn verify(
        &mut self,
        check: &Check,
        provider: &Provider,
        domain: Option<&str>,
        text: &'t [u8],
    ) -> Result<Arc<Identity>, Obstacle> {
        self.parse(text);
        let rules = rules(check, provider, domain);
        let issuer = rules.issuer.as_deref();
        let token = token_of(&self.parsed, text, issuer).map_err(Obstacle::Failed)?;
        if !provider.algorithms.contains(&token.algorithm()) {
            return Err(Obstacle::Failed(Denial::AlgorithmNotAllowed));
        }
        let at_hand = self.keys.at_hand(check.provider, domain, token.key_id(), self.now);
        let (keys, version) = match at_hand {
            KeysAtHand::Ready { keys, version } => (keys, version),
            KeysAtHand::Await if self.may_wait => {
                return Err(Obstacle::Await(key_set(check, domain)));
            }
            KeysAtHand::Await => {
                let denial = Denial::KeysUnavailable { retry_after: RETRY_AFTER };
                return Err(Obstacle::Failed(denial));
            }
            KeysAtHand::Unavailable { retry_after } => {
                return Err(Obstacle::Failed(Denial::KeysUnavailable { retry_after }));
            }
        };
        let verified = token
            .verify_by(self.keys.signatures(), keys)
            .and_then(|signed| signed.check(&rules, self.now))
            .map_err(Obstacle::Failed)?;
        let status = Reference::of_token(provider, domain, verified.claims());
        let status = status.map_err(Obstacle::Failed)?;
        let number = self.verified.next_number();
        let provider_of = (check.provider, provider);
        let identity = Identity::new(self.policy, number, provider_of, domain, &verified, status);
        let identity = Arc::new(identity);
        if text.len() <= provider.max_cached_token_bytes {
            let ends = verified.claims().ends(&rules).unwrap_or(Duration::MAX);
            let validity = Validity { version, verified_at: self.now, ends };
            let (value, bytes) = (Arc::clone(&identity), identity.bytes());
            self.verified.insert(check.id, text, validity, value, bytes);
        }
        Ok(identity)
    }

    /// What the token of this text says, checked by nobody.
    pub(crate) fn unverified(
        &mut self,
        provider: &Provider,
        domain: Option<&str>,
        text: &'t [u8],
    ) -> Option<Identity> {
        self.parse(text);
        let issuer = provider.issuer(domain);
        let token = token_of(&self.parsed, text, issuer.as_deref()).ok()?;
        let claimed = token.dangerous_assume_verified();
        Some(Identity::unverified(provider, domain, &claimed))
    }

    fn parse(&mut self, text: &'t [u8]) {
        if !self.parsed.iter().any(|(parsed, _)| *parsed == text) {
            self.parsed.push((text, UnverifiedToken::parse(text, MAX_TOKEN_BYTES)));
        }
    }
}

/// The parsed token of this text, if it names `issuer`.
fn token_of<'p, 't>(
    parsed: &'p [Parsed<'t>],
    text: &[u8],
    issuer: Option<&str>,
) -> Result<&'p UnverifiedToken<'t>, Denial> {
    match parsed.iter().find(|(parsed, _)| *parsed == text) {
        Some((_, Ok(token))) if issuer.is_none() || token.issuer() == issuer => Ok(token),
        Some((_, Err(denial))) => Err(denial.clone()),
        _ => Err(Denial::IssuerUnknown),
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

/// Of two denials the one whose token came nearer to being accepted; the earlier one of equals.
pub(crate) fn nearer(earlier: Option<Denial>, later: Denial) -> Denial {
    match earlier {
        Some(denial) if denial.progress() >= later.progress() => denial,
        _ => later,
    }
}

fn key_set(check: &Check, domain: Option<&str>) -> KeySetId {
    KeySetId::new(check.provider, domain)
}

//! What is known of each token, and so what the gate has to say to it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::knowledge::{KeyStanding, Knowledge};
use super::{API, AUDIT, EXPIRY_MARGIN, SHOP, VAULT};
use crate::{Failure, claims_of, header_of};

/// One login, over all of its tokens.
#[derive(Debug, Default)]
pub(super) struct Session {
    ended: AtomicBool,
}

impl Session {
    /// It is being ended, or is: by logout, or by its user's end.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }
}

/// A token that the issuer has made.
#[derive(Debug)]
pub(super) struct Specimen {
    pub(super) token: String,
    pub(super) domain: &'static str,
    /// Its `sub`.
    pub(super) subject: String,
    pub(super) key_id: String,
    /// Its `exp`, since the Unix epoch.
    expiration: Duration,
    session: Arc<Session>,
}

/// How a token is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Where it belongs.
    AsItIs,
    /// Where its issuer is right and its audience is not.
    WrongAudience,
    /// Where the tokens of another domain are asked for.
    OtherDomain,
    /// With something changed, or signed by someone else.
    Forged,
}

/// What a token is when it is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Valid,
    Expired,
    Forged,
    WrongAudience,
    OtherDomain,
    WithdrawnKey,
    Revoked,
    /// It expires within the margin, or did.
    AboutToExpire,
    /// Its session has ended; the gate is not told of sessions, so it passes until it expires.
    RevokedUnexpired,
    /// Its key is not published for long enough, of the time that the issuer was up.
    FreshKey,
    /// The same of its key's withdrawal.
    FreshWithdrawal,
    /// It was one of these when the request was sent, and another when the answer came.
    Changed,
}

/// What the gate has to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Pass,
    Denial,
    /// Either is right.
    Either,
}

impl Class {
    /// Those for which only one answer is right.
    pub(super) const JUDGED: [Self; 7] = [
        Self::Valid,
        Self::Expired,
        Self::Forged,
        Self::WrongAudience,
        Self::OtherDomain,
        Self::WithdrawnKey,
        Self::Revoked,
    ];

    pub(super) fn expected(self) -> Expected {
        match self {
            Self::Valid => Expected::Pass,
            Self::Expired
            | Self::Forged
            | Self::WrongAudience
            | Self::OtherDomain
            | Self::WithdrawnKey
            | Self::Revoked => Expected::Denial,
            Self::AboutToExpire
            | Self::RevokedUnexpired
            | Self::FreshKey
            | Self::FreshWithdrawal
            | Self::Changed => Expected::Either,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Valid => "valid",
            Self::Expired => "expired",
            Self::Forged => "forged signature",
            Self::WrongAudience => "wrong audience",
            Self::OtherDomain => "other domain's key",
            Self::WithdrawnKey => "withdrawn key",
            Self::Revoked => "revoked, expired since",
            Self::AboutToExpire => "expires within 1 s",
            Self::RevokedUnexpired => "revoked, not expired yet",
            Self::FreshKey => "key could not be learnt yet",
            Self::FreshWithdrawal => "withdrawal could not be learnt yet",
            Self::Changed => "changed while it was on its way",
        })
    }
}

impl Specimen {
    /// Reads what a token says of itself; it comes from the issuer.
    pub(super) fn read(
        token: String,
        domain: &'static str,
        session: Arc<Session>,
    ) -> Result<Self, Failure> {
        let (header, claims) = (header_of(&token), claims_of(&token));
        let text = |value: &serde_json::Value, name: &str| {
            value.get(name).and_then(serde_json::Value::as_str).map(str::to_owned)
        };
        let read = || {
            let expiration = Duration::from_secs(claims.get("exp")?.as_u64()?);
            Some((text(&claims, "sub")?, text(&header, "kid")?, expiration))
        };
        let (subject, key_id, expiration) =
            read().ok_or_else(|| Failure::new("the issuer's token lacks `sub`, `kid` or `exp`"))?;
        Ok(Self { token, domain, subject, key_id, expiration, session })
    }

    /// The path that it is presented at.
    pub(super) fn path(&self, manner: Manner) -> &'static str {
        let (own, other) = if self.domain == SHOP { (API, VAULT) } else { (VAULT, API) };
        match manner {
            Manner::AsItIs | Manner::Forged => own,
            Manner::WrongAudience => AUDIT,
            Manner::OtherDomain => other,
        }
    }

    /// What it is at this moment, used like that.
    pub(super) fn class(&self, manner: Manner, knowledge: &Knowledge, now: Duration) -> Class {
        match manner {
            Manner::WrongAudience => Class::WrongAudience,
            Manner::OtherDomain => Class::OtherDomain,
            Manner::Forged => Class::Forged,
            Manner::AsItIs => self.class_as_it_is(knowledge, now),
        }
    }

    fn class_as_it_is(&self, knowledge: &Knowledge, now: Duration) -> Class {
        let ended = self.session.has_ended();
        if now >= self.expiration + EXPIRY_MARGIN {
            return if ended { Class::Revoked } else { Class::Expired };
        }
        let standing = knowledge.standing(&self.key_id, now);
        match standing {
            KeyStanding::Withdrawn => Class::WithdrawnKey,
            KeyStanding::BeingWithdrawn => Class::FreshWithdrawal,
            _ if now + EXPIRY_MARGIN > self.expiration => Class::AboutToExpire,
            _ if ended => Class::RevokedUnexpired,
            KeyStanding::Fresh => Class::FreshKey,
            KeyStanding::Known => Class::Valid,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base64url;
    use crate::soak::LEARNING_TIME;

    fn specimen(session: &Arc<Session>) -> Specimen {
        let header = base64url(json!({ "alg": "ES256", "kid": "a" }).to_string());
        let claims = base64url(json!({ "sub": "ada", "exp": 1000 }).to_string());
        Specimen::read(format!("{header}.{claims}.x"), SHOP, Arc::clone(session)).unwrap()
    }

    #[test]
    fn a_token_is_valid_from_when_its_key_is_known_until_shortly_before_its_end() {
        let session = Arc::default();
        let specimen = specimen(&session);
        let knowledge = Knowledge::default();
        let start = Duration::from_secs(900);
        knowledge.issuer_answers(start);
        knowledge.published(SHOP, "a", start);
        let class = |milliseconds: u64| {
            let now = Duration::from_millis(milliseconds);
            specimen.class(Manner::AsItIs, &knowledge, now)
        };
        let known = 900_000 + u64::try_from(LEARNING_TIME.as_millis()).unwrap();
        assert_eq!(class(known - 1), Class::FreshKey);
        assert_eq!(class(known), Class::Valid);
        assert_eq!((class(999_000), class(999_001)), (Class::Valid, Class::AboutToExpire));
        assert_eq!((class(1_000_999), class(1_001_000)), (Class::AboutToExpire, Class::Expired));
        session.end();
        assert_eq!((class(999_000), class(1_001_000)), (Class::RevokedUnexpired, Class::Revoked));
        let now = Duration::from_secs(950);
        assert_eq!(specimen.class(Manner::Forged, &knowledge, now), Class::Forged);
        assert_eq!(specimen.path(Manner::OtherDomain), VAULT);
    }

    #[test]
    fn only_a_valid_token_has_to_pass() {
        for class in Class::JUDGED {
            let expected = if class == Class::Valid { Expected::Pass } else { Expected::Denial };
            assert_eq!(class.expected(), expected, "{class}");
        }
    }
}

//! What the issuer does for its users: login, refresh, status, logout.

mod contacts;
mod edge_keys;
mod login;
mod readiness;
mod refresh;
mod status_list;

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

pub(crate) use self::edge_keys::{EdgeKeys, EdgeRefusal};
use self::{contacts::WrittenContacts, readiness::Readiness};
use crate::{
    administration::Ports,
    clock::Timestamp,
    domain::{Domain, DomainName},
    edge::EdgeCounts,
    issuer_url::IssuerUrl,
    key::KeyError,
    key_set::{KeySet, Publication},
    password::{PasswordChecks, PasswordError},
    session::{EndReason, RefreshToken, Session},
    status_list::Shelf,
    store::StoreError,
    token::{IssuedToken, mint},
    verification::{self, Claimed, OwnToken},
};

/// For how long [`Vault::latest_key_set`](crate::Vault::latest_key_set) may repeat itself.
const LATEST_KEY_SET_PAUSE: Duration = Duration::from_secs(1);

/// The login service for all domains.
pub struct Issuer {
    ports: Ports,
    url: IssuerUrl,
    passwords: PasswordChecks,
    readiness: Readiness,
    contacts: WrittenContacts,
    edge_counts: EdgeCounts,
    lists: Shelf,
}

/// What `/status` says of a token whose signature is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenStatus {
    /// Whether it is unexpired and its session alive.
    pub valid: bool,
    /// Whether its time is over.
    pub expired: bool,
    /// Its `exp`.
    pub expires_at: Timestamp,
}

/// Whom a valid token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The domain.
    pub domain: DomainName,
    /// The user's stable id, the token's `sub`.
    pub subject: String,
}

/// Why the issuer refuses. The texts are part of the API.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No such domain, or a token of another issuer.
    #[error("Invalid domain")]
    Domain,
    /// The user is unknown or disabled or the password wrong; which one stays unsaid.
    #[error("Invalid username or password")]
    Credentials,
    /// Not a token of the domain that it names.
    #[error("Invalid token")]
    Token,
    /// The token's time is over.
    #[error("Token expired")]
    TokenExpired,
    /// The token's session is unknown or has ended.
    #[error("Invalid session")]
    Session,
    /// The token's session is past its age.
    #[error("Session expired")]
    SessionExpired,
    /// The refresh token was used before.
    #[error("Invalid refresh token")]
    RefreshToken,
    /// Too many wrong passwords, or right ones of nobody.
    #[error("Too many attempts")]
    TooManyAttempts {
        /// Seconds until the next one is looked at.
        seconds_left: u64,
    },
    /// Too many logins at once; worth another try.
    #[error("Too many requests")]
    Overloaded,
    /// It is not the client's fault.
    #[error("Internal error")]
    Failed(#[from] Failure),
}

/// What failed inside the issuer: for logs, not for clients.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The storage.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The storage, when it was last tried.
    #[error(transparent)]
    NotReady(Arc<StoreError>),
    /// A signing key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Password hashing.
    #[error(transparent)]
    Password(PasswordError),
    /// Writing the key set.
    #[error("publishing the key set failed")]
    Publication,
}

impl Failure {
    /// Whether the same request may succeed in a moment.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Store(StoreError::Busy(_)))
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<KeyError> for Refusal {
    fn from(error: KeyError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<PasswordError> for Refusal {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Overloaded => Self::Overloaded,
            error => Self::Failed(Failure::Password(error)),
        }
    }
}

/// A token that was recognized, and all that it was recognized with.
struct Presented {
    domain: Domain,
    key_set: KeySet,
    token: OwnToken,
    now: Timestamp,
}

impl Issuer {
    /// An issuer on `ports`, known by `url`.
    #[must_use]
    pub fn new(ports: Ports, url: IssuerUrl) -> Self {
        Self {
            ports,
            url,
            passwords: PasswordChecks::new(),
            readiness: Readiness::default(),
            contacts: WrittenContacts::default(),
            edge_counts: EdgeCounts::default(),
            lists: Shelf::default(),
        }
    }

    /// How a token of ours stands.
    ///
    /// # Errors
    ///
    /// [`Refusal::Token`], [`Refusal::Domain`] or [`Refusal::Failed`].
    pub async fn status(&self, token: &[u8]) -> Result<TokenStatus, Refusal> {
        let presented = self.recognize(token).await?;
        let alive = match self.living_session(&presented).await {
            Ok(_) => true,
            Err(Refusal::Session | Refusal::SessionExpired) => false,
            Err(refusal) => return Err(refusal),
        };
        let OwnToken { expired, expires_at, .. } = presented.token;
        Ok(TokenStatus { valid: alive && !expired, expired, expires_at })
    }

    /// Whom a token speaks for, if it is valid and its session alive.
    ///
    /// # Errors
    ///
    /// [`Refusal::Token`], [`Refusal::Domain`], [`Refusal::TokenExpired`],
    /// [`Refusal::Session`], [`Refusal::SessionExpired`] or [`Refusal::Failed`].
    pub async fn authorize(&self, token: &[u8]) -> Result<Identity, Refusal> {
        let presented = self.recognize(token).await?;
        if presented.token.expired {
            return Err(Refusal::TokenExpired);
        }
        let session = self.living_session(&presented).await?;
        Ok(Identity { domain: session.domain, subject: session.user_id })
    }

    /// Ends the session of a token, expired or not.
    ///
    /// # Errors
    ///
    /// [`Refusal::Token`], [`Refusal::Domain`], [`Refusal::Session`],
    /// [`Refusal::SessionExpired`] or [`Refusal::Failed`].
    pub async fn logout(&self, token: &[u8]) -> Result<(), Refusal> {
        let presented = self.recognize(token).await?;
        let session = self.living_session(&presented).await?;
        let ended =
            self.ports.store.end_session(&session, EndReason::Logout, presented.now).await?;
        if ended { Ok(()) } else { Err(Refusal::Session) }
    }

    /// The key set that a domain publishes now; `None` for an unknown domain.
    ///
    /// # Errors
    ///
    /// A storage failure.
    pub async fn publication(&self, domain: &str) -> Result<Option<Publication>, Failure> {
        let Ok(name) = domain.parse() else {
            return Ok(None);
        };
        let Some((domain, key_set)) = self.domain(&name).await? else {
            return Ok(None);
        };
        let published = key_set.publish(domain.settings.jwks_max_age, self.ports.clock.now());
        published.map(Some).map_err(|_| Failure::Publication)
    }

    pub(crate) fn ports(&self) -> &Ports {
        &self.ports
    }

    pub(crate) fn edge_counts(&self) -> &EdgeCounts {
        &self.edge_counts
    }

    #[cfg(test)]
    pub(crate) fn password_checks(&self) -> &PasswordChecks {
        &self.passwords
    }

    async fn domain(&self, name: &DomainName) -> Result<Option<(Domain, KeySet)>, StoreError> {
        let Some(domain) = self.ports.store.domain(name).await? else {
            return Ok(None);
        };
        // Read at every use: another process may have rotated the keys.
        let key_set = self.ports.vault.key_set(&domain.key_set).await?;
        let mut key_set = key_set.ok_or(StoreError::Damaged("key set"))?;
        // One that the domain has left behind may hold a key that was withdrawn.
        let is_old = |key_set: &KeySet| key_set.generation < domain.least_generation;
        if is_old(&key_set) {
            key_set = self.latest_key_set(&domain).await?;
        }
        if is_old(&key_set) {
            // What counts as the latest may have been read a moment too early.
            sleep(LATEST_KEY_SET_PAUSE).await;
            key_set = self.latest_key_set(&domain).await?;
        }
        if is_old(&key_set) {
            return Err(StoreError::Busy("the key set that was read is an old one".into()));
        }
        Ok(Some((domain, key_set)))
    }

    async fn latest_key_set(&self, domain: &Domain) -> Result<KeySet, StoreError> {
        let latest = self.ports.vault.latest_key_set(&domain.key_set).await?;
        latest.ok_or(StoreError::Damaged("key set"))
    }

    fn mint(
        &self,
        domain: &Domain,
        key_set: &KeySet,
        session: &Session,
        refresh: &RefreshToken,
    ) -> Result<IssuedToken, KeyError> {
        let issuer = self.url.of_domain(&domain.name);
        mint(&issuer, domain, key_set, session, refresh, self.ports.clock.now())
    }

    async fn recognize(&self, token: &[u8]) -> Result<Presented, Refusal> {
        let Claimed { issuer, key_id } = verification::claimed(token).ok_or(Refusal::Token)?;
        let name = self.url.domain_of(&issuer).ok_or(Refusal::Domain)?;
        let (domain, mut key_set) = self.domain(&name).await?.ok_or(Refusal::Domain)?;
        if !key_set.holds(&key_id) {
            // It may have come with a rotation that this process does not know of yet.
            let latest = self.ports.vault.latest_key_set(&domain.key_set).await?;
            key_set =
                latest.filter(|latest| latest.generation > key_set.generation).unwrap_or(key_set);
        }
        let now = self.ports.clock.now();
        let (issuer, audience) = (self.url.of_domain(&name), domain.settings.audience.clone());
        let token = verification::recognize(token, &key_set, issuer, audience, now);
        Ok(Presented { token: token.ok_or(Refusal::Token)?, domain, key_set, now })
    }

    async fn living_session(&self, presented: &Presented) -> Result<Session, Refusal> {
        let Presented { domain, token, now, .. } = presented;
        let Ok(username) = token.username.parse() else {
            return Err(Refusal::Session);
        };
        let (store, subject) = (&self.ports.store, &token.subject);
        let (session, not_before) =
            store.session_and_not_before(&domain.name, &username, &token.session, subject).await?;
        let session = session.filter(|session| session.user_id == token.subject);
        match session {
            Some(session) if session.created_at < not_before => Err(Refusal::Session),
            Some(session) if session.is_alive(*now) => Ok(session),
            Some(session) if session.ended.is_none() => Err(Refusal::SessionExpired),
            _ => Err(Refusal::Session),
        }
    }
}

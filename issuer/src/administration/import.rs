//! Taking over domains and users that another system had.

use super::{AdministrationError, Ports, USER_ID_BYTES, off_thread};
use crate::{
    clock::Timestamp,
    domain::{Domain, DomainError, DomainName, DomainSettings},
    key::SigningAlgorithm,
    key_set::KeySet,
    secret::{SecretBytes, random_id},
    store::StoreError,
    user::{PasswordHash, User, Username},
};

/// A domain of another system: what is not said is for us to choose, and compared with nothing.
#[derive(Debug, Clone)]
pub struct ImportedDomain {
    /// Its name here.
    pub name: DomainName,
    /// What it is to sign with: if not said, HS256 with a secret, else ES256.
    pub algorithm: Option<SigningAlgorithm>,
    /// [`DomainSettings::audience`]: if not said, the name.
    pub audience: Option<String>,
    /// [`DomainSettings::token_lifetime`].
    pub token_lifetime: Option<u64>,
    /// [`DomainSettings::session_lifetime`].
    pub session_lifetime: Option<u64>,
    /// [`DomainSettings::jwks_max_age`].
    pub jwks_max_age: Option<u64>,
    /// The secret that it has signed HS256 with: at least 32 bytes.
    pub secret: Option<SecretBytes>,
}

/// A user of another system: what is not said is for us to choose, and compared with nothing.
#[derive(Debug, Clone)]
pub struct ImportedUser {
    /// What tokens have named the user by: if not said, random.
    pub id: Option<String>,
    /// The domain that the user belongs to.
    pub domain: DomainName,
    /// Unique within the domain.
    pub username: Username,
    /// What the password is checked against until it is made anew.
    pub password_hash: PasswordHash,
    /// When the user was created: if not said, now.
    pub created_at: Option<Timestamp>,
    /// Whether the user can log in: if not said, yes.
    pub state: Option<UserState>,
}

/// Whether a user can log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserState {
    /// Yes.
    Active,
    /// No, since then.
    DisabledSince(Timestamp),
}

/// What became of something imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imported {
    /// It is there now, or would be.
    Created,
    /// It was there.
    Unchanged,
    /// There is one of that name, which was left alone: why.
    Different(&'static str),
}

/// Whether an import writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportMode {
    /// It writes.
    Write,
    /// It only looks what it would do.
    DryRun,
}

impl ImportedDomain {
    /// A domain of which only the name is said.
    #[must_use]
    pub fn named(name: DomainName) -> Self {
        Self {
            name,
            algorithm: None,
            audience: None,
            token_lifetime: None,
            session_lifetime: None,
            jwks_max_age: None,
            secret: None,
        }
    }

    /// Its settings, checked.
    ///
    /// # Errors
    ///
    /// A [`DomainError`] that names the first setting out of its bounds.
    pub fn settings(&self) -> Result<DomainSettings, DomainError> {
        let settings = DomainSettings {
            audience: self.audience.clone().unwrap_or_else(|| self.name.to_string()),
            token_lifetime: self.token_lifetime.unwrap_or(DomainSettings::TOKEN_LIFETIME),
            session_lifetime: self.session_lifetime.unwrap_or(DomainSettings::SESSION_LIFETIME),
            jwks_max_age: self.jwks_max_age.unwrap_or(DomainSettings::JWKS_MAX_AGE),
        };
        settings.validate().map(|()| settings)
    }

    fn first_keys(&self, now: Timestamp) -> Result<KeySet, AdministrationError> {
        Ok(match &self.secret {
            Some(secret) => KeySet::of_secret(secret.clone(), now)?,
            None => KeySet::generate(self.algorithm.unwrap_or(SigningAlgorithm::Es256), now)?,
        })
    }

    /// The first thing said that is otherwise in what is there.
    fn difference(&self, settings: &DomainSettings, key_set: &KeySet) -> Option<&'static str> {
        let differs = |said: Option<u64>, is: u64| said.is_some_and(|said| said != is);
        let audience = self.audience.as_ref();
        let secret = self.secret.as_ref();
        [
            (
                self.algorithm.is_some_and(|said| said != key_set.algorithm()),
                "it signs with another algorithm",
            ),
            (
                secret.is_some_and(|said| !key_set.holds_secret(said)),
                "it does not have that secret",
            ),
            (audience.is_some_and(|said| *said != settings.audience), "it has another audience"),
            (
                differs(self.token_lifetime, settings.token_lifetime),
                "it has another token lifetime",
            ),
            (
                differs(self.session_lifetime, settings.session_lifetime),
                "it has another session lifetime",
            ),
            (differs(self.jwks_max_age, settings.jwks_max_age), "it has another JWKS max-age"),
        ]
        .into_iter()
        .find_map(|(differs, what)| differs.then_some(what))
    }
}

impl ImportedUser {
    fn difference(&self, stored: &User) -> Option<&'static str> {
        let hash = if stored.password_hash.is_present() && !self.password_hash.is_present() {
            "it has another password hash, as after a login"
        } else {
            "it has another password hash"
        };
        let differs = |said| (said == UserState::Active) == stored.disabled_at.is_some();
        [
            (self.id.as_ref().is_some_and(|said| *said != stored.id), "it has another id"),
            (
                self.state.is_some_and(differs),
                "it is disabled here and not there, or there and not here",
            ),
            (
                self.created_at.is_some_and(|said| said != stored.created_at),
                "it has another time of creation",
            ),
            (self.password_hash != stored.password_hash, hash),
        ]
        .into_iter()
        .find_map(|(differs, what)| differs.then_some(what))
    }

    fn into_user(self, now: Timestamp) -> User {
        User {
            id: self.id.unwrap_or_else(|| random_id(USER_ID_BYTES)),
            domain: self.domain,
            username: self.username,
            password_hash: self.password_hash,
            created_at: self.created_at.unwrap_or(now),
            disabled_at: match self.state {
                Some(UserState::DisabledSince(moment)) => Some(moment),
                Some(UserState::Active) | None => None,
            },
        }
    }
}

impl Ports {
    /// Creates a domain as another system had it, unless there is one of that name.
    ///
    /// # Errors
    ///
    /// As [`Ports::create_domain`]; and [`AdministrationError::OtherKeysExist`] when the vault has
    /// keys for the name that do not hold the secret.
    pub async fn import_domain(
        &self,
        imported: &ImportedDomain,
        mode: ImportMode,
    ) -> Result<Imported, AdministrationError> {
        let settings = imported.settings()?;
        if let Some(stored) = self.store.domain(&imported.name).await? {
            return self.compare_domain(imported, &stored).await;
        }
        if mode == ImportMode::DryRun {
            return Ok(Imported::Created);
        }
        let (name, now) = (imported.name.clone(), self.clock.now());
        let key_set = self.vault.id_for(&name);
        let domain = Domain { name, key_set, settings, created_at: now, least_generation: 1 };
        let making = imported.clone();
        let fresh = off_thread(move || making.first_keys(now)).await??;
        let kept = self.first_key_set(&domain, fresh).await?;
        if imported.secret.as_ref().is_some_and(|secret| !kept.holds_secret(secret)) {
            return Err(AdministrationError::OtherKeysExist(domain.name));
        }
        match self.store.create_domain(&domain).await {
            Ok(()) => Ok(Imported::Created),
            Err(StoreError::AlreadyExists) => {
                let stored = self.domain(&imported.name).await?;
                self.compare_domain(imported, &stored).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Creates a user as another system had them, unless there is one of that name.
    ///
    /// # Errors
    ///
    /// A storage failure; an unknown domain is one.
    pub async fn import_user(
        &self,
        imported: ImportedUser,
        mode: ImportMode,
    ) -> Result<Imported, AdministrationError> {
        let stored = self.store.user(&imported.domain, &imported.username).await?;
        match (stored, mode) {
            (Some(stored), _) => return Ok(compared(imported.difference(&stored))),
            (None, ImportMode::DryRun) => return Ok(Imported::Created),
            (None, ImportMode::Write) => {}
        }
        let user = imported.clone().into_user(self.clock.now());
        match self.store.create_user(&user).await {
            Ok(()) => Ok(Imported::Created),
            Err(StoreError::AlreadyExists) => {
                let stored = self.store.user(&user.domain, &user.username).await?;
                let difference = match stored {
                    Some(stored) => imported.difference(&stored),
                    None => Some("its id is another user's"),
                };
                Ok(compared(difference))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn compare_domain(
        &self,
        imported: &ImportedDomain,
        stored: &Domain,
    ) -> Result<Imported, AdministrationError> {
        let (key_set, _) = self.key_set_of(stored).await?;
        Ok(compared(imported.difference(&stored.settings, &key_set)))
    }
}

fn compared(difference: Option<&'static str>) -> Imported {
    difference.map_or(Imported::Unchanged, Imported::Different)
}

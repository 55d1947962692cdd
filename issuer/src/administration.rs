//! What an operator does: domains, users and key rotation.

mod edges;
mod import;

use std::sync::Arc;

use tokio::task::spawn_blocking;

pub use self::{
    edges::{Enrolment, KeysStatus},
    import::{ImportMode, Imported, ImportedDomain, ImportedUser, UserState},
};
use crate::{
    clock::{Clock, Timestamp},
    domain::{Domain, DomainError, DomainName, DomainSettings},
    edge::EdgeName,
    key::{KeyError, SigningAlgorithm},
    key_set::{KeySet, Rotation, RotationError},
    password::{PasswordError, hash_password},
    secret::{SecretText, random_id},
    store::{Store, StoreError},
    user::{User, Username},
    vault::Vault,
};

const USER_ID_BYTES: usize = 16;
/// No write takes longer: it fails before.
const LONGEST_WRITE_SECONDS: u64 = 64;

/// The ports that the issuer stands on.
#[derive(Clone)]
pub struct Ports {
    /// Where domains, users and sessions are kept.
    pub store: Arc<dyn Store>,
    /// Where key sets are kept.
    pub vault: Arc<dyn Vault>,
    /// Where the time is read.
    pub clock: Arc<dyn Clock>,
}

/// Why an operator's request is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdministrationError {
    /// The domain's name or settings are out of bounds.
    #[error(transparent)]
    Domain(#[from] DomainError),
    /// There is a domain of that name.
    #[error("domain `{0}` already exists")]
    DomainExists(DomainName),
    /// The vault holds keys for that name already, which sign otherwise than was asked for.
    #[error("there are keys for domain `{0}` already, and they sign {1}: create it with those")]
    KeysExist(DomainName, SigningAlgorithm),
    /// The vault holds keys for that name already, and not the secret that was to be taken over.
    #[error("there are keys for domain `{0}` already, and its secret is not among them")]
    OtherKeysExist(DomainName),
    /// There is no domain of that name.
    #[error("unknown domain `{0}`")]
    UnknownDomain(DomainName),
    /// There is a user of that name in the domain.
    #[error("user `{1}` already exists in domain `{0}`")]
    UserExists(DomainName, Username),
    /// There is no user of that name in the domain.
    #[error("unknown user `{1}` in domain `{0}`")]
    UnknownUser(DomainName, Username),
    /// The password is refused.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// A key could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The rotation is refused.
    #[error(transparent)]
    Rotation(#[from] RotationError),
    /// The rotation is refused, and there are edges that could have made it possible.
    #[error(
        "the next key is not known everywhere yet: {late}; wait for them, or `{seconds_left}` \
         seconds, or use `--force`"
    )]
    NotHeldYet {
        /// Who has not shown that it holds the next key, and how it stands.
        late: String,
        /// Seconds until the last cache without it has run out.
        seconds_left: u64,
    },
    /// There is an edge of that name.
    #[error("edge `{0}` already exists")]
    EdgeExists(EdgeName),
    /// There is no edge of that name.
    #[error("unknown edge `{0}`")]
    UnknownEdge(EdgeName),
    /// An edge is for nothing.
    #[error("an edge must be enrolled for at least one domain")]
    NoDomain,
    /// Another rotation of the same key set came first.
    #[error("the keys of domain `{0}` were rotated by someone else at the same time")]
    RotatedMeanwhile(DomainName),
    /// The storage failed.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for AdministrationError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A domain and the algorithm that its keys say it signs with.
pub type ListedDomain = (Domain, Option<SigningAlgorithm>);

impl Ports {
    /// Creates a domain with its first key set.
    ///
    /// # Errors
    ///
    /// [`AdministrationError`]: settings out of bounds, a taken name, or a storage failure.
    pub async fn create_domain(
        &self,
        name: DomainName,
        algorithm: SigningAlgorithm,
        settings: DomainSettings,
    ) -> Result<(Domain, KeySet), AdministrationError> {
        settings.validate()?;
        let (key_set, now) = (self.vault.id_for(&name), self.clock.now());
        let domain = Domain { name, key_set, settings, created_at: now, least_generation: 1 };
        if self.store.domain(&domain.name).await?.is_some() {
            return Err(AdministrationError::DomainExists(domain.name));
        }
        let key_set = off_thread(move || KeySet::generate(algorithm, now)).await??;
        // The keys come first: a domain without keys could be seen, keys without one cannot.
        let key_set = self.first_key_set(&domain, key_set).await?;
        match self.store.create_domain(&domain).await {
            Ok(()) => Ok((domain, key_set)),
            Err(StoreError::AlreadyExists) => Err(AdministrationError::DomainExists(domain.name)),
            Err(error) => Err(error.into()),
        }
    }

    /// Stores `fresh` as the domain's first key set; or takes over what a creation has left behind
    /// that came no further, or what was made beforehand.
    async fn first_key_set(
        &self,
        domain: &Domain,
        fresh: KeySet,
    ) -> Result<KeySet, AdministrationError> {
        match self.vault.create_key_set(&domain.key_set, &fresh).await {
            Ok(()) => return Ok(fresh),
            Err(StoreError::AlreadyExists) => {}
            Err(error) => return Err(error.into()),
        }
        let found = self.vault.latest_key_set(&domain.key_set).await?;
        let found = found.ok_or(StoreError::Damaged("key set"))?;
        if found.algorithm() == fresh.algorithm() {
            Ok(found)
        } else {
            Err(AdministrationError::KeysExist(domain.name.clone(), found.algorithm()))
        }
    }

    /// The domain of that name.
    ///
    /// # Errors
    ///
    /// An unknown domain or a storage failure.
    pub async fn domain(&self, name: &DomainName) -> Result<Domain, AdministrationError> {
        let domain = self.store.domain(name).await?;
        domain.ok_or_else(|| AdministrationError::UnknownDomain(name.clone()))
    }

    /// All domains, by name.
    ///
    /// # Errors
    ///
    /// A storage failure.
    pub async fn domains(&self) -> Result<Vec<ListedDomain>, AdministrationError> {
        let mut listed = Vec::new();
        for domain in self.store.domains().await? {
            let key_set = self.vault.key_set(&domain.key_set).await?;
            listed.push((domain, key_set.as_ref().map(KeySet::algorithm)));
        }
        Ok(listed)
    }

    /// Creates a user. Hashing the password takes tens of milliseconds.
    ///
    /// # Errors
    ///
    /// [`AdministrationError`]: an unknown domain, a taken name, a password of a wrong length,
    /// or a storage failure.
    pub async fn create_user(
        &self,
        domain: &DomainName,
        username: Username,
        password: SecretText,
    ) -> Result<User, AdministrationError> {
        self.domain(domain).await?;
        let user = User {
            id: random_id(USER_ID_BYTES),
            domain: domain.clone(),
            username,
            password_hash: off_thread(move || hash_password(&password)).await??,
            created_at: self.clock.now(),
            disabled_at: None,
        };
        match self.store.create_user(&user).await {
            Ok(()) => Ok(user),
            Err(StoreError::AlreadyExists) => {
                Err(AdministrationError::UserExists(user.domain, user.username))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// All users of a domain, by name.
    ///
    /// # Errors
    ///
    /// An unknown domain or a storage failure.
    pub async fn users(&self, domain: &DomainName) -> Result<Vec<User>, AdministrationError> {
        self.domain(domain).await?;
        Ok(self.store.users(domain).await?)
    }

    /// Disables a user and ends all sessions of theirs.
    ///
    /// # Errors
    ///
    /// An unknown domain or user, or a storage failure.
    pub async fn disable_user(
        &self,
        domain: &DomainName,
        username: &Username,
    ) -> Result<(), AdministrationError> {
        self.domain(domain).await?;
        if self.store.disable_user(domain, username, self.clock.now()).await? {
            Ok(())
        } else {
            Err(AdministrationError::UnknownUser(domain.clone(), username.clone()))
        }
    }

    /// Ends all sessions of a user, who may log in again.
    ///
    /// # Errors
    ///
    /// An unknown domain or user, or a storage failure.
    pub async fn end_sessions_of_user(
        &self,
        domain: &DomainName,
        username: &Username,
    ) -> Result<(), AdministrationError> {
        self.domain(domain).await?;
        let user = self.store.user(domain, username).await?;
        let unknown = || AdministrationError::UnknownUser(domain.clone(), username.clone());
        let user = user.ok_or_else(unknown)?;
        self.end_sessions(domain, Some(&user.id)).await
    }

    /// Ends all sessions of a domain, whose users may log in again.
    ///
    /// # Errors
    ///
    /// An unknown domain or a storage failure.
    pub async fn end_sessions_of_domain(
        &self,
        domain: &DomainName,
    ) -> Result<(), AdministrationError> {
        self.domain(domain).await?;
        self.end_sessions(domain, None).await
    }

    /// What was issued in this very second is to end, too, and what was while the storage was at
    /// work: then it is done again, for longer.
    async fn end_sessions(
        &self,
        domain: &DomainName,
        subject: Option<&str>,
    ) -> Result<(), AdministrationError> {
        let mut ahead = 1;
        loop {
            let at = self.clock.now().plus(ahead);
            self.store.raise_not_before(domain, subject, at).await?;
            if self.clock.now() < at {
                return Ok(());
            }
            ahead = (ahead * 2).min(LONGEST_WRITE_SECONDS);
        }
    }

    /// A domain's key set, and the moment it was read at.
    ///
    /// # Errors
    ///
    /// An unknown domain or a storage failure.
    pub async fn key_set(
        &self,
        domain: &DomainName,
    ) -> Result<(KeySet, Timestamp), AdministrationError> {
        let domain = self.domain(domain).await?;
        self.key_set_of(&domain).await
    }

    /// Rotates a domain's keys: see [`KeySet::rotate`]. A [`Rotation::Regular`] need not wait until
    /// the last cache has run out if every enrolled edge has shown that it holds the next key.
    ///
    /// # Errors
    ///
    /// [`AdministrationError`]: an unknown domain, a rotation that comes too soon or second,
    /// or a storage failure.
    pub async fn rotate_keys(
        &self,
        domain: &DomainName,
        rotation: Rotation,
    ) -> Result<KeySet, AdministrationError> {
        let domain = self.domain(domain).await?;
        let (key_set, now) = self.key_set_of(&domain).await?;
        let rotation = self.allowed_by_edges(&domain, &key_set, rotation).await?;
        let Domain { name, key_set: id, settings, .. } = domain;
        let generation = key_set.generation;
        let rotated = off_thread(move || key_set.rotate(&settings, now, rotation)).await??;
        let clock = Arc::clone(&self.clock);
        let stored = match self.vault.replace_key_set(&id, generation, &rotated, clock).await {
            Ok(stored) => stored,
            Err(StoreError::Conflict) => return Err(AdministrationError::RotatedMeanwhile(name)),
            Err(error) => return Err(error.into()),
        };
        // What was withdrawn must not live on in a cache.
        self.store.require_generation(&name, stored.generation).await?;
        Ok(stored)
    }

    async fn key_set_of(
        &self,
        domain: &Domain,
    ) -> Result<(KeySet, Timestamp), AdministrationError> {
        let key_set = self.vault.latest_key_set(&domain.key_set).await?;
        Ok((key_set.ok_or(StoreError::Damaged("key set"))?, self.clock.now()))
    }
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    spawn_blocking(work).await.map_err(StoreError::unavailable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::virtual_time::VirtualClock, sqlite::Sqlite, vault::KeySetId};

    fn ports() -> (tempfile::TempDir, Ports) {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = Arc::new(Sqlite::open(folder.path()).unwrap());
        let clock = Arc::new(VirtualClock::at(1_000_000));
        (folder, Ports { store: sqlite.clone(), vault: sqlite, clock })
    }

    fn settings() -> DomainSettings {
        DomainSettings::sample(600)
    }

    /// A creation that got as far as its keys, or lost to another one.
    #[tokio::test]
    async fn keys_that_no_domain_names_are_in_nobodys_way() {
        let (_folder, ports) = ports();
        let shop: DomainName = "shop".parse().unwrap();
        let orphan = KeySet::generate(SigningAlgorithm::EdDsa, Timestamp(1)).unwrap();
        ports.vault.create_key_set(&KeySetId::random(), &orphan).await.unwrap();
        let created = ports.create_domain(shop.clone(), SigningAlgorithm::Hs256, settings()).await;
        let (key_set, _) = ports.key_set(&shop).await.unwrap();
        assert_eq!(key_set, created.unwrap().1);
        assert_eq!(key_set.algorithm(), SigningAlgorithm::Hs256);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_next_key_counts_as_published_from_when_it_can_be_read() {
        let (folder, mut ports) = ports();
        let clock = Arc::new(VirtualClock::at(1_000_000));
        ports.clock = clock.clone();
        let shop: DomainName = "shop".parse().unwrap();
        ports.create_domain(shop.clone(), SigningAlgorithm::EdDsa, settings()).await.unwrap();
        let other = rusqlite::Connection::open(folder.path().join("postern.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let (rotating, name) = (ports.clone(), shop.clone());
        let rotation =
            tokio::spawn(async move { rotating.rotate_keys(&name, Rotation::Regular).await });
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        clock.advance(7);
        other.execute_batch("COMMIT").unwrap();
        let rotated = rotation.await.unwrap().unwrap();
        assert_eq!(rotated.next.published_at, Timestamp(1_000_007));
        assert_eq!(ports.key_set(&shop).await.unwrap().0, rotated);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_issued_while_sessions_were_being_ended_ends_too() {
        let (folder, mut ports) = ports();
        let clock = Arc::new(VirtualClock::at(1_000_000));
        ports.clock = clock.clone();
        let shop: DomainName = "shop".parse().unwrap();
        ports.create_domain(shop.clone(), SigningAlgorithm::EdDsa, settings()).await.unwrap();
        let other = rusqlite::Connection::open(folder.path().join("postern.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let (ending, name) = (ports.clone(), shop.clone());
        let ended = tokio::spawn(async move { ending.end_sessions_of_domain(&name).await });
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        clock.advance(7);
        other.execute_batch("COMMIT").unwrap();
        ended.await.unwrap().unwrap();
        let not_before = ports.store.not_before_of(&shop, "anyone").await.unwrap();
        assert_eq!(not_before, Timestamp(1_000_009));
    }

    /// Each through connections of its own, as the processes of several operators are.
    #[tokio::test(flavor = "multi_thread")]
    async fn of_concurrent_creations_one_succeeds_and_its_keys_stay() {
        let (folder, ports) = ports();
        for round in 0..5 {
            let name: DomainName = format!("shop-{round}").parse().unwrap();
            let creations: Vec<_> = (0..8)
                .map(|_| (name.clone(), Sqlite::open(folder.path()).unwrap()))
                .map(|(name, sqlite)| {
                    let sqlite = Arc::new(sqlite);
                    let clock = Arc::new(VirtualClock::at(1_000_000));
                    let ports = Ports { store: sqlite.clone(), vault: sqlite, clock };
                    tokio::spawn(async move {
                        ports.create_domain(name, SigningAlgorithm::EdDsa, settings()).await
                    })
                })
                .collect();
            let mut created = Vec::new();
            for creation in creations {
                match creation.await.unwrap() {
                    Ok((domain, key_set)) => created.push((domain, key_set)),
                    Err(error) => assert!(matches!(error, AdministrationError::DomainExists(_))),
                }
            }
            let stored = ports.store.domain(&name).await.unwrap().unwrap();
            assert_eq!(created, [(stored, ports.key_set(&name).await.unwrap().0)]);
        }
    }
}

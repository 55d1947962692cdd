//! The vault in AWS Secrets Manager: a secret for each domain, the key set as its value.

mod cache;
mod document;
mod replacement;
mod secrets;

use std::{sync::Arc, time::Duration};

use self::cache::Cache;
pub(crate) use self::{
    document::Document,
    secrets::{CURRENT, PENDING, Secret, Secrets, Version},
};
use crate::{
    clock::Clock,
    domain::DomainName,
    key_set::KeySet,
    moment::Moment,
    store::StoreError,
    vault::{KeySetId, Vault},
};
use async_trait::async_trait;
use aws_config::SdkConfig;

/// How long a key set that was read may be used before it is read again.
const KEPT: Duration = Duration::from_secs(20);
/// Between reading the time that a new key set counts from and its commit pass this, at most, for
/// writing the version, and the limit of one call for making it the current one.
const WRITING_SECONDS: u64 = 4;
/// Seconds for which a process may go on with a key set that was replaced: [`KEPT`], and what the
/// commit may take. Also what is left for the service itself, whose reads may be behind its writes.
pub(crate) const STALENESS_SECONDS: u64 = 30;
/// For whom an answer must be the latest one, it may still be this old.
const LATEST: Duration = Duration::from_secs(1);

/// The vault in AWS Secrets Manager. The secret `{prefix}{domain}` holds the domain's key set as
/// JSON; its version with the label `AWSCURRENT` is what counts.
///
/// Key sets are kept in memory for 20 seconds. When Secrets Manager does not answer, they are used
/// up to then and no longer.
pub struct SecretsManager {
    secrets: Secrets,
    cache: Cache,
}

impl SecretsManager {
    /// The secrets whose names begin with `prefix`, such as `postern/prod/`, in the account and the
    /// region of `config`.
    #[must_use]
    pub fn new(config: &SdkConfig, prefix: String) -> Self {
        Self { secrets: Secrets::new(config, prefix), cache: Cache::default() }
    }

    /// Has Secrets Manager rotate the keys every `days` days with the rotation function of that
    /// ARN: for the first time not now, but at the next of the times that it then plans.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when Secrets Manager refuses or does not answer.
    pub async fn schedule_rotation(
        &self,
        id: &KeySetId,
        function_arn: &str,
        days: u16,
    ) -> Result<(), StoreError> {
        self.secrets.of(id.as_str()).schedule_rotation(function_arn, days).await
    }

    async fn read(
        &self,
        id: &KeySetId,
        no_older_than: Duration,
    ) -> Result<Option<KeySet>, StoreError> {
        let secret = self.secrets.of(id.as_str());
        let fetch = async || Ok(secret.current().await?.and_then(Version::into_key_set));
        self.cache.read(id, no_older_than, fetch).await
    }

    /// Keeps what a write that began at `since` has stored; or forgets what was known if it failed,
    /// which may have been because something else is stored.
    fn learn(
        &self,
        id: &KeySetId,
        since: Moment,
        written: Result<KeySet, StoreError>,
    ) -> Result<KeySet, StoreError> {
        match &written {
            Ok(key_set) => self.cache.record(id, since, key_set.clone()),
            Err(_) => self.cache.forget(id),
        }
        written
    }
}

#[async_trait]
impl Vault for SecretsManager {
    fn id_for(&self, domain: &DomainName) -> KeySetId {
        KeySetId::stored(domain.as_str().to_owned())
    }

    async fn create_key_set(&self, id: &KeySetId, key_set: &KeySet) -> Result<(), StoreError> {
        let (secret, begun) = (self.secrets.of(id.as_str()), Moment::now());
        let outcome = match secret.create(key_set).await {
            Ok(false) => fill(&secret, key_set).await,
            outcome => outcome.map(drop),
        };
        self.learn(id, begun, outcome.map(|()| key_set.clone())).map(drop)
    }

    async fn key_set(&self, id: &KeySetId) -> Result<Option<KeySet>, StoreError> {
        self.read(id, KEPT).await
    }

    async fn latest_key_set(&self, id: &KeySetId) -> Result<Option<KeySet>, StoreError> {
        self.read(id, LATEST).await
    }

    fn staleness(&self) -> u64 {
        STALENESS_SECONDS
    }

    async fn replace_key_set(
        &self,
        id: &KeySetId,
        generation: u64,
        key_set: &KeySet,
        clock: Arc<dyn Clock>,
    ) -> Result<KeySet, StoreError> {
        let (secret, begun) = (self.secrets.of(id.as_str()), Moment::now());
        let replaced = replace(&secret, generation, key_set, &*clock).await;
        self.learn(id, begun, replaced)
    }
}

/// Puts the first key set where there is none yet.
async fn fill(secret: &Secret, key_set: &KeySet) -> Result<(), StoreError> {
    let existing = secret.current().await?;
    if existing.as_ref().is_some_and(Version::holds_key_set) {
        return Err(StoreError::AlreadyExists);
    }
    let replaced = existing.as_ref().map(|version| version.id.as_str());
    // Nothing counts from a time yet.
    match secret.put_in_place(replaced, key_set, || true).await {
        Err(StoreError::Conflict) => Err(StoreError::AlreadyExists),
        outcome => outcome,
    }
}

async fn replace(
    secret: &Secret,
    generation: u64,
    key_set: &KeySet,
    clock: &dyn Clock,
) -> Result<KeySet, StoreError> {
    let current = secret.current().await?.ok_or(StoreError::Conflict)?;
    let version = current.id.clone();
    let stored = current.into_key_set().map(|key_set| key_set.generation);
    if stored != Some(generation) {
        return Err(StoreError::Conflict);
    }
    let written_from = clock.now();
    let key_set = key_set.clone().published_at(written_from.plus(STALENESS_SECONDS));
    let in_time = || clock.now().since(written_from) <= WRITING_SECONDS;
    secret.put_in_place(Some(&version), &key_set, in_time).await?;
    Ok(key_set)
}

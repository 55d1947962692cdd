//! The vault: a port to wherever key sets are kept.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    clock::Clock, domain::DomainName, key_set::KeySet, secret::random_id, store::StoreError,
};

const ID_BYTES: usize = 16;

/// What a key set is kept under, named by the one domain that it belongs to.
///
/// The store alone decides which domain exists, and with it which key set counts; so the store and
/// the vault need no transaction in common. A creation that fails half way leaves a set behind that
/// nothing names, or that the next attempt takes over: see [`Vault::id_for`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeySetId(String);

impl KeySetId {
    /// A fresh one.
    #[must_use]
    pub fn random() -> Self {
        Self(random_id(ID_BYTES))
    }

    /// One that was stored.
    #[must_use]
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The id as text: A-Z, a-z, 0-9, `-` and `_`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where key sets are kept, private keys and all.
///
/// Writes are durable and reads see all completed writes, as for [`Store`](crate::Store).
#[async_trait]
pub trait Vault: Send + Sync {
    /// What a new domain's key set is to be kept under. A vault whose operators look for a domain's
    /// keys by its name answers with that; others with something random.
    fn id_for(&self, domain: &DomainName) -> KeySetId {
        let _ = domain;
        KeySetId::random()
    }

    /// Adds a key set, or fails with [`StoreError::AlreadyExists`].
    async fn create_key_set(&self, id: &KeySetId, key_set: &KeySet) -> Result<(), StoreError>;

    /// The key set of that id, as it is or as it was at most [`Vault::staleness`] ago.
    async fn key_set(&self, id: &KeySetId) -> Result<Option<KeySet>, StoreError>;

    /// The key set of that id as it is: where it was read within the last second, as it was then.
    async fn latest_key_set(&self, id: &KeySetId) -> Result<Option<KeySet>, StoreError> {
        self.key_set(id).await
    }

    /// Seconds for which any process may go on with a key set that was replaced meanwhile.
    fn staleness(&self) -> u64 {
        0
    }

    /// Puts `key_set` in the place of the one of `generation`, or fails with
    /// [`StoreError::Conflict`] when that is not the stored one: of any number of concurrent
    /// calls with one `generation`, one succeeds.
    ///
    /// What is stored, and returned, is [`KeySet::published_at`] the time that `clock` shows as
    /// late as the storage can read it: after waiting for other writers, just before the commit,
    /// and [`Vault::staleness`] more.
    ///
    /// Private keys that the new set has no more are erased, as far as the storage can.
    async fn replace_key_set(
        &self,
        id: &KeySetId,
        generation: u64,
        key_set: &KeySet,
        clock: Arc<dyn Clock>,
    ) -> Result<KeySet, StoreError>;
}

//! The vault: a port to wherever key sets are kept.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{clock::Clock, key_set::KeySet, secret::random_id, store::StoreError};

const ID_BYTES: usize = 16;

/// What a key set is kept under: random, and named by the one domain that it belongs to.
///
/// The store alone decides which domain exists, and with it which key set counts. Of several
/// attempts to create a domain each keeps a set of its own, and those that lose leave one behind
/// that nothing names; so the store and the vault need no transaction in common.
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

    /// The id as text: 22 of A-Z, a-z, 0-9, `-` and `_`.
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
    /// Adds a key set, or fails with [`StoreError::AlreadyExists`].
    async fn create_key_set(&self, id: &KeySetId, key_set: &KeySet) -> Result<(), StoreError>;

    /// The key set of that id.
    async fn key_set(&self, id: &KeySetId) -> Result<Option<KeySet>, StoreError>;

    /// Puts `key_set` in the place of the one of `generation`, or fails with
    /// [`StoreError::Conflict`] when that is not the stored one: of any number of concurrent
    /// calls with one `generation`, one succeeds.
    ///
    /// What is stored, and returned, is [`KeySet::published_at`] the time that `clock` shows as
    /// late as the storage can read it: after waiting for other writers, just before the commit.
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

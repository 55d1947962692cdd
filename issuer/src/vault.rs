//! The vault: a port to wherever key sets are kept.

use async_trait::async_trait;

use crate::{domain::DomainName, key_set::KeySet, store::StoreError};

/// Where key sets are kept, private keys and all.
///
/// Writes are durable and reads see all completed writes, as for [`Store`](crate::Store).
#[async_trait]
pub trait Vault: Send + Sync {
    /// Adds the first key set of a domain, or fails with [`StoreError::AlreadyExists`].
    async fn create_key_set(&self, domain: &DomainName, key_set: &KeySet)
    -> Result<(), StoreError>;

    /// The key set of a domain.
    async fn key_set(&self, domain: &DomainName) -> Result<Option<KeySet>, StoreError>;

    /// Puts `key_set` in the place of the one of `generation`, or fails with
    /// [`StoreError::Conflict`] when that is not the stored one: of any number of concurrent
    /// calls with one `generation`, one succeeds.
    async fn replace_key_set(
        &self,
        domain: &DomainName,
        generation: u64,
        key_set: &KeySet,
    ) -> Result<(), StoreError>;
}

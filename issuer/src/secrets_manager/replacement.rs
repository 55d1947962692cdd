//! Putting a key set in the place of the current one: compare-and-set by the label `AWSCURRENT`.

use tokio::time::Instant;

use super::{
    CURRENT, PENDING, Secret, WRITING,
    secrets::{PREVIOUS, version_id},
};
use crate::{key_set::KeySet, store::StoreError};

/// What a version has until it becomes the current one. One label for all writers: a secret has room
/// for 20, and writers that died leave theirs behind.
const WRITE_LABEL: &str = "POSTERN_WRITE";

impl Secret {
    /// Stores `key_set` and makes it the current version in the place of `replaced`, or of none when
    /// the secret has no value yet. [`StoreError::Conflict`] when something else is current by then.
    ///
    /// `key_set` says from when it counts, which was read at `counted_from`: when writing it takes
    /// too long after that, it does not become the current one.
    pub(super) async fn put_in_place(
        &self,
        replaced: Option<&str>,
        key_set: &KeySet,
        counted_from: Instant,
    ) -> Result<(), StoreError> {
        let id = version_id();
        self.put(&id, key_set, WRITE_LABEL).await?;
        if counted_from.elapsed() > WRITING {
            return Err(StoreError::Busy("writing a key set took too long".into()));
        }
        match replaced {
            Some(replaced) => self.take_over(&id, replaced).await?,
            // The first value of a secret is the current one by itself.
            None if self.is_current(&id).await? => {}
            None => return Err(StoreError::Conflict),
        }
        self.clean_up(&id).await;
        Ok(())
    }

    /// Makes the version `id` the current one if `replaced` still is. An acknowledgement that was
    /// lost is told from another writer by looking.
    pub(crate) async fn take_over(&self, id: &str, replaced: &str) -> Result<(), StoreError> {
        let Err(error) = self.move_current(id, replaced).await else {
            return Ok(());
        };
        match self.describe().await {
            Ok(Some(secret)) if secret.has(id, CURRENT) => Ok(()),
            Ok(Some(secret)) if secret.has(replaced, CURRENT) => Err(error),
            Ok(_) => Err(StoreError::Conflict),
            Err(_) => Err(error),
        }
    }

    async fn is_current(&self, id: &str) -> Result<bool, StoreError> {
        Ok(self.describe().await?.is_some_and(|secret| secret.has(id, CURRENT)))
    }

    /// Leaves no label on versions but the current one: they hold private keys that were replaced.
    /// A rotation that is under way ends, too, for it would follow on the set that was replaced.
    async fn clean_up(&self, current: &str) {
        let described = match self.describe().await {
            Ok(Some(described)) => described,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, secret = self.id(), "replaced keys are not cleaned up");
                return;
            }
        };
        let ours = [PREVIOUS, PENDING, WRITE_LABEL];
        for (label, version) in described.labels().filter(|(label, _)| ours.contains(label)) {
            if label != WRITE_LABEL && version == current {
                continue;
            }
            if let Err(error) = self.remove_label(label, version).await {
                tracing::warn!(%error, secret = self.id(), label, version, "a label stays");
            }
        }
    }
}

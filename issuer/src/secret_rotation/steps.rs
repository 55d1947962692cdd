//! The four steps.

use tokio::task::spawn_blocking;

use super::{RotationFailure, SecretRotation, subject::Subject};
use crate::{
    domain::Domain,
    key_set::{KeySet, PreparedSet, RotationError, is_first},
    secrets_manager::{Document, PENDING, STALENESS_SECONDS},
    store::StoreError,
    verification::passes,
};

/// How closely the pending key set is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// Whether it fits.
    Fit,
    /// Whether it may take over now, as well.
    Readiness,
}

impl SecretRotation {
    pub(super) async fn create(&self, subject: &Subject) -> Result<(), RotationFailure> {
        let current = subject.current().await?.document;
        if let Some(pending) = subject.pending().await? {
            return self.check(subject, &pending, &current, Depth::Fit).await;
        }
        let key_set = match current {
            Document::KeySet(current) => {
                let Domain { settings, .. } = self.domain_of(subject).await?;
                let now = self.clock.now();
                let prepare = move || current.prepare(&settings, STALENESS_SECONDS, now);
                spawn_blocking(prepare).await.map_err(StoreError::unavailable)??
            }
            Document::Placeholder { algorithm } => {
                let now = self.clock.now();
                let generate = move || KeySet::generate(algorithm, now);
                let generated = spawn_blocking(generate).await.map_err(StoreError::unavailable)?;
                generated.map_err(RotationError::from)?
            }
        };
        Ok(subject.secret.put(&subject.version, &key_set, PENDING).await?)
    }

    pub(super) async fn set(&self, subject: &Subject) -> Result<(), RotationFailure> {
        let current = subject.current().await?.document;
        let pending = subject.pending().await?.ok_or_else(|| subject.no_value("pending"))?;
        self.check(subject, &pending, &current, Depth::Fit).await
    }

    pub(super) async fn test(&self, subject: &Subject) -> Result<(), RotationFailure> {
        let current = subject.current().await?.document;
        let pending = subject.pending().await?.ok_or_else(|| subject.no_value("pending"))?;
        if pending == current {
            // When a rotation is planned, Secrets Manager tries this step on a copy of what is
            // current. There may be no domain yet.
            return Ok(());
        }
        self.check(subject, &pending, &current, Depth::Readiness).await
    }

    pub(super) async fn finish(&self, subject: &Subject) -> Result<(), RotationFailure> {
        if !subject.is_promoted {
            // All over again: what held at the last step need not hold any more.
            let current = subject.current().await?;
            let pending = subject.pending().await?.ok_or_else(|| subject.no_value("pending"))?;
            self.check(subject, &pending, &current.document, Depth::Readiness).await?;
            if let Err(error) = subject.secret.take_over(&subject.version, &current.id).await {
                return Err(subject.abandoned(error.into()).await);
            }
        }
        self.complete(subject).await
    }

    /// What remains when the new version is the current one.
    async fn complete(&self, subject: &Subject) -> Result<(), RotationFailure> {
        let described = subject.secret.describe().await?;
        // The label may have gone along with the move.
        if described.is_some_and(|described| described.has(&subject.version, PENDING)) {
            subject.secret.remove_label(PENDING, &subject.version).await?;
        }
        let Some(Document::KeySet(promoted)) = subject.secret.version(&subject.version).await?
        else {
            return Err(subject.no_value("current"));
        };
        if is_first(&promoted) {
            // Nobody holds an older one, and there may be no domain yet.
            return Ok(());
        }
        // From now on nobody uses an older one that is in some cache.
        Ok(self.store.require_generation(&subject.domain, promoted.generation).await?)
    }

    async fn check(
        &self,
        subject: &Subject,
        pending: &Document,
        current: &Document,
        depth: Depth,
    ) -> Result<(), RotationFailure> {
        let checked = match (pending, current) {
            (Document::KeySet(pending), Document::KeySet(current)) => {
                self.check_successor(subject, pending, current, depth).await
            }
            (Document::KeySet(pending), Document::Placeholder { algorithm }) => {
                let fits = is_first(pending) && pending.algorithm() == *algorithm;
                let works = fits && passes(&pending.current, pending, self.clock.now());
                works.then_some(()).ok_or(RotationFailure::Misfit("it is no first key set"))
            }
            (Document::Placeholder { .. }, _) => {
                Err(RotationFailure::Misfit("it is no key set at all"))
            }
        };
        match checked {
            Ok(()) => Ok(()),
            Err(failure) => Err(subject.abandoned(failure).await),
        }
    }

    async fn check_successor(
        &self,
        subject: &Subject,
        pending: &KeySet,
        current: &KeySet,
        depth: Depth,
    ) -> Result<(), RotationFailure> {
        let Domain { settings, .. } = self.domain_of(subject).await?;
        let now = self.clock.now();
        let set = PreparedSet {
            prepared: pending,
            replaced: current,
            settings: &settings,
            staleness: STALENESS_SECONDS,
        };
        set.check(now)?;
        if depth == Depth::Fit {
            return Ok(());
        }
        set.check_next_is_known(subject.last_rotated, now)?;
        // The new key where only the present set is known, and the present key where it is replaced.
        if passes(&pending.current, current, now) && passes(&current.current, pending, now) {
            Ok(())
        } else {
            Err(RotationFailure::Misfit("what is signed with it does not pass"))
        }
    }
}

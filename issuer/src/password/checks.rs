//! Checking passwords, bounded in how much of it runs at once.

#[cfg(test)]
use std::sync::atomic::AtomicUsize;
use std::{sync::Arc, thread::available_parallelism};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
};

use super::{PasswordError, hash, matches, queue::Queue};
use crate::{account::Account, secret::SecretText, user::PasswordHash};

/// Checks passwords on the blocking pool, a few at a time, because each takes 19 MiB and tens of
/// milliseconds of a core. One core stays free for everything else, if there are several.
pub(crate) struct PasswordChecks {
    permits: Arc<Semaphore>,
    queue: Queue,
    /// How many hashes were computed: tests hold unknown users to the cost of known ones.
    #[cfg(test)]
    computed: AtomicUsize,
}

impl PasswordChecks {
    pub(crate) fn new() -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self {
            permits: Arc::new(Semaphore::new(cores.saturating_sub(1).max(1))),
            queue: Queue::default(),
            #[cfg(test)]
            computed: AtomicUsize::default(),
        }
    }

    /// Whether `password` is the one behind `hash`. Without a hash it computes as much and
    /// answers no.
    pub(crate) async fn check(
        &self,
        account: &Account,
        password: SecretText,
        hash: Option<PasswordHash>,
    ) -> Result<bool, PasswordError> {
        let permit = {
            let _place = self.queue.take(account).ok_or(PasswordError::Overloaded)?;
            Arc::clone(&self.permits)
                .acquire_owned()
                .await
                .map_err(|_| PasswordError::Overloaded)?
        };
        self.compute(permit, move || matches(&password, hash.as_ref())).await
    }

    /// A fresh hash of a password that was checked, of whatever length, if there is room for it
    /// right now: a login that has succeeded waits for nobody.
    pub(crate) async fn hash_anew(
        &self,
        password: SecretText,
    ) -> Result<PasswordHash, PasswordError> {
        let permit =
            Arc::clone(&self.permits).try_acquire_owned().map_err(|_| PasswordError::Overloaded)?;
        self.compute(permit, move || hash(&password)).await
    }

    async fn compute<T: Send + 'static>(
        &self,
        permit: OwnedSemaphorePermit,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        #[cfg(test)]
        self.computed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let work = move || {
            // The permit goes with the work: a client that hangs up must not free it early.
            let _permit = permit;
            work()
        };
        spawn_blocking(work).await.map_err(|_| PasswordError::Hashing)?
    }

    #[cfg(test)]
    pub(crate) fn computed(&self) -> usize {
        self.computed.load(std::sync::atomic::Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn permits(&self) -> &Arc<Semaphore> {
        &self.permits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password() -> SecretText {
        SecretText::new("x".to_owned())
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_recovers() {
        let checks = Arc::new(PasswordChecks::new());
        let ada = Account::new("shop".parse().unwrap(), "ada");
        let all = u32::try_from(checks.permits.available_permits()).unwrap();
        let all = Arc::clone(&checks.permits).acquire_many_owned(all).await.unwrap();
        let waiting: Vec<_> = (0..8)
            .map(|_| {
                let (checks, ada) = (Arc::clone(&checks), ada.clone());
                tokio::spawn(async move { checks.check(&ada, password(), None).await })
            })
            .collect();
        while checks.queue.waiting() < waiting.len() {
            tokio::task::yield_now().await;
        }
        let refused = checks.check(&ada, password(), None).await;
        assert_eq!(refused, Err(PasswordError::Overloaded));
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
        for task in waiting {
            assert!(task.await.unwrap_err().is_cancelled());
        }
        drop(all);
        assert_eq!(checks.queue.waiting(), 0);
        assert_eq!(checks.check(&ada, password(), None).await, Ok(false));
    }

    #[tokio::test]
    async fn nobody_waits_for_a_fresh_hash() {
        let checks = PasswordChecks::new();
        assert!(checks.hash_anew(password()).await.is_ok(), "of one byte, too");
        let all = u32::try_from(checks.permits.available_permits()).unwrap();
        let _all = Arc::clone(&checks.permits).acquire_many_owned(all).await.unwrap();
        assert_eq!(checks.hash_anew(password()).await, Err(PasswordError::Overloaded));
    }

    #[test]
    fn one_core_stays_free() {
        let cores = available_parallelism().map_or(1, usize::from);
        let permits = PasswordChecks::new().permits.available_permits();
        assert!(permits == cores - 1 || (permits, cores) == (1, 1));
    }
}

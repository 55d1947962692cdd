//! Whether the issuer can do its work.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Mutex, time::Instant};

use super::{Failure, Issuer};
use crate::store::StoreError;

/// However often someone asks, the storage is tried no more often than this.
const PAUSE: Duration = Duration::from_secs(1);

/// What came of the last try.
#[derive(Default)]
pub(super) struct Readiness(Mutex<Option<Try>>);

#[derive(Clone)]
struct Try {
    at: Instant,
    outcome: Result<(), Arc<StoreError>>,
}

impl Issuer {
    /// Fails unless the storage can be read from and written to, as of at most a second ago.
    ///
    /// # Errors
    ///
    /// A storage failure.
    pub async fn ready(&self) -> Result<(), Failure> {
        // Held while trying: who asks meanwhile gets the same answer.
        let mut last = self.readiness.0.lock().await;
        let recent = last.clone().filter(|last| last.at.elapsed() < PAUSE);
        let latest = match recent {
            Some(recent) => recent,
            None => Try {
                outcome: self.ports.store.ready().await.map_err(Arc::new),
                at: Instant::now(),
            },
        };
        last.insert(latest).outcome.clone().map_err(Failure::NotReady)
    }
}

//! Key sets in memory for a short time: a crowd of requests makes one call.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::KEPT;
use crate::{key_set::KeySet, store::StoreError, vault::KeySetId};

/// How long it is remembered that there is no key set, or that the last try failed.
const KEPT_WITHOUT_KEYS: Duration = Duration::from_secs(1);
/// Of how many ids something is kept: when there are more, all is forgotten.
const ENTRIES_MAX: usize = 1024;

#[derive(Default)]
pub(super) struct Cache(Mutex<HashMap<KeySetId, Arc<Entry>>>);

#[derive(Default)]
struct Entry {
    known: Mutex<Known>,
    /// Held while reading: who asks meanwhile waits for the same answer.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    found: Option<(Moment, Option<KeySet>)>,
    failed: Option<(Moment, StoreError)>,
}

/// A moment by two clocks. Lambda freezes processes between requests, for minutes: the monotonic
/// clock may not count that, and the wall clock may be set back.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    monotonic: Instant,
    wall: SystemTime,
}

impl Cache {
    /// What is known of `id` from at most `no_older_than` before this call, or what `fetch` answers.
    pub(super) async fn read(
        &self,
        id: &KeySetId,
        no_older_than: Duration,
        fetch: impl AsyncFnOnce() -> Result<Option<KeySet>, StoreError>,
    ) -> Result<Option<KeySet>, StoreError> {
        let (entry, asked) = (self.entry(id), Moment::now());
        if let Some(answer) = entry.known().answer(asked, no_older_than) {
            return answer;
        }
        let _reading = entry.reading.lock().await;
        if let Some(answer) = entry.known().answer(asked, no_older_than) {
            return answer;
        }
        let begun = Moment::now();
        match fetch().await {
            Ok(fetched) => Ok(entry.known().record(begun, fetched)),
            Err(error) => {
                entry.known().failed = Some((Moment::now(), repeated(&error)));
                Err(error)
            }
        }
    }

    /// Keeps what was the key set of `id` at that moment or a little later.
    pub(super) fn record(&self, id: &KeySetId, since: Moment, key_set: Option<KeySet>) {
        self.entry(id).known().record(since, key_set);
    }

    fn entry(&self, id: &KeySetId) -> Arc<Entry> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(id) {
            return Arc::clone(entry);
        }
        if entries.len() >= ENTRIES_MAX {
            entries.clear();
        }
        Arc::clone(entries.entry(id.clone()).or_default())
    }
}

impl Entry {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn answer(
        &self,
        asked: Moment,
        no_older_than: Duration,
    ) -> Option<Result<Option<KeySet>, StoreError>> {
        let now = Moment::now();
        if let Some((at, key_set)) = &self.found {
            let kept = if key_set.is_some() { KEPT } else { KEPT_WITHOUT_KEYS };
            if at.until(now) < kept && at.until(asked) < no_older_than {
                return Some(Ok(key_set.clone()));
            }
        }
        let (at, error) = self.failed.as_ref()?;
        (at.until(now) < KEPT_WITHOUT_KEYS).then(|| Err(repeated(error)))
    }

    /// Keeps the newer of two sets, and answers with it: a read that began before a write, or that
    /// the service answers from behind one, brings the older.
    fn record(&mut self, at: Moment, fetched: Option<KeySet>) -> Option<KeySet> {
        let generation = |key_set: &Option<KeySet>| key_set.as_ref().map(|set| set.generation);
        self.failed = None;
        match &self.found {
            Some((known_at, known))
                if known_at.until(Moment::now()) < KEPT
                    && generation(known) > generation(&fetched) => {}
            _ => self.found = Some((at, fetched)),
        }
        self.found.as_ref().and_then(|(_, key_set)| key_set.clone())
    }
}

impl Moment {
    pub(super) fn now() -> Self {
        Self { monotonic: Instant::now(), wall: SystemTime::now() }
    }

    /// By whichever clock more has passed.
    fn until(self, later: Self) -> Duration {
        let by_wall = later.wall.duration_since(self.wall).unwrap_or_default();
        later.monotonic.saturating_duration_since(self.monotonic).max(by_wall)
    }
}

/// The same failure once more.
fn repeated(error: &StoreError) -> StoreError {
    match error {
        StoreError::Damaged(kind) => StoreError::Damaged(kind),
        StoreError::Busy(source) => StoreError::Busy(source.to_string().into()),
        StoreError::Unavailable(source) => StoreError::unavailable(source.to_string()),
        error => StoreError::unavailable(error.to_string()),
    }
}

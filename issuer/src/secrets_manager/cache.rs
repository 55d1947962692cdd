//! Key sets in memory for a short time: a crowd of requests makes one call.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::KEPT;
use crate::{key_set::KeySet, moment::Moment, store::StoreError, vault::KeySetId};

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
    pub(super) fn record(&self, id: &KeySetId, since: Moment, key_set: KeySet) {
        self.entry(id).known().record(since, Some(key_set));
    }

    /// Has the next call read it.
    pub(super) fn forget(&self, id: &KeySetId) {
        *self.entry(id).known() = Known::default();
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

/// The same failure once more.
fn repeated(error: &StoreError) -> StoreError {
    match error {
        StoreError::Damaged(kind) => StoreError::Damaged(kind),
        StoreError::Busy(source) => StoreError::Busy(source.to_string().into()),
        StoreError::Unavailable(source) => StoreError::unavailable(source.to_string()),
        error => StoreError::unavailable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::{clock::Timestamp, key::SigningAlgorithm};

    fn id() -> KeySetId {
        KeySetId::stored("shop".to_owned())
    }

    fn generation(generation: u64) -> KeySet {
        let first = KeySet::generate(SigningAlgorithm::EdDsa, Timestamp(1)).unwrap();
        KeySet { generation, ..first }
    }

    /// The generation that is read when another one may be fetched.
    async fn read_or(cache: &Cache, fetched: u64) -> Option<u64> {
        let read = cache.read(&id(), KEPT, async || Ok(Some(generation(fetched)))).await;
        read.unwrap().map(|key_set| key_set.generation)
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_began_before_a_write_does_not_undo_it() {
        let cache = Cache::default();
        let behind = async || {
            cache.record(&id(), Moment::now(), generation(2));
            Ok(Some(generation(1)))
        };
        let read = cache.read(&id(), KEPT, behind).await;
        assert_eq!(read.unwrap().unwrap().generation, 2);
        assert_eq!(read_or(&cache, 3).await, Some(2));
        tokio::time::advance(KEPT).await;
        assert_eq!(read_or(&cache, 3).await, Some(3));
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_the_process_was_frozen_counts() {
        let cache = Cache::default();
        let now = Moment::now();
        let before = Moment { wall: now.wall - KEPT, ..now };
        cache.record(&id(), before, generation(1));
        assert_eq!(read_or(&cache, 2).await, Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wall_clock_that_was_set_back_keeps_nothing_longer() {
        let cache = Cache::default();
        let now = Moment::now();
        let ahead = Moment { wall: now.wall + 100 * KEPT, ..now };
        cache.record(&id(), ahead, generation(1));
        assert_eq!(read_or(&cache, 2).await, Some(1));
        tokio::time::advance(KEPT).await;
        assert_eq!(read_or(&cache, 2).await, Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_shares_a_failure_and_a_second_later_it_is_tried_again() {
        let (cache, calls) = (Arc::new(Cache::default()), Arc::new(AtomicU64::new(0)));
        let ask = || {
            let (cache, calls) = (Arc::clone(&cache), Arc::clone(&calls));
            tokio::spawn(async move {
                let fetch = async || {
                    calls.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_secs(6)).await;
                    Err(StoreError::Busy("down".into()))
                };
                cache.read(&id(), KEPT, fetch).await
            })
        };
        let crowd: Vec<_> = (0..50).map(|_| ask()).collect();
        for answer in crowd {
            assert!(matches!(answer.await.unwrap(), Err(StoreError::Busy(_))));
        }
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        tokio::time::advance(KEPT_WITHOUT_KEYS).await;
        ask().await.unwrap().unwrap_err();
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_is_bounded() {
        let cache = Cache::default();
        for number in 0..3 * ENTRIES_MAX {
            let id = KeySetId::stored(number.to_string());
            let _ = cache.read(&id, KEPT, async || Ok(None)).await;
            assert!(cache.0.lock().unwrap().len() <= ENTRIES_MAX);
        }
    }
}

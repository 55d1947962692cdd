//! One list as this process knows it: learning what was revoked, and signing it anew.
//!
//! What is signed follows from what is stored, `iat` too, so that several processes that know the
//! same sign the same, and an edge that asks one of them after the other takes both for current.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, MutexGuard},
    task::spawn_blocking,
    time::Instant,
    try_join,
};

use super::{
    bit_list::BitList,
    document::{ListContent, ListPublication, list_uri},
    not_before::NotBefore,
};
use crate::{
    clock::Timestamp,
    domain::Domain,
    issuer::Failure,
    key::Key,
    moment::Moment,
    store::{Store, StoreError},
};

/// However often someone asks, the store is asked no more often than this.
const PAUSE: Duration = Duration::from_millis(250);
/// How far back the store is asked again, in seconds: so much may the clocks of those who revoke
/// differ, and what passes between reading one and the commit.
const OVERLAP_SECONDS: u64 = 180;
/// A list is signed anew once in each of these, counted from 1970.
const PERIOD_SECONDS: u64 = 100;
/// What a token may live longer at an edge than it says, in seconds, and a margin.
const SKEW_ALLOWANCE_SECONDS: u64 = 120;
/// How far ahead a list's `iat` may lie, in seconds, where the clock of whoever revoked was: edges
/// take 300 and their skew.
const AHEAD_SECONDS: u64 = 120;

/// A list that is held, whether it was published already or not.
pub(crate) struct PublishedList {
    // Held while the store is asked: who asks meanwhile gets the same answer.
    state: Mutex<State>,
}

/// What is known of a list. Nothing of it is ever taken back.
pub(crate) struct State {
    number: u32,
    bits: BitList,
    not_before: NotBefore,
    /// The latest revocation.
    revoked_at: Timestamp,
    /// What the clocks of those who revoke showed at least, and when that was known; nothing as long
    /// as nothing is revoked. By the monotonic clock alone: where it stood, more is asked for.
    clocks: Option<(Timestamp, Instant)>,
    /// What was learnt and is not signed yet.
    is_changed: bool,
    signed: Option<Signed>,
}

struct Signed {
    publication: Arc<ListPublication>,
    key_id: String,
    period: u64,
    issued_at: Timestamp,
    /// When the store was last asked: all that it had acknowledged by then is in.
    read_at: Moment,
}

impl PublishedList {
    pub(super) fn new(number: u32) -> Self {
        let state = State {
            number,
            bits: BitList::new(),
            not_before: NotBefore::default(),
            revoked_at: Timestamp::default(),
            clocks: None,
            is_changed: false,
            signed: None,
        };
        Self { state: Mutex::new(state) }
    }

    pub(crate) async fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().await
    }
}

impl State {
    /// What was published by this key, if it is as of `asked_at`, or of a moment ago.
    pub(crate) fn recent(&self, asked_at: Moment, key: &Key) -> Option<Arc<ListPublication>> {
        let signed = self.signed.as_ref().filter(|signed| signed.key_id == key.id)?;
        let (asked_after, age) =
            [asked_at, Moment::now()].map(|at| signed.read_at.until(at)).into();
        let is_recent = asked_after.is_zero() || age < PAUSE;
        is_recent.then(|| Arc::clone(&signed.publication))
    }

    /// Asks the store for what is new. Cut short anywhere, it loses nothing: it asks again.
    pub(crate) async fn learn(
        &mut self,
        store: &dyn Store,
        domain: &Domain,
        now: Timestamp,
        read_at: Moment,
    ) -> Result<(), StoreError> {
        let token_end = domain.settings.token_lifetime.saturating_add(SKEW_ALLOWANCE_SECONDS);
        let horizon = before(now, token_end);
        // Whatever was known of clocks: they may have been set back since, and this one with them.
        let since = self.revoked_since(read_at.monotonic).min(before(now, OVERLAP_SECONDS));
        let (revoked, not_before) = try_join!(
            store.revoked_since(&domain.name, self.number, since),
            store.not_before(&domain.name, self.raised_since(now).max(horizon)),
        )?;
        let latest = revoked.iter().map(|(_, at)| *at).max();
        for (index, _) in revoked {
            self.is_changed |= self.bits.set(index)?;
        }
        if let Some(latest) = latest.filter(|latest| self.revoked_at < *latest) {
            self.revoked_at = latest;
            self.clocks = Some((latest.min(now), read_at.monotonic));
        }
        self.is_changed |= self.not_before.raise(not_before);
        self.not_before.forget_subjects_before(horizon);
        Ok(())
    }

    /// What is published from now on. Without a good signature, nothing is.
    pub(crate) async fn publish(
        &mut self,
        issuer: &str,
        key: &Key,
        now: Timestamp,
        read_at: Moment,
    ) -> Result<Arc<ListPublication>, Failure> {
        let period = now.0 / PERIOD_SECONDS;
        let issued_at = self.issued_at(now, period);
        let is_signed = |signed: &&mut Signed| {
            signed.key_id == key.id && signed.period == period && signed.issued_at == issued_at
        };
        let unchanged = self.signed.as_mut().filter(|_| !self.is_changed).filter(is_signed);
        if let Some(signed) = unchanged {
            signed.read_at = read_at;
            return Ok(Arc::clone(&signed.publication));
        }
        let content = ListContent {
            uri: list_uri(issuer, self.number),
            issued_at,
            bits: self.bits.clone(),
            not_before: self.not_before.published(),
        };
        let (key_id, key) = (key.id.clone(), key.clone());
        let publication = spawn_blocking(move || content.sign(&key)).await;
        let publication = Arc::new(publication.map_err(StoreError::unavailable)??);
        let signed = Signed { publication, key_id, period, issued_at, read_at };
        self.is_changed = false;
        Ok(Arc::clone(&self.signed.insert(signed).publication))
    }

    /// The beginning of the period, or of what has changed since, by whatever clock, so that it is
    /// the same whenever that is learnt; never before that of the list that went before, which edges
    /// would take for a roll-back.
    fn issued_at(&self, now: Timestamp, period: u64) -> Timestamp {
        let period_start = Timestamp(period.saturating_mul(PERIOD_SECONDS));
        // Raised to the second after.
        let raised_at = self.not_before.latest().map_or(period_start, |at| before(at, 1));
        let changed_at =
            period_start.max(self.revoked_at).max(raised_at).min(now.plus(AHEAD_SECONDS));
        self.signed.as_ref().map_or(changed_at, |signed| changed_at.max(signed.issued_at))
    }

    /// By the clocks of those who revoke, as far as they are known: that of this process may be
    /// ahead, and one of theirs may have been.
    fn revoked_since(&self, read_at: Instant) -> Timestamp {
        self.clocks.map_or_else(Timestamp::default, |(time, known_at)| {
            let passed = read_at.duration_since(known_at).as_secs();
            before(time.plus(passed), OVERLAP_SECONDS)
        })
    }

    fn raised_since(&self, now: Timestamp) -> Timestamp {
        let latest = self.not_before.latest().unwrap_or_default();
        before(latest.min(now), OVERLAP_SECONDS)
    }
}

fn before(moment: Timestamp, seconds: u64) -> Timestamp {
    Timestamp(moment.0.saturating_sub(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SigningAlgorithm;

    #[tokio::test(start_paused = true)]
    async fn what_was_read_before_the_process_was_frozen_is_not_recent() {
        let (list, now) = (PublishedList::new(0), Moment::now());
        let key = Key::generate(SigningAlgorithm::EdDsa, Timestamp(0), 1).unwrap();
        let mut state = list.lock().await;
        let mut recent = |age| {
            let publication =
                ListPublication { token: String::new(), etag: String::new(), max_age: 5 };
            let read_at = Moment { wall: now.wall - age, ..now };
            state.signed = Some(Signed {
                publication: Arc::new(publication),
                key_id: key.id.clone(),
                period: 0,
                issued_at: Timestamp(0),
                read_at,
            });
            state.recent(now, &key).is_some()
        };
        assert!(recent(Duration::ZERO));
        assert!(!recent(PAUSE));
    }
}

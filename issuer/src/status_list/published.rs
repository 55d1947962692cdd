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
    store::{Store, StoreError},
};

/// However often someone asks, the store is asked no more often than this.
const PAUSE: Duration = Duration::from_millis(250);
/// How far back the store is asked again, in seconds: so much may the clocks of those who revoke
/// differ, and what passes between reading one and the commit.
const OVERLAP_SECONDS: u64 = 120;
/// A list is signed anew once in each of these, counted from 1970.
const PERIOD_SECONDS: u64 = 100;
/// What a token may live longer at an edge than it says, in seconds, and a margin.
const SKEW_ALLOWANCE_SECONDS: u64 = 120;

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
    /// as nothing is revoked.
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
    read_at: Instant,
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
    /// What was published, if it is as of `asked_at`, or of a moment ago.
    pub(crate) fn recent(&self, asked_at: Instant) -> Option<Arc<ListPublication>> {
        let signed = self.signed.as_ref()?;
        let is_recent = asked_at <= signed.read_at || signed.read_at.elapsed() < PAUSE;
        is_recent.then(|| Arc::clone(&signed.publication))
    }

    /// Asks the store for what is new. Cut short anywhere, it loses nothing: it asks again.
    pub(crate) async fn learn(
        &mut self,
        store: &dyn Store,
        domain: &Domain,
        now: Timestamp,
        read_at: Instant,
    ) -> Result<(), StoreError> {
        let token_end = domain.settings.token_lifetime.saturating_add(SKEW_ALLOWANCE_SECONDS);
        let horizon = before(now, token_end);
        let (revoked, not_before) = try_join!(
            store.revoked_since(&domain.name, self.number, self.revoked_since(read_at)),
            store.not_before(&domain.name, self.raised_since(now).max(horizon)),
        )?;
        let latest = revoked.iter().map(|(_, at)| *at).max();
        for (index, _) in revoked {
            self.is_changed |= self.bits.set(index)?;
        }
        if let Some(latest) = latest.filter(|latest| self.revoked_at < *latest) {
            self.revoked_at = latest;
            self.clocks = Some((latest.min(now), read_at));
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
        read_at: Instant,
    ) -> Result<Arc<ListPublication>, Failure> {
        let period = now.0 / PERIOD_SECONDS;
        let is_signed = |signed: &&mut Signed| signed.key_id == key.id && signed.period == period;
        let unchanged = self.signed.as_mut().filter(|_| !self.is_changed).filter(is_signed);
        if let Some(signed) = unchanged {
            signed.read_at = read_at;
            return Ok(Arc::clone(&signed.publication));
        }
        let issued_at = self.issued_at(now, period);
        let content = ListContent {
            uri: list_uri(issuer, self.number),
            issued_at,
            bits: self.bits.clone(),
            not_before: self.not_before.clone(),
        };
        let (key_id, key) = (key.id.clone(), key.clone());
        let publication = spawn_blocking(move || content.sign(&key)).await;
        let publication = Arc::new(publication.map_err(StoreError::unavailable)??);
        let signed = Signed { publication, key_id, period, issued_at, read_at };
        self.is_changed = false;
        Ok(Arc::clone(&self.signed.insert(signed).publication))
    }

    /// The beginning of the period, or of what has changed since; never before that of the list
    /// that went before, which edges would take for a roll-back.
    fn issued_at(&self, now: Timestamp, period: u64) -> Timestamp {
        let period_start = Timestamp(period.saturating_mul(PERIOD_SECONDS));
        // Raised to the second after.
        let raised_at = self.not_before.latest().map_or(period_start, |at| before(at, 1));
        let changed_at = period_start.max(self.revoked_at).max(raised_at).min(now);
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

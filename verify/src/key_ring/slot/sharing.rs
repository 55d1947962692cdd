//! What a key set has in common with those of other gates of the same edge: copies of answers, news of the
//! issuer, and when all of them must hold what one does.

use std::time::Duration;

use super::{Access, LOST_FETCH_GRACE, MAX_COPIES, NEWS_COOLDOWN, Slot};
use crate::{
    key_ring::{
        fetch::{FetchError, Fetched, KeyUpdate},
        schedule::{self, Chance},
    },
    signature::SignatureVerifier,
};

impl Slot {
    /// Whether the issuer itself is to be asked. Where anybody may fetch it, nobody has signed it, and the
    /// store is trusted.
    pub(in crate::key_ring) fn has_copies_enough(&self) -> bool {
        matches!(self.access, Access::Edge(_)) && self.copies >= MAX_COPIES
    }

    /// Takes what another gate was answered at the first of two times; the second is now. What brings no
    /// keys leaves the fetch under way.
    pub(in crate::key_ring) fn take_copy(
        &mut self,
        copy: Fetched<'_>,
        signatures: &dyn SignatureVerifier,
        [at, now]: [Duration; 2],
        seed: u64,
        last_version: &mut u64,
    ) -> Result<KeyUpdate, FetchError> {
        if self.source.asking().is_some() {
            return self.end_fetch(copy, signatures, at, seed, last_version);
        }
        if self.held.as_ref().is_some_and(|held| held.confirmed > at) {
            return Err(FetchError::NoAnswer);
        }
        let update = self.take(copy, signatures, now, last_version)?;
        (self.in_flight_since, self.last_attempt) = (None, Some(at));
        self.attempts += 1;
        self.copies += 1;
        self.failures = 0;
        let chance = Chance::new(seed, self.salt, self.attempts);
        let sequence = self.newest_bundle();
        if let Some(held) = &mut self.held {
            if matches!(self.access, Access::Edge(_)) {
                held.etag = held.etag.take().filter(|etag| is_of(etag, sequence));
            }
            held.confirmed = at;
            self.next_attempt = at + schedule::refresh_after(held.lifetime, chance);
        }
        self.heed_news();
        Ok(update)
    }

    /// Makes a fetch due, soon: there is something new. One that is under way may have been answered
    /// before that.
    pub(in crate::key_ring) fn hear_news(&mut self, now: Duration) {
        self.has_news = true;
        if !self.is_in_flight(now) {
            self.heed_news();
        }
    }

    pub(super) fn heed_news(&mut self) {
        if std::mem::take(&mut self.has_news) {
            let soon = self.last_attempt.map_or(Duration::ZERO, |last| last + NEWS_COOLDOWN);
            self.next_attempt = self.next_attempt.min(soon);
        }
    }

    /// After how long nobody else uses what was held before: copies of that come as late as a fetch may
    /// take, and are used as long as a set is and while the next fetch is under way.
    pub(super) fn time_to_spread(&self) -> Duration {
        self.fetching.cache_duration + 2 * (self.source.timeout() + LOST_FETCH_GRACE)
    }
}

/// Whether the `ETag` of a bundle is one of this sequence number. Nobody signs it, and who can write to a
/// store could put a later one there: the issuer would be told of keys that are not held, and confirm those
/// that are.
fn is_of(etag: &[u8], sequence: u64) -> bool {
    // A proxy that compresses makes it a weak one.
    let etag = etag.strip_prefix(b"W/").unwrap_or(etag);
    let number = etag.strip_prefix(b"\"").and_then(|rest| rest.split(|byte| *byte == b'.').next());
    number == Some(sequence.to_string().as_bytes())
}

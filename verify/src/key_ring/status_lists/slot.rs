//! One status list that is fetched: what is held of it, and when to fetch it.

use std::{cell::Cell, time::Duration};

use crate::{
    jwk_set::JwkSet,
    key_ring::{
        fetch::{ACCEPT_LIST, Fetch, FetchError, Fetched, KeySetId, KeyUpdate},
        freshness,
        schedule::{self, Chance},
        slot::{CLOCK_TOLERANCE, LOST_FETCH_GRACE, MAX_COPIES, NEWS_COOLDOWN, OVERDUE},
    },
    policy::{HttpUri, KeyFetching},
    status_list::{MAX_LIST_BYTES, Places, StatusList, StatusListError},
};

/// A list that nobody has looked at for so many polls is not polled any more.
const IDLE_POLLS: u32 = 3;
/// The least time between two polls, whatever `ttl` says.
const SHORTEST: Duration = Duration::from_secs(1);
/// How many bits of an attempt's number count those of one slot.
const ATTEMPT_BITS: u32 = 24;

/// One status list that is fetched.
#[derive(Debug)]
pub(super) struct ListSlot {
    /// No other list of the ring has it, nor has had it.
    pub(super) serial: u64,
    pub(super) domain: Option<Box<str>>,
    pub(super) uri: Box<str>,
    source: HttpUri,
    /// By how much the clocks may differ of those who sign the list.
    clock_skew: Duration,
    held: Option<HeldList>,
    generation: u64,
    /// When the fetch that is under way began.
    in_flight_since: Option<Duration>,
    /// When the last fetch began or, if it has, ended.
    last_attempt: Option<Duration>,
    begun: u64,
    attempts: u64,
    failures: u32,
    next_attempt: Duration,
    /// A fetch is to begin at once.
    asked: bool,
    /// The list could not be checked for want of its key: with new keys it is fetched again.
    pub(super) awaits_keys: bool,
    /// The state of its domain's `not_before`: a token that has passed by it is young enough.
    pub(super) since: u64,
    /// Someone has looked at it since the last fetch began,
    wanted: Cell<bool>,
    /// nobody did between so many fetches before that,
    idle_polls: u32,
    /// and this tells which of several was looked at last.
    used: Cell<u64>,
    nudged: Option<Duration>,
    /// How many copies of answers have counted since the issuer itself was asked.
    copies: u32,
    /// The issuer has said that there is something new, since the fetch began that is under way.
    has_news: bool,
    salt: u64,
}

#[derive(Debug)]
struct HeldList {
    list: StatusList,
    etag: Option<Vec<u8>>,
    max_age: Option<Duration>,
    confirmed: Duration,
    lifetime: Duration,
    /// Whether the key set still has the key that it was signed with.
    is_vouched_for: bool,
}

/// How far what is held may be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Current,
    /// It has to be asked for first.
    Await,
    /// It could not be asked for.
    Unavailable {
        retry_after: Duration,
    },
}

impl ListSlot {
    pub(super) fn new(
        serial: u64,
        domain: Option<&str>,
        uri: &str,
        source: HttpUri,
        clock_skew: Duration,
        salt: u64,
    ) -> Self {
        Self {
            serial,
            domain: domain.map(Into::into),
            uri: uri.into(),
            source,
            clock_skew,
            held: None,
            generation: 0,
            in_flight_since: None,
            last_attempt: None,
            // What was begun for a list that was dropped since is no fetch of this one's.
            begun: serial.saturating_sub(1) << ATTEMPT_BITS,
            attempts: 0,
            failures: 0,
            next_attempt: Duration::ZERO,
            asked: false,
            awaits_keys: false,
            since: 0,
            wanted: Cell::new(false),
            idle_polls: 0,
            used: Cell::new(0),
            nudged: None,
            copies: 0,
            has_news: false,
            salt,
        }
    }

    /// What is held, however old it is: what it refuses stays refused until a newer one says otherwise.
    pub(super) fn places(&self) -> Option<&Places> {
        self.held.as_ref().map(|held| &held.list.places)
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// When it was last known to be good, if it is in use.
    pub(super) fn confirmed(&self) -> Option<Duration> {
        self.held.as_ref().filter(|_| self.is_scheduled()).map(|held| held.confirmed)
    }

    pub(super) fn touch(&self, use_number: u64) {
        self.wanted.set(true);
        self.used.set(use_number);
    }

    pub(super) fn last_used(&self) -> u64 {
        self.used.get()
    }

    pub(super) fn standing(&self, fetching: &KeyFetching, now: Duration) -> Standing {
        if let Some(held) = self.held.as_ref().filter(|held| held.is_current(fetching, now)) {
            return if self.is_lapsed(held, now) { Standing::Await } else { Standing::Current };
        }
        if self.is_backing_off(now) && !self.is_expected(now) {
            let retry_after = self.next_attempt.saturating_sub(now);
            return Standing::Unavailable { retry_after: retry_after.min(fetching.max_back_off) };
        }
        Standing::Await
    }

    /// Whether it was tried in vain lately, and is being tried again: who may go by a stale list does
    /// not wait for that.
    pub(super) fn is_failing(&self, now: Duration) -> bool {
        let soon = now <= self.next_attempt + OVERDUE && !self.clock_went_back(now);
        self.failures > 0 && (self.is_in_flight(now) || soon)
    }

    /// As of key sets: whether nobody has tried to ask for it, since the host slept or nobody looked.
    fn is_lapsed(&self, held: &HeldList, now: Duration) -> bool {
        let end = held.confirmed + held.lifetime;
        let in_time =
            self.is_in_flight(now) && self.in_flight_since.is_some_and(|since| since < end);
        now >= end && !in_time && !self.is_failing(now)
    }

    /// Asks for it, where it has to be asked for first. Whether a tick is worth it at once.
    pub(super) fn demand(&mut self, fetching: &KeyFetching, now: Duration) -> bool {
        if self.is_in_flight(now) || self.standing(fetching, now) != Standing::Await {
            return false;
        }
        let long_ago = |then: Duration| now.abs_diff(then) > OVERDUE;
        let worth = !self.asked || self.nudged.is_none_or(long_ago);
        if worth {
            self.ask(now);
        }
        worth
    }

    /// Makes a fetch due at once.
    pub(super) fn ask(&mut self, now: Duration) {
        self.asked = true;
        self.next_attempt = now;
        self.nudged = Some(now);
    }

    /// Looks whether the key that has signed it is still one. If not, it is asked for anew.
    pub(super) fn check_key(&mut self, keys: &JwkSet, now: Duration) -> bool {
        let Some(held) = &mut self.held else { return true };
        let key_id = held.list.key_id.as_deref();
        held.is_vouched_for = key_id.is_some_and(|key_id| keys.contains(key_id));
        let is_vouched_for = held.is_vouched_for;
        if !is_vouched_for {
            self.ask(now);
        }
        is_vouched_for
    }

    pub(super) fn is_expected(&self, now: Duration) -> bool {
        self.asked || self.is_in_flight(now)
    }

    fn is_backing_off(&self, now: Duration) -> bool {
        self.failures > 0 && now < self.next_attempt && !self.clock_went_back(now)
    }

    fn clock_went_back(&self, now: Duration) -> bool {
        self.last_attempt.is_some_and(|last| now + CLOCK_TOLERANCE < last)
    }

    fn is_in_flight(&self, now: Duration) -> bool {
        let limit = self.source.timeout + LOST_FETCH_GRACE;
        self.in_flight_since.is_some_and(|since| {
            since <= now + CLOCK_TOLERANCE && now.saturating_sub(since) <= limit
        })
    }

    pub(super) fn is_due(&self, now: Duration) -> bool {
        let time_has_come = self.next_attempt <= now || self.clock_went_back(now);
        (self.asked || (self.is_scheduled() && time_has_come)) && !self.is_in_flight(now)
    }

    fn is_scheduled(&self) -> bool {
        self.held.is_some() && (self.wanted.get() || self.idle_polls < IDLE_POLLS)
    }

    pub(super) fn wakeup(&self) -> Option<Duration> {
        if !self.asked && !self.is_scheduled() {
            return None;
        }
        let lost_at = |since| since + self.source.timeout + LOST_FETCH_GRACE;
        Some(self.in_flight_since.map_or(self.next_attempt, lost_at))
    }

    pub(super) fn begin_fetch(&mut self, key_set: KeySetId, now: Duration) -> Fetch {
        if self.in_flight_since.replace(now).is_some() {
            self.failures = self.failures.saturating_add(1); // the one before was lost
        }
        self.last_attempt = Some(now);
        self.begun += 1;
        if let Some(held) = &mut self.held {
            // Of a clock that went back: what is confirmed in the future would never be too old.
            held.confirmed = held.confirmed.min(now);
        }
        self.asked = false;
        self.idle_polls = if self.wanted.replace(false) { 0 } else { self.idle_polls + 1 };
        // Of what does not count any more, it is of no use that it is still the same.
        let held = self.held.as_ref().filter(|held| held.may_be_confirmed(now));
        Fetch {
            key_set,
            attempt: self.begun,
            source: self.source.clone(),
            accept: ACCEPT_LIST,
            if_none_match: held.and_then(|held| held.etag.clone()),
            authorization: None,
            may_hold_secrets: false,
            max_bytes: MAX_LIST_BYTES,
        }
    }

    /// Whether this is the fetch that is under way.
    pub(super) fn is_attempt(&self, number: u64) -> bool {
        self.in_flight_since.is_some() && self.begun == number
    }

    /// Takes the end of a fetch; `read` checks a document. The list that it brought is for who wants to
    /// know what else it says.
    pub(super) fn end_fetch(
        &mut self,
        fetched: Fetched<'_>,
        read: impl FnOnce(&[u8]) -> Result<StatusList, StatusListError>,
        fetching: &KeyFetching,
        seed: u64,
        now: Duration,
    ) -> Result<KeyUpdate, FetchError> {
        self.in_flight_since = None;
        self.last_attempt = Some(now);
        self.attempts += 1;
        self.copies = 0;
        let chance = Chance::new(seed, self.salt, self.attempts);
        let result = self.take(fetched, read, fetching, now);
        if let (Ok(_), Some(held)) = (&result, &self.held) {
            self.failures = 0;
            self.awaits_keys = false;
            self.next_attempt = now + schedule::refresh_after(held.lifetime, chance);
        } else {
            self.next_attempt = now + schedule::back_off(fetching, self.failures, chance);
            self.failures = self.failures.saturating_add(1);
        }
        self.heed_news();
        result
    }

    /// Whether the issuer itself is to be asked.
    pub(super) fn has_copies_enough(&self) -> bool {
        self.copies >= MAX_COPIES
    }

    /// Takes what another gate was answered at the first of two times; the second is now. What brings no
    /// list leaves the fetch under way.
    pub(super) fn take_copy(
        &mut self,
        copy: Fetched<'_>,
        read: impl FnOnce(&[u8]) -> Result<StatusList, StatusListError>,
        fetching: &KeyFetching,
        seed: u64,
        [at, now]: [Duration; 2],
    ) -> Result<KeyUpdate, FetchError> {
        if self.held.as_ref().is_some_and(|held| held.confirmed > at) {
            return Err(FetchError::NoAnswer);
        }
        let update = self.take(copy, read, fetching, now)?;
        (self.in_flight_since, self.last_attempt) = (None, Some(at));
        self.attempts += 1;
        self.copies += 1;
        (self.failures, self.awaits_keys) = (0, false);
        let chance = Chance::new(seed, self.salt, self.attempts);
        if let Some(held) = &mut self.held {
            // Nobody has signed it: with the one of a later list, this one would be confirmed.
            held.etag = None;
            held.confirmed = at;
            self.next_attempt = at + schedule::refresh_after(held.lifetime, chance);
        }
        self.heed_news();
        Ok(update)
    }

    /// As of key sets: there is something new.
    pub(super) fn hear_news(&mut self, now: Duration) {
        self.has_news = true;
        if !self.is_in_flight(now) {
            self.heed_news();
        }
    }

    fn heed_news(&mut self) {
        if std::mem::take(&mut self.has_news) {
            let soon = self.last_attempt.map_or(Duration::ZERO, |last| last + NEWS_COOLDOWN);
            self.next_attempt = self.next_attempt.min(soon);
        }
    }

    fn take(
        &mut self,
        fetched: Fetched<'_>,
        read: impl FnOnce(&[u8]) -> Result<StatusList, StatusListError>,
        fetching: &KeyFetching,
        now: Duration,
    ) -> Result<KeyUpdate, FetchError> {
        let Fetched::Response { status, etag, cache_control, age, body } = fetched else {
            return Err(FetchError::NoAnswer);
        };
        let update = match (status, &self.held) {
            (304, Some(held)) if held.may_be_confirmed(now) => KeyUpdate::Unchanged,
            (200, _) => {
                let list = read(body).map_err(FetchError::StatusList)?;
                self.replace(list).map_err(FetchError::StatusList)?
            }
            _ => return Err(FetchError::Status(status)),
        };
        if let Some(held) = &mut self.held {
            if status == 200 || cache_control.is_some() {
                held.max_age = cache_control.and_then(freshness::max_age);
            }
            if status == 200 {
                held.etag = etag.map(<[u8]>::to_vec);
            }
            let lifetime = freshness::key_set_lifetime(fetching, held.max_age, age);
            let longest = held.list.time_to_live.map_or(lifetime, |ttl| ttl.max(SHORTEST));
            held.lifetime = lifetime.min(longest);
            held.confirmed = now;
        }
        Ok(update)
    }

    /// Puts a list in the place of an older one. Of two that were signed at almost one time nobody can
    /// tell which is the later, since an issuer has several clocks: what either of them refuses is refused.
    fn replace(&mut self, mut list: StatusList) -> Result<KeyUpdate, StatusListError> {
        let update = match self.held.as_ref().filter(|held| held.is_vouched_for) {
            Some(HeldList { list: held, .. }) => {
                if list.issued_at.saturating_add(self.clock_skew) < held.issued_at {
                    return Err(StatusListError::RolledBack);
                }
                if list.issued_at <= held.issued_at {
                    list = list.united(held);
                }
                list.places != held.places || list.not_before != held.not_before
            }
            None => true,
        };
        let refused = list.places.count();
        self.generation += u64::from(update);
        self.held = Some(HeldList {
            list,
            etag: None,
            max_age: None,
            confirmed: Duration::ZERO,
            lifetime: Duration::ZERO,
            is_vouched_for: true,
        });
        if update {
            return Ok(KeyUpdate::Replaced { keys: refused, skipped: Vec::new() });
        }
        Ok(KeyUpdate::Unchanged)
    }

    /// What is held.
    pub(super) fn list(&self) -> Option<&StatusList> {
        self.held.as_ref().map(|held| &held.list)
    }
}

impl HeldList {
    fn is_current(&self, fetching: &KeyFetching, now: Duration) -> bool {
        let age = now.saturating_sub(self.confirmed);
        age <= fetching.max_stale && self.may_be_confirmed(now)
    }

    /// Whether it counts as long as the issuer says that it has no other.
    fn may_be_confirmed(&self, now: Duration) -> bool {
        self.is_vouched_for && now < self.list.ends
    }
}

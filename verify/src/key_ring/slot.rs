//! One key set that is fetched: what of it is held, and when to fetch it.
//!
//! - [`sharing`] is what it has in common with the slots of other gates of the same edge.

mod sharing;

use std::{cell::Cell, fmt, time::Duration};

use zeroize::Zeroizing;

use super::{
    KeysAtHand, NEVER,
    copies::Instance,
    discovery::{Source, Step},
    fetch::{ACCEPT_BUNDLE, ACCEPT_KEYS, Fetch, FetchError, Fetched, KeySetId, KeyUpdate},
    freshness,
    schedule::{self, Chance},
};
use crate::{
    edge::{BundleError, Enrolment, MAX_BUNDLE_BYTES},
    jwk::KeyKinds,
    jwk_set::{JwkSet, JwkSetError, MAX_JWK_SET_BYTES},
    policy::KeyFetching,
    signature::SignatureVerifier,
};

/// An unknown `kid` may cause a fetch this long after the last one: a stranger who makes up key
/// ids costs the issuer no more than one request in this time. Of an edge's bundle, see
/// [`NEWS_COOLDOWN`].
pub(super) const UNKNOWN_KEY_COOLDOWN: Duration = Duration::from_secs(5);
/// A clock that goes back by less is one that was read in another order.
pub(super) const CLOCK_TOLERANCE: Duration = Duration::from_secs(1);
/// A fetch that has been due for this long waits for a tick that may not come: after a jump of the
/// clock, the host still counts from the time before.
pub(super) const OVERDUE: Duration = Duration::from_secs(1);
/// How long past its time-out a fetch may stay unreported before it counts as failed.
pub(super) const LOST_FETCH_GRACE: Duration = Duration::from_secs(1);

/// How often news of the issuer make for a fetch: whoever has seen one can repeat it. So often, too, an
/// unknown `kid` makes for one of an edge's bundle.
pub(super) const NEWS_COOLDOWN: Duration = Duration::from_secs(1);

/// How many copies of signed answers count one after another. Who can write to the store that they are in
/// can date an old one anew, as often as they like: so the issuer itself is asked after so many.
pub(super) const MAX_COPIES: u32 = 3;

const ACCEPT_CONFIGURATION: &str = "application/json";

/// Who may fetch a key set.
#[derive(Debug)]
pub(super) enum Access {
    /// Anyone: it is a document for all.
    Anyone,
    /// An enrolled edge, for which it is made into bundles.
    Edge(Box<Enrolment>),
    /// An enrolled edge, and this is none.
    Nobody,
}

/// One key set that is fetched.
#[expect(clippy::struct_excessive_bools, reason = "each of them says something else")]
#[derive(Debug)]
pub(super) struct Slot {
    source: Source,
    access: Access,
    fetching: KeyFetching,
    /// Whether it is only fetched when someone has asked for it since the last fetch.
    on_demand: bool,
    held: Option<HeldSet>,
    generation: u64,
    /// When the fetch that is under way began.
    in_flight_since: Option<Duration>,
    /// When the last fetch began or, if it has, ended.
    last_attempt: Option<Duration>,
    /// How many fetches have begun,
    begun: u64,
    /// and ended.
    attempts: u64,
    failures: u32,
    next_attempt: Duration,
    /// A fetch is to begin at once, whoever wants it.
    asked: bool,
    /// So it was with the fetch that began last.
    was_asked: bool,
    /// Someone has looked at the set since the last fetch began,
    wanted: Cell<bool>,
    /// and this tells which of several sets was looked at last.
    used: Cell<u64>,
    /// How many copies of answers have counted since the issuer itself was asked.
    copies: u32,
    /// When a tick was last asked for because the fetch is overdue.
    nudged: Option<Duration>,
    /// The issuer has said that there is something new, since the fetch began that is under way.
    has_news: bool,
    salt: u64,
}

struct HeldSet {
    keys: JwkSet,
    version: u64,
    /// Where the issuer says that it is one, the document is a secret.
    document: Zeroizing<Vec<u8>>,
    etag: Option<Vec<u8>>,
    max_age: Option<Duration>,
    confirmed: Duration,
    lifetime: Duration,
    /// When the first of its bundles came.
    since: Duration,
    /// From when on it is of no use, whatever the issuer says of it meanwhile.
    end: Option<Duration>,
}

impl HeldSet {
    fn has_ended(&self, now: Duration) -> bool {
        self.end.is_some_and(|end| now >= end)
    }
}

impl Slot {
    pub(super) fn new(
        source: Source,
        access: Access,
        fetching: KeyFetching,
        on_demand: bool,
        salt: u64,
    ) -> Self {
        Self {
            source,
            access,
            fetching,
            on_demand,
            held: None,
            generation: 0,
            in_flight_since: None,
            last_attempt: None,
            begun: 0,
            attempts: 0,
            failures: 0,
            next_attempt: Duration::ZERO,
            asked: false,
            was_asked: false,
            wanted: Cell::new(false),
            used: Cell::new(0),
            copies: 0,
            nudged: None,
            has_news: false,
            salt,
        }
    }

    /// The keys, for a token with this `kid`. `may_ask` says whether a fetch is free to be spent
    /// on a stranger.
    pub(super) fn at_hand(
        &self,
        key_id: Option<&str>,
        may_ask: bool,
        now: Duration,
    ) -> KeysAtHand<'_> {
        let Some(held) = self.usable(now) else { return self.without_keys(may_ask, now) };
        let knows = key_id.is_none_or(|key_id| held.keys.contains(key_id));
        let may_learn = self.is_expected(now) || (may_ask && self.may_ask(now));
        if self.is_lapsed(held, now) || (!knows && may_learn) {
            return KeysAtHand::Await;
        }
        // Nobody is called unauthorized where strangers have used up what would tell, where it is too
        // early for that,
        if !knows && (self.may_ask(now) || self.was_polled_just_now(now)) {
            return KeysAtHand::Unavailable { retry_after: OVERDUE };
        }
        // or where the issuer could not be asked.
        if !knows && self.is_backing_off(now) {
            let retry_after = self.next_attempt.saturating_sub(now);
            return KeysAtHand::Unavailable {
                retry_after: retry_after.min(self.fetching.max_back_off),
            };
        }
        KeysAtHand::Ready { keys: &held.keys, version: held.version }
    }

    /// The version of the keys that may vouch for tokens.
    pub(super) fn version_at_hand(&self, now: Duration) -> Option<u64> {
        let held = self.usable(now)?;
        (!self.is_lapsed(held, now)).then_some(held.version)
    }

    /// The keys that may vouch for something now, whatever has to be asked for first.
    pub(super) fn keys(&self, now: Duration) -> Option<&JwkSet> {
        self.usable(now).map(|held| &held.keys)
    }

    fn without_keys(&self, may_ask: bool, now: Duration) -> KeysAtHand<'_> {
        if self.is_closed() {
            return KeysAtHand::Unavailable { retry_after: NEVER };
        }
        let backing_off = self.is_backing_off(now);
        let spared = self.is_newcomer() && !may_ask;
        if self.is_expected(now) || !(backing_off || spared) {
            return KeysAtHand::Await;
        }
        let retry_after = if backing_off { self.next_attempt.saturating_sub(now) } else { OVERDUE };
        KeysAtHand::Unavailable { retry_after: retry_after.min(self.fetching.max_back_off) }
    }

    fn usable(&self, now: Duration) -> Option<&HeldSet> {
        let age = |held: &HeldSet| now.saturating_sub(held.confirmed);
        let held = self.held.as_ref().filter(|held| age(held) <= self.fetching.max_stale);
        held.filter(|held| !held.has_ended(now))
    }

    /// Whether the set has outlived its lifetime without a try to refresh it: nobody asked for it,
    /// or the host slept. What the issuer has withdrawn meanwhile must not pass, so it is to be
    /// asked first. A try that is under way since before, or that has failed lately, is enough.
    fn is_lapsed(&self, held: &HeldSet, now: Duration) -> bool {
        let end = held.confirmed + held.lifetime;
        let in_flight = self.is_in_flight(now);
        let in_time = in_flight && self.in_flight_since.is_some_and(|since| since < end);
        let failed_lately = self.failures > 0 && (in_flight || now <= self.next_attempt + OVERDUE);
        now >= end && !in_time && !failed_lately && !self.is_closed()
    }

    /// Notes that the set has been looked at.
    pub(super) fn touch(&self, use_number: u64) {
        self.wanted.set(true);
        self.used.set(use_number);
    }

    pub(super) fn last_used(&self) -> u64 {
        self.used.get()
    }

    /// When what is held was last known to be good.
    pub(super) fn confirmed(&self) -> Option<Duration> {
        self.held.as_ref().map(|held| held.confirmed)
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// The sequence number of the newest bundle that was taken.
    pub(super) fn newest_bundle(&self) -> u64 {
        match &self.access {
            Access::Edge(enrolment) => enrolment.newest(),
            Access::Anyone | Access::Nobody => 0,
        }
    }

    /// Whether it is not to be fetched at all.
    fn is_closed(&self) -> bool {
        matches!(self.access, Access::Nobody)
    }

    /// Whether it has brought no keys yet, and perhaps nobody but a stranger speaks of it.
    pub(super) fn is_newcomer(&self) -> bool {
        self.on_demand && self.held.is_none()
    }

    /// Whether there is to be news without anyone asking.
    pub(super) fn is_expected(&self, now: Duration) -> bool {
        self.asked || self.is_in_flight(now)
    }

    /// Whether an unknown `kid`, or a first question for a set, may cause a fetch now.
    pub(super) fn may_ask(&self, now: Duration) -> bool {
        let cooled = self.held.is_none() || !self.is_cooling(now);
        cooled && !self.is_closed() && !self.is_expected(now) && !self.is_backing_off(now)
    }

    /// Whether the last fetch was not long enough ago for a stranger to cause another.
    fn is_cooling(&self, now: Duration) -> bool {
        let cooldown = match self.access {
            // It polls so often that otherwise an unknown `kid` would never cause one.
            Access::Edge(_) => NEWS_COOLDOWN,
            Access::Anyone | Access::Nobody => UNKNOWN_KEY_COOLDOWN,
        };
        self.last_attempt.is_some_and(|last| now.saturating_sub(last) < cooldown)
    }

    /// Whether an edge cannot tell yet that there is no such key: the issuer may have made it after the
    /// last fetch, which nobody had asked for. Where it polls as often as it may ask, its polls tell.
    fn was_polled_just_now(&self, now: Duration) -> bool {
        let is_edge = matches!(self.access, Access::Edge(_));
        let is_slower = self.held.as_ref().is_some_and(|held| held.lifetime > NEWS_COOLDOWN);
        is_edge && is_slower && !self.was_asked && self.is_cooling(now)
    }

    /// Makes a fetch due at once.
    pub(super) fn ask(&mut self, now: Duration) {
        self.asked = true;
        self.next_attempt = now;
        self.nudged = Some(now);
    }

    fn is_backing_off(&self, now: Duration) -> bool {
        self.failures > 0 && now < self.next_attempt && !self.clock_went_back(now)
    }

    fn clock_went_back(&self, now: Duration) -> bool {
        self.last_attempt.is_some_and(|last| now + CLOCK_TOLERANCE < last)
    }

    fn is_in_flight(&self, now: Duration) -> bool {
        let limit = self.source.timeout() + LOST_FETCH_GRACE;
        self.in_flight_since.is_some_and(|since| {
            since <= now + CLOCK_TOLERANCE && now.saturating_sub(since) <= limit
        })
    }

    pub(super) fn is_due(&self, now: Duration) -> bool {
        let time_has_come = self.next_attempt <= now || self.clock_went_back(now);
        (self.asked || (self.is_scheduled() && time_has_come)) && !self.is_in_flight(now)
    }

    /// Whether it is fetched again when its time comes.
    fn is_scheduled(&self) -> bool {
        let wanted = !self.on_demand || (self.held.is_some() && self.wanted.get());
        wanted && !self.is_closed()
    }

    /// Whether no tick may be about to come for the fetch that is due, because it has been so for
    /// long or has become so by being asked for, and nobody has asked for a tick lately.
    pub(super) fn is_worth_a_nudge(&mut self, now: Duration) -> bool {
        let long_ago = |then: Duration| now.abs_diff(then) > OVERDUE;
        let unforeseen = self.on_demand || long_ago(self.next_attempt);
        let worth = unforeseen && self.nudged.is_none_or(long_ago);
        if worth {
            self.nudged = Some(now);
        }
        worth
    }

    pub(super) fn wakeup(&self) -> Option<Duration> {
        match self.in_flight_since {
            Some(since) if self.asked || self.is_scheduled() => {
                Some(since + self.source.timeout() + LOST_FETCH_GRACE)
            }
            // Nobody would make it anew if it were lost.
            Some(_) => None,
            None => (self.asked || self.is_scheduled()).then_some(self.next_attempt),
        }
    }

    /// `instance` is the ring's: it tells the issuer which of an edge's processes asks.
    pub(super) fn begin_fetch(
        &mut self,
        key_set: KeySetId,
        instance: Instance,
        now: Duration,
    ) -> Fetch {
        if self.in_flight_since.replace(now).is_some() {
            self.failures = self.failures.saturating_add(1); // the one before was lost
        }
        self.last_attempt = Some(now);
        self.begun += 1;
        if let Some(held) = &mut self.held {
            // Of a clock that went back: what is confirmed in the future would never be too old.
            held.confirmed = held.confirmed.min(now);
        }
        self.was_asked = std::mem::take(&mut self.asked);
        self.wanted.set(false);
        let held = self.held.as_ref().filter(|held| !held.has_ended(now));
        let held_etag = held.and_then(|held| held.etag.clone());
        let (accept_keys, authorization, max_bytes) = match &self.access {
            Access::Edge(enrolment) => {
                let is_known = |held: &&HeldSet| {
                    !instance.is_shared || now >= held.since + self.time_to_spread()
                };
                let told = held.filter(is_known).and_then(|held| held.etag.as_deref());
                let authorization = enrolment.authorization(instance.number, told, now);
                (ACCEPT_BUNDLE, authorization, MAX_BUNDLE_BYTES)
            }
            Access::Anyone | Access::Nobody => (ACCEPT_KEYS, None, MAX_JWK_SET_BYTES),
        };
        // A bundle holds secrets that only the edge can read.
        let may_hold_secrets =
            authorization.is_none() && self.fetching.key_kinds == KeyKinds::WithSecrets;
        let (source, accept, if_none_match) = match self.source.begin(now) {
            Step::Configuration { source, etag } => (source, ACCEPT_CONFIGURATION, etag),
            Step::Keys(source) => (source, accept_keys, held_etag),
        };
        Fetch {
            key_set,
            attempt: self.begun,
            source: source.clone(),
            accept,
            if_none_match,
            authorization,
            may_hold_secrets,
            max_bytes,
        }
    }

    /// Whether this is the fetch that is under way.
    pub(super) fn is_attempt(&self, number: u64) -> bool {
        self.in_flight_since.is_some() && self.begun == number
    }

    /// Takes the end of a fetch. `seed` is the ring's, and `last_version` the last that it gave.
    pub(super) fn end_fetch(
        &mut self,
        fetched: Fetched<'_>,
        signatures: &dyn SignatureVerifier,
        now: Duration,
        seed: u64,
        last_version: &mut u64,
    ) -> Result<KeyUpdate, FetchError> {
        self.in_flight_since = None;
        self.last_attempt = Some(now);
        self.attempts += 1;
        self.copies = 0;
        let chance = Chance::new(seed, self.salt, self.attempts);
        let result = match self.source.asking() {
            Some(_) => return self.end_configuration(fetched, chance, now),
            None => self.take(fetched, signatures, now, last_version),
        };
        match (&result, &self.held) {
            (Ok(_), Some(held)) => {
                self.failures = 0;
                self.next_attempt = now + schedule::refresh_after(held.lifetime, chance);
            }
            _ => self.fail(chance, now),
        }
        self.heed_news();
        result
    }

    /// Takes a document that nobody had to fetch.
    pub(super) fn hold(
        &mut self,
        document: &[u8],
        now: Duration,
        seed: u64,
        last_version: &mut u64,
    ) -> Result<KeyUpdate, JwkSetError> {
        let update = self.replace(document, last_version)?;
        if let Some(held) = &mut self.held {
            held.lifetime = freshness::key_set_lifetime(&self.fetching, None, None);
            held.confirmed = now;
            self.failures = 0;
            self.attempts += 1;
            let chance = Chance::new(seed, self.salt, self.attempts);
            self.next_attempt = now + schedule::refresh_after(held.lifetime, chance);
        }
        Ok(update)
    }

    /// With the place of the keys, or with the one that was known before, their own fetch is due.
    fn end_configuration(
        &mut self,
        fetched: Fetched<'_>,
        chance: Chance,
        now: Duration,
    ) -> Result<KeyUpdate, FetchError> {
        let Some(discovered) = self.source.asking() else { return Ok(KeyUpdate::Unchanged) };
        let result = discovered.take(fetched, now);
        if result.is_err() && !discovered.make_do(now) {
            self.fail(chance, now);
        } else {
            self.ask(now);
        }
        // An `ETag` is of one place, and may say something else at another.
        if let (Ok(true), Some(held)) = (&result, &mut self.held) {
            held.etag = None;
        }
        result.map(|_| KeyUpdate::Discovered)
    }

    fn fail(&mut self, chance: Chance, now: Duration) {
        self.next_attempt = now + schedule::back_off(&self.fetching, self.failures, chance);
        self.failures = self.failures.saturating_add(1);
    }

    fn take(
        &mut self,
        fetched: Fetched<'_>,
        signatures: &dyn SignatureVerifier,
        now: Duration,
        last_version: &mut u64,
    ) -> Result<KeyUpdate, FetchError> {
        let Fetched::Response { status, etag, cache_control, age, body } = fetched else {
            return Err(FetchError::NoAnswer);
        };
        let update = match (status, &self.held) {
            (304, Some(held)) if !held.has_ended(now) => KeyUpdate::Unchanged,
            (200, _) => self.take_body(body, signatures, now, last_version)?,
            (404 | 410, _) => {
                self.source.is_gone();
                if status == 410 && matches!(self.source, Source::Named(_)) {
                    // That is an answer, not an outage (RFC 9110 §15.5.11): there are no keys.
                    self.generation += u64::from(self.held.take().is_some());
                    return Err(FetchError::Withdrawn);
                }
                return Err(FetchError::Status(status));
            }
            _ => return Err(FetchError::Status(status)),
        };
        if let Some(held) = &mut self.held {
            // What a 304 does not say stays as it was (RFC 9111 §4.3.4).
            if status == 200 || cache_control.is_some() {
                held.max_age = cache_control.and_then(freshness::max_age);
            }
            if status == 200 {
                held.etag = etag.map(<[u8]>::to_vec);
            }
            let lifetime = freshness::key_set_lifetime(&self.fetching, held.max_age, age);
            held.lifetime = match held.end {
                Some(end) => freshness::until(end, lifetime, now),
                None => lifetime,
            };
            held.confirmed = now;
            if matches!(update, KeyUpdate::Replaced { .. }) {
                held.since = now;
            }
        }
        Ok(update)
    }

    fn take_body(
        &mut self,
        body: &[u8],
        signatures: &dyn SignatureVerifier,
        now: Duration,
        last_version: &mut u64,
    ) -> Result<KeyUpdate, FetchError> {
        let Access::Edge(enrolment) = &self.access else {
            return self.replace(body, last_version).map_err(FetchError::JwkSet);
        };
        let opened = enrolment.open(body, signatures, now).map_err(FetchError::Bundle)?;
        let no_key_set = FetchError::Bundle(BundleError::Unreadable("it holds no key set"));
        let update = self.replace(&opened.document, last_version).map_err(|_| no_key_set)?;
        if let Access::Edge(enrolment) = &mut self.access {
            enrolment.keep(&opened);
        }
        if let Some(held) = &mut self.held {
            held.end = Some(opened.end);
        }
        Ok(update)
    }

    /// What was held stays if it is the same document; it has no end of its own then.
    fn replace(&mut self, body: &[u8], last_version: &mut u64) -> Result<KeyUpdate, JwkSetError> {
        if let Some(held) = &mut self.held
            && held.document.as_slice() == body
        {
            held.end = None;
            return Ok(KeyUpdate::Unchanged);
        }
        let keys = JwkSet::parse(body, self.fetching.key_kinds)?;
        let update = KeyUpdate::Replaced {
            keys: keys.len(),
            skipped: keys.skipped().iter().map(ToString::to_string).collect(),
        };
        *last_version += 1;
        self.generation += 1;
        self.held = Some(HeldSet {
            keys,
            version: *last_version,
            document: Zeroizing::new(body.to_vec()),
            etag: None,
            max_age: None,
            confirmed: Duration::ZERO,
            lifetime: Duration::ZERO,
            since: Duration::ZERO,
            end: None,
        });
        Ok(update)
    }
}

/// The document can be a secret.
impl fmt::Debug for HeldSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("HeldSet")
            .field("keys", &self.keys)
            .field("version", &self.version)
            .field("confirmed", &self.confirmed)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

//! The key sets of a policy's providers, and when to fetch them. No I/O and no clock: the adapter
//! asks [`KeyRing::poll_fetch`] what to fetch and reports with [`KeyRing::handle_fetched`]. Times
//! count from the Unix epoch.

use std::{fmt, time::Duration};

use crate::{
    jwk::KeyKinds,
    jwk_set::{JwkSet, JwkSetError},
    policy::{KeySource, Policy, ProviderIndex, RemoteJwks},
    signature::{CoreSignatures, SignatureVerifier},
};

/// An unknown `kid` may cause a fetch this long after the last one: a stranger who makes up key
/// ids costs the issuer no more than one request in this time.
const UNKNOWN_KEY_COOLDOWN: Duration = Duration::from_secs(5);
/// The wait after the first failed fetch; doubles with each further one.
const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
/// The longest wait after failed fetches.
const MAX_BACK_OFF: Duration = Duration::from_secs(16);
/// A clock that goes back by less is one that was read in another order.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(1);
/// A fetch that has been due for this long waits for a tick that may not come: after a jump of the
/// clock, the host still counts from the time before.
const OVERDUE: Duration = Duration::from_secs(1);
/// How long past its time-out a fetch may stay unreported before it counts as failed.
const LOST_FETCH_GRACE: Duration = Duration::from_secs(1);

/// The key sets of all providers of one policy, and what checks signatures with them.
pub struct KeyRing {
    slots: Vec<Slot>,
    signatures: Box<dyn SignatureVerifier>,
}

#[derive(Debug)]
enum Slot {
    Local(JwkSet),
    Remote(Box<RemoteSlot>),
}

#[derive(Debug)]
struct RemoteSlot {
    source: RemoteJwks,
    held: Option<HeldSet>,
    generation: u64,
    /// When the fetch that is under way began.
    in_flight_since: Option<Duration>,
    /// When the last fetch began or, if it has, ended.
    last_attempt: Option<Duration>,
    failures: u32,
    next_attempt: Duration,
    /// When a tick was last asked for because the fetch is overdue.
    nudged: Option<Duration>,
}

#[derive(Debug)]
struct HeldSet {
    keys: JwkSet,
    document: Vec<u8>,
    etag: Option<Vec<u8>>,
    confirmed: Duration,
}

/// A fetch that the adapter is to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Whose keys; give it back to [`KeyRing::handle_fetched`].
    pub provider: usize,
    /// Where from, and how long it may take.
    pub source: RemoteJwks,
    /// Value for `If-None-Match`: the `ETag` of the set that is held.
    pub if_none_match: Option<Vec<u8>>,
}

/// How a fetch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetched<'a> {
    /// No answer: it timed out, or the issuer could not be reached.
    Failed,
    /// An answer of the issuer.
    Response {
        /// HTTP status code.
        status: u16,
        /// `ETag` header, if there was one.
        etag: Option<&'a [u8]>,
        /// `Cache-Control` header, if there was one; only `max-age` is read.
        cache_control: Option<&'a [u8]>,
        /// `Age` header, if there was one: how long the answer has been in a cache on the way.
        age: Option<&'a [u8]>,
        /// The whole body.
        body: &'a [u8],
    },
}

/// Why a fetch brought no keys. The set that was held before stays.
#[derive(Debug)]
#[non_exhaustive]
pub enum FetchError {
    /// There was no answer.
    NoAnswer,
    /// The answer's status is neither 200 nor, where a set is held, 304.
    Status(u16),
    /// The body is not a JWK Set.
    JwkSet(JwkSetError),
}

/// What a good fetch brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyUpdate {
    /// The set that is held is still current.
    Unchanged,
    /// A new set took the place of the old one.
    Replaced {
        /// Number of usable keys.
        keys: usize,
        /// Why other keys were left out; for the log.
        skipped: Vec<String>,
    },
}

/// What a provider's keys are to a decision.
pub(crate) enum KeysAtHand<'a> {
    Ready(&'a JwkSet),
    Await,
    Unavailable { retry_after: Duration },
}

impl KeyRing {
    /// A ring for `policy` that holds its local keys and has yet to fetch the remote ones.
    #[must_use]
    pub fn new(policy: &Policy) -> Self {
        let slots = policy.providers.iter().map(|provider| match &provider.keys {
            KeySource::Local(keys) => Slot::Local(keys.clone()),
            KeySource::Remote(source) => Slot::Remote(Box::new(RemoteSlot::new(source))),
        });
        Self { slots: slots.collect(), signatures: Box::new(CoreSignatures) }
    }

    /// The same ring, with a host's cryptography to check signatures.
    #[must_use]
    pub fn with_signatures(self, signatures: Box<dyn SignatureVerifier>) -> Self {
        Self { signatures, ..self }
    }

    pub(crate) fn signatures(&self) -> &dyn SignatureVerifier {
        &*self.signatures
    }

    /// The next fetch that is due, if any. The fetch counts as under way from here on.
    pub fn poll_fetch(&mut self, now: Duration) -> Option<Fetch> {
        let due = |(index, slot): (usize, &mut Slot)| match slot {
            Slot::Remote(remote) if remote.is_due(now) => Some(remote.begin_fetch(index, now)),
            _ => None,
        };
        self.slots.iter_mut().enumerate().find_map(due)
    }

    /// Takes the end of a fetch.
    ///
    /// # Errors
    ///
    /// [`FetchError`] where it brought no keys. It is for the log; the ring already knows.
    pub fn handle_fetched(
        &mut self,
        provider: usize,
        fetched: Fetched<'_>,
        now: Duration,
    ) -> Result<KeyUpdate, FetchError> {
        match self.slots.get_mut(provider) {
            Some(Slot::Remote(remote)) => remote.end_fetch(fetched, now),
            _ => Ok(KeyUpdate::Unchanged),
        }
    }

    /// Asks for a provider's keys ahead of time, as [`crate::Decision::AwaitKeys`] wants it.
    /// Returns whether [`KeyRing::poll_fetch`] is worth asking at once, because that made a fetch due
    /// or one is overdue; not where one has just become due, is under way or backing off.
    pub fn demand(&mut self, provider: usize, now: Duration) -> bool {
        match self.slots.get_mut(provider) {
            Some(Slot::Remote(remote)) if remote.is_due(now) => remote.is_worth_a_nudge(now),
            Some(Slot::Remote(remote)) if remote.may_refetch(now) => {
                remote.next_attempt = now;
                true
            }
            _ => false,
        }
    }

    /// When [`KeyRing::poll_fetch`] is next worth asking; `None` where nothing is ever fetched.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Duration> {
        let wakeup = |slot: &Slot| match slot {
            Slot::Local(_) => None,
            Slot::Remote(remote) => Some(remote.wakeup()),
        };
        self.slots.iter().filter_map(wakeup).min()
    }

    /// How often a provider's key set has been replaced by a different one.
    #[must_use]
    pub fn generation(&self, provider: usize) -> u64 {
        match self.slots.get(provider) {
            Some(Slot::Remote(remote)) => remote.generation,
            _ => 0,
        }
    }

    pub(crate) fn at_hand(
        &self,
        provider: ProviderIndex,
        key_id: Option<&str>,
        now: Duration,
    ) -> KeysAtHand<'_> {
        match self.slots.get(provider) {
            Some(Slot::Local(keys)) => KeysAtHand::Ready(keys),
            Some(Slot::Remote(remote)) => remote.at_hand(key_id, now),
            None => KeysAtHand::Unavailable { retry_after: MAX_BACK_OFF },
        }
    }
}

impl RemoteSlot {
    fn new(source: &RemoteJwks) -> Self {
        Self {
            source: source.clone(),
            held: None,
            generation: 0,
            in_flight_since: None,
            last_attempt: None,
            failures: 0,
            next_attempt: Duration::ZERO,
            nudged: None,
        }
    }

    fn at_hand(&self, key_id: Option<&str>, now: Duration) -> KeysAtHand<'_> {
        let usable = self.held.as_ref().filter(|held| !self.is_too_old(held, now));
        match usable {
            Some(held) => {
                let knows = key_id.is_none_or(|key_id| held.keys.contains(key_id));
                let may_learn = self.is_in_flight(now) || self.may_refetch(now);
                if knows || !may_learn { KeysAtHand::Ready(&held.keys) } else { KeysAtHand::Await }
            }
            None if self.failures == 0 || self.next_attempt <= now => KeysAtHand::Await,
            None => {
                let retry_after = self.next_attempt.saturating_sub(now).min(MAX_BACK_OFF);
                KeysAtHand::Unavailable { retry_after }
            }
        }
    }

    fn is_too_old(&self, held: &HeldSet, now: Duration) -> bool {
        now.saturating_sub(held.confirmed) > self.source.max_stale
    }

    /// Whether an unknown `kid` may cause a fetch now.
    fn may_refetch(&self, now: Duration) -> bool {
        let cooled = |last| now.saturating_sub(last) >= UNKNOWN_KEY_COOLDOWN;
        let backing_off = self.failures > 0 && now < self.next_attempt;
        !self.is_in_flight(now) && !backing_off && self.last_attempt.is_none_or(cooled)
    }

    fn is_in_flight(&self, now: Duration) -> bool {
        let limit = self.source.timeout + LOST_FETCH_GRACE;
        self.in_flight_since.is_some_and(|since| {
            since <= now + CLOCK_TOLERANCE && now.saturating_sub(since) <= limit
        })
    }

    fn is_due(&self, now: Duration) -> bool {
        let clock_went_back = self.last_attempt.is_some_and(|last| now + CLOCK_TOLERANCE < last);
        (self.next_attempt <= now || clock_went_back) && !self.is_in_flight(now)
    }

    /// Whether the fetch that is due has been so for long, and nobody has asked for a tick lately.
    fn is_worth_a_nudge(&mut self, now: Duration) -> bool {
        let long_ago = |then: Duration| now.abs_diff(then) > OVERDUE;
        let worth = long_ago(self.next_attempt) && self.nudged.is_none_or(long_ago);
        if worth {
            self.nudged = Some(now);
        }
        worth
    }

    fn wakeup(&self) -> Duration {
        match self.in_flight_since {
            Some(since) => since + self.source.timeout + LOST_FETCH_GRACE,
            None => self.next_attempt,
        }
    }

    fn begin_fetch(&mut self, provider: ProviderIndex, now: Duration) -> Fetch {
        if self.in_flight_since.replace(now).is_some() {
            self.failures = self.failures.saturating_add(1); // the one before was lost
        }
        self.last_attempt = Some(now);
        let if_none_match = self.held.as_ref().and_then(|held| held.etag.clone());
        Fetch { provider, source: self.source.clone(), if_none_match }
    }

    fn end_fetch(&mut self, fetched: Fetched<'_>, now: Duration) -> Result<KeyUpdate, FetchError> {
        self.in_flight_since = None;
        self.last_attempt = Some(now);
        let result = self.take(fetched, now);
        let wait = if result.is_ok() {
            self.failures = 0;
            self.freshness(fetched)
        } else {
            let back_off = FIRST_BACK_OFF.saturating_mul(1 << self.failures.min(10));
            self.failures = self.failures.saturating_add(1);
            back_off.min(MAX_BACK_OFF)
        };
        self.next_attempt = now + wait;
        result
    }

    fn take(&mut self, fetched: Fetched<'_>, now: Duration) -> Result<KeyUpdate, FetchError> {
        match (fetched, &mut self.held) {
            (Fetched::Failed, _) => Err(FetchError::NoAnswer),
            (Fetched::Response { status: 304, .. }, Some(held)) => {
                held.confirmed = now;
                Ok(KeyUpdate::Unchanged)
            }
            (Fetched::Response { status: 200, etag, body, .. }, _) => {
                self.replace(body, etag, now).map_err(FetchError::JwkSet)
            }
            (Fetched::Response { status, .. }, _) => Err(FetchError::Status(status)),
        }
    }

    fn replace(
        &mut self,
        body: &[u8],
        etag: Option<&[u8]>,
        now: Duration,
    ) -> Result<KeyUpdate, JwkSetError> {
        let etag = etag.map(<[u8]>::to_vec);
        if let Some(held) = self.held.as_mut().filter(|held| held.document == body) {
            (held.etag, held.confirmed) = (etag, now);
            return Ok(KeyUpdate::Unchanged);
        }
        let keys = JwkSet::parse(body, KeyKinds::PublicOnly)?;
        let update = KeyUpdate::Replaced {
            keys: keys.len(),
            skipped: keys.skipped().iter().map(ToString::to_string).collect(),
        };
        self.held = Some(HeldSet { keys, document: body.to_vec(), etag, confirmed: now });
        self.generation += 1;
        Ok(update)
    }

    /// The shorter of the policy's `cache_duration` and what is left of the issuer's `max-age`
    /// (RFC 9111 §4.2), and at least a second.
    fn freshness(&self, fetched: Fetched<'_>) -> Duration {
        let max_age = match fetched {
            Fetched::Response { cache_control: Some(value), age, .. } => max_age(value)
                .map(|max_age| max_age.saturating_sub(age.and_then(seconds).unwrap_or_default())),
            _ => None,
        };
        max_age
            .unwrap_or(self.source.cache_duration)
            .min(self.source.cache_duration)
            .max(Duration::from_secs(1))
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("KeyRing").field("slots", &self.slots).finish_non_exhaustive()
    }
}

fn max_age(cache_control: &[u8]) -> Option<Duration> {
    let directives = std::str::from_utf8(cache_control).ok()?.split(',');
    let (_, digits) = directives
        .filter_map(|directive| directive.trim().split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("max-age"))?;
    seconds_of(digits.trim_matches('"'))
}

fn seconds(value: &[u8]) -> Option<Duration> {
    seconds_of(std::str::from_utf8(value).ok()?)
}

fn seconds_of(digits: &str) -> Option<Duration> {
    digits.trim().parse().ok().map(Duration::from_secs)
}

impl fmt::Display for FetchError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer => formatter.write_str("no answer"),
            Self::Status(status) => write!(formatter, "status {status}"),
            Self::JwkSet(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for FetchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::JwkSet(error) => Some(error),
            Self::NoAnswer | Self::Status(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;

//! Time as a port, so that lifetimes are tested in virtual time.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};

/// Where the issuer reads the time.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock set before 1970 reads as 0; every token is then in the future, so refused.
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(elapsed.as_secs())
    }
}

/// Whole seconds since the Unix epoch, as `NumericDate` of RFC 7519, section 2.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// This moment and `seconds` more.
    #[must_use]
    pub fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// The seconds from `earlier` to this moment; 0 when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The time since the Unix epoch.
    #[must_use]
    pub fn since_epoch(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

/// RFC 3339 in UTC, such as `2026-01-31T12:00:00Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = i64::try_from(self.0).ok().and_then(|secs| DateTime::from_timestamp(secs, 0));
        match moment {
            Some(moment) => formatter.write_str(&moment.to_rfc3339_opts(SecondsFormat::Secs, true)),
            None => write!(formatter, "{}s", self.0),
        }
    }
}

#[cfg(test)]
pub(crate) mod virtual_time {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::{Clock, Timestamp};

    /// A clock that moves only when it is told to.
    pub(crate) struct VirtualClock {
        seconds: AtomicU64,
        step: AtomicU64,
    }

    impl VirtualClock {
        pub(crate) fn at(seconds: u64) -> Self {
            Self { seconds: AtomicU64::new(seconds), step: AtomicU64::new(0) }
        }

        pub(crate) fn advance(&self, seconds: u64) {
            self.seconds.fetch_add(seconds, Ordering::SeqCst);
        }

        pub(crate) fn set_back(&self, seconds: u64) {
            self.seconds.fetch_sub(seconds, Ordering::SeqCst);
        }

        /// From now on it moves by `seconds` with every look at it.
        pub(crate) fn advance_when_read(&self, seconds: u64) {
            self.step.store(seconds, Ordering::SeqCst);
        }
    }

    impl Clock for VirtualClock {
        fn now(&self) -> Timestamp {
            let step = self.step.load(Ordering::SeqCst);
            Timestamp(self.seconds.fetch_add(step, Ordering::SeqCst))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_rfc_3339() {
        assert_eq!(Timestamp(1_700_000_000).to_string(), "2023-11-14T22:13:20Z");
        assert_eq!(Timestamp(u64::MAX).to_string(), format!("{}s", u64::MAX));
    }
}

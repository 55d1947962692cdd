//! Moments of which it matters that they are over.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// A moment by two clocks. Lambda freezes processes between requests, for minutes: the monotonic
/// clock may not count that, and the wall clock may be set back.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) monotonic: Instant,
    pub(crate) wall: SystemTime,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { monotonic: Instant::now(), wall: SystemTime::now() }
    }

    /// By whichever clock more has passed.
    pub(crate) fn until(self, later: Self) -> Duration {
        let by_wall = later.wall.duration_since(self.wall).unwrap_or_default();
        later.monotonic.saturating_duration_since(self.monotonic).max(by_wall)
    }
}

//! Waiting between tries of what the SDK does not try again by itself.

use std::time::Duration;

use rand_core::{OsRng, RngCore};
use tokio::time::{Instant, sleep};

use crate::aws::{CALL_LIMIT, FIRST_PAUSE, LONGEST_PAUSE};

/// Pauses that get longer, each of a random length so that those who met once do not meet again.
pub(super) struct Patience {
    longest: Duration,
    deadline: Instant,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { longest: FIRST_PAUSE, deadline: Instant::now() + CALL_LIMIT }
    }

    /// Waits, unless there is no time left: answers whether there was.
    pub(super) async fn pause(&mut self) -> bool {
        let pause = self.longest.mul_f64(f64::from(OsRng.next_u32()) / f64::from(u32::MAX));
        if Instant::now() + pause >= self.deadline {
            return false;
        }
        sleep(pause).await;
        self.longest = (self.longest * 2).min(LONGEST_PAUSE);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ends_within_the_time_of_one_call_after_some_tries() {
        let (started, mut patience, mut tries) = (Instant::now(), Patience::new(), 0);
        while patience.pause().await {
            tries += 1;
        }
        assert!(started.elapsed() <= CALL_LIMIT);
        assert!((8..200).contains(&tries), "{tries}");
    }
}

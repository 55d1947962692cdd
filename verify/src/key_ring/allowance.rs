//! What strangers may cost: a bound on the fetches that anyone can cause who makes up key ids or
//! names of domains, over all key sets of a ring.

use std::time::Duration;

/// One more fetch is free each time this has passed: ten per second.
const INTERVAL: Duration = Duration::from_millis(100);
/// Most fetches at once, after a quiet time. So in any second there are at most 30.
const BURST: u32 = 20;

/// A token bucket, kept as the one time at which it would be full again (GCRA).
#[derive(Debug, Default)]
pub(super) struct Allowance {
    full_at: Duration,
}

impl Allowance {
    /// How long until a fetch is free; zero where one is.
    pub(super) fn wait(&self, now: Duration) -> Duration {
        (self.debt(now) + INTERVAL).saturating_sub(INTERVAL * BURST)
    }

    pub(super) fn is_free(&self, now: Duration) -> bool {
        self.wait(now).is_zero()
    }

    /// Takes one fetch, if one is free.
    pub(super) fn take(&mut self, now: Duration) -> bool {
        let free = self.is_free(now);
        if free {
            self.full_at = now + self.debt(now) + INTERVAL;
        }
        free
    }

    /// Never more than the burst: what says more was read before the clock went back.
    fn debt(&self, now: Duration) -> Duration {
        self.full_at.saturating_sub(now).min(INTERVAL * BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(allowance: &mut Allowance, now: Duration) -> usize {
        (0..1_000).take_while(|_| allowance.take(now)).count()
    }

    #[test]
    fn is_bounded_at_once_and_in_the_long_run() {
        let mut allowance = Allowance::default();
        let start = Duration::from_secs(1_000_000);
        assert_eq!(taken(&mut allowance, start), 20);
        assert_eq!(allowance.wait(start), INTERVAL);
        assert_eq!(taken(&mut allowance, start + Duration::from_millis(99)), 0);
        assert_eq!(taken(&mut allowance, start + Duration::from_millis(100)), 1);
        let later = (101..=60_000).map(|milli| start + Duration::from_millis(milli));
        let taken: usize = later.map(|now| taken(&mut allowance, now)).sum();
        assert_eq!(taken, 599);
    }

    #[test]
    fn a_quiet_time_saves_no_more_than_the_burst() {
        let mut allowance = Allowance::default();
        assert_eq!(taken(&mut allowance, Duration::from_secs(1)), 20);
        assert_eq!(taken(&mut allowance, Duration::from_secs(1_000)), 20);
    }

    #[test]
    fn a_clock_that_goes_back_costs_two_seconds_at_most() {
        let mut allowance = Allowance::default();
        taken(&mut allowance, Duration::from_secs(1_000_000));
        assert_eq!(allowance.wait(Duration::from_secs(5)), INTERVAL);
        assert!(allowance.take(Duration::from_secs(1_000_001)));
    }
}

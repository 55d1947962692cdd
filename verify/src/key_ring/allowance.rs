//! What strangers may cost: a bound on the fetches that anyone can cause who makes up key ids or
//! names of domains. Those who make up the one spend nothing of the other, and with one provider
//! nothing of another.

use std::time::Duration;

/// A token bucket, kept as the one time at which it would be full again (GCRA).
#[derive(Debug)]
pub(super) struct Allowance {
    /// One more fetch is free each time this has passed.
    interval: Duration,
    /// Most fetches at once, after a quiet time.
    burst: u32,
    full_at: Duration,
}

impl Allowance {
    /// For the domains of one provider: ten per second and 20 at once, so at most 30 in any second.
    pub(super) const fn of_domains() -> Self {
        Self { interval: Duration::from_millis(100), burst: 20, full_at: Duration::ZERO }
    }

    /// For all providers without domains together, of which the policy names only so many: 50 per
    /// second and 100 at once.
    pub(super) const fn of_providers() -> Self {
        Self { interval: Duration::from_millis(20), burst: 100, full_at: Duration::ZERO }
    }

    /// How long until a fetch is free; zero where one is.
    pub(super) fn wait(&self, now: Duration) -> Duration {
        (self.debt(now) + self.interval).saturating_sub(self.interval * self.burst)
    }

    pub(super) fn is_free(&self, now: Duration) -> bool {
        self.wait(now).is_zero()
    }

    /// Takes one fetch, if one is free.
    pub(super) fn take(&mut self, now: Duration) -> bool {
        let free = self.is_free(now);
        if free {
            self.full_at = now + self.debt(now) + self.interval;
        }
        free
    }

    /// How far from full it is: never further than the burst. What says much more was written
    /// before the clock was set back, and would keep the gate shut until it is that late again.
    fn debt(&self, now: Duration) -> Duration {
        let burst = self.interval * self.burst;
        match self.full_at.saturating_sub(now) {
            debt if debt > burst * 2 => Duration::ZERO,
            debt => debt.min(burst),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(100);

    fn taken(allowance: &mut Allowance, now: Duration) -> usize {
        (0..1_000).take_while(|_| allowance.take(now)).count()
    }

    #[test]
    fn is_bounded_at_once_and_in_the_long_run() {
        let mut allowance = Allowance::of_domains();
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
        let mut allowance = Allowance::of_domains();
        assert_eq!(taken(&mut allowance, Duration::from_secs(1)), 20);
        assert_eq!(taken(&mut allowance, Duration::from_secs(1_000)), 20);
    }

    #[test]
    fn a_clock_that_goes_back_does_not_shut_the_gate_for_long() {
        let start = Duration::from_secs(1_000_000);
        for back in [1, 500, 1_000, 1_999, 2_001, 10_000, 999_999_000] {
            let mut allowance = Allowance::of_domains();
            taken(&mut allowance, start);
            let now = start.saturating_sub(Duration::from_millis(back));
            assert!(allowance.wait(now) <= INTERVAL, "{back}");
            let (soon, later) =
                (now + Duration::from_millis(50), now + Duration::from_millis(2_200));
            assert!(back > 2_000 || !allowance.is_free(soon), "{back}");
            assert!(allowance.is_free(later), "{back}");
        }
    }
}

//! Times to an answer, in three figures.

use std::time::Duration;

/// Times to an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Latencies {
    pub(crate) median: Duration,
    pub(crate) p99: Duration,
    pub(crate) longest: Duration,
}

impl Latencies {
    /// The figures of times in microseconds, which are sorted by that.
    pub(crate) fn of(times: &mut [u32]) -> Self {
        times.sort_unstable();
        let at = |share: usize| {
            let index = times.len().saturating_sub(1) * share / 1000;
            let micros = times.get(index).copied().unwrap_or_default();
            Duration::from_micros(micros.into())
        };
        Self { median: at(500), p99: at(990), longest: at(1000) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_of_the_sorted_times() {
        let mut times: Vec<u32> = (1..=200).rev().collect();
        let Latencies { median, p99, longest } = Latencies::of(&mut times);
        let micros = [median, p99, longest].map(|time| time.as_micros());
        assert_eq!(micros, [100, 198, 200]);
        assert_eq!(Latencies::of(&mut []).longest, Duration::ZERO);
    }
}

//! Chance from a seed that is printed, so that a run can be told from another.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// `SplitMix64`. All who draw from one take from one row.
#[derive(Debug)]
pub(crate) struct Random(AtomicU64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A number below `bound`, or 0 where that is 0.
    pub(crate) fn below(&self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % bound).unwrap_or_default()
    }

    /// A time from `least` to `most`, in steps of a millisecond.
    pub(crate) fn between(&self, least: Duration, most: Duration) -> Duration {
        let span = usize::try_from(most.saturating_sub(least).as_millis()).unwrap_or(usize::MAX);
        let offset = self.below(span.saturating_add(1));
        least + Duration::from_millis(u64::try_from(offset).unwrap_or_default())
    }

    /// One of them.
    pub(crate) fn choose<'a, T>(&self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }

    fn next(&self) -> u64 {
        let step = 0x9e37_79b9_7f4a_7c15;
        let number = self.0.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_within_their_bounds_and_come_to_all_of_them() {
        let random = Random::new(7);
        let mut seen = [0; 5];
        for _ in 0..1000 {
            seen[random.below(5)] += 1;
        }
        assert!(seen.iter().all(|count| *count > 100), "{seen:?}");
        assert_eq!((random.below(0), random.below(1)), (0, 0));
        let (least, most) = (Duration::from_millis(10), Duration::from_millis(12));
        for _ in 0..100 {
            assert!((least..=most).contains(&random.between(least, most)));
        }
        assert_eq!(random.choose::<u8>(&[]), None);
    }
}

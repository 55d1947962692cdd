//! When to try again. The core has no randomness: what spreads the gates of a fleet over time is
//! a number that the host gives once, mixed with what is fetched and how often it has been.

use std::time::Duration;

use crate::policy::KeyFetching;

/// Parts of a whole, in which the windows below are measured.
const WHOLE: u32 = 1_000;
/// A set is refreshed when between 80 % and 95 % of its lifetime have passed: early enough for
/// another try before its end, and not at the same time as everyone else.
const REFRESH: (u32, u32) = (800, 950);
/// A wait after a failure is between 75 % and 100 % of its nominal length.
const BACK_OFF: (u32, u32) = (750, 1_000);

/// Where within a window something is to happen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chance(u64);

impl Chance {
    /// The chance of the `attempt`th attempt at what `salt` stands for, in the ring of this seed.
    pub(super) fn new(seed: u64, salt: u64, attempt: u64) -> Self {
        Self(mix(seed ^ mix(salt ^ mix(attempt))))
    }

    fn within(self, length: Duration, (least, most): (u32, u32)) -> Duration {
        let offset = u32::try_from(self.0 % u64::from(most - least + 1)).unwrap_or_default();
        length.saturating_mul(least + offset) / WHOLE
    }
}

/// How long after it came a set of this lifetime is refreshed: always before its end.
pub(super) fn refresh_after(lifetime: Duration, chance: Chance) -> Duration {
    chance.within(lifetime, REFRESH)
}

/// How long to wait after a failure, with so many failures before it. Doubles with each.
pub(super) fn back_off(fetching: &KeyFetching, failures: u32, chance: Chance) -> Duration {
    let nominal = fetching.first_back_off.saturating_mul(1 << failures.min(20));
    chance.within(nominal.min(fetching.max_back_off), BACK_OFF)
}

/// A number that stands for a key set.
pub(super) fn salt(provider: usize, domain: &str) -> u64 {
    domain.bytes().fold(mix(provider as u64), |salt, byte| mix(salt ^ u64::from(byte)))
}

/// The finisher of `SplitMix64`: each bit of the input changes half of the output's.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwk::KeyKinds;

    fn chances() -> impl Iterator<Item = Chance> {
        (0..2_000).map(|attempt| Chance::new(7, salt(3, "shop"), attempt))
    }

    #[test]
    fn a_refresh_falls_anywhere_in_its_window() {
        let lifetime = Duration::from_secs(1_000);
        let waits: Vec<u64> =
            chances().map(|chance| refresh_after(lifetime, chance).as_secs()).collect();
        assert_eq!((waits.iter().min(), waits.iter().max()), (Some(&800), Some(&950)));
        for start in (800..950).step_by(15) {
            let share = waits.iter().filter(|wait| (start..start + 15).contains(*wait)).count();
            assert!((120..300).contains(&share), "{share} of 2000 in a tenth of the window");
        }
    }

    #[test]
    fn waits_after_failures_double_up_to_the_longest() {
        let fetching = KeyFetching {
            cache_duration: Duration::ZERO,
            max_stale: Duration::ZERO,
            first_back_off: Duration::from_secs(2),
            max_back_off: Duration::from_secs(20),
            key_kinds: KeyKinds::PublicOnly,
        };
        for (failures, nominal) in [(0, 2_000), (1, 4_000), (3, 16_000), (4, 20_000), (99, 20_000)]
        {
            for chance in chances() {
                let wait = back_off(&fetching, failures, chance).as_millis();
                assert!((nominal * 3 / 4..=nominal).contains(&wait), "{failures}: {wait}");
            }
        }
    }

    #[test]
    fn seed_provider_domain_and_attempt_all_count() {
        let wait = |seed, provider, domain, attempt| {
            let chance = Chance::new(seed, salt(provider, domain), attempt);
            refresh_after(Duration::from_secs(1_000), chance)
        };
        let first = wait(0, 0, "b", 0);
        for (what, other) in [
            ("seed", wait(1, 0, "b", 0)),
            ("provider", wait(0, 1, "b", 0)),
            ("domain", wait(0, 0, "a", 0)),
            ("attempt", wait(0, 0, "b", 1)),
        ] {
            assert_ne!(first, other, "{what}");
        }
        assert_eq!(first, wait(0, 0, "b", 0));
    }
}

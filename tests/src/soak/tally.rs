//! What was asked and answered.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ledger::{Class, Expected};
use crate::load::Latencies;

/// How many wrong answers are told in full.
const MAX_EXAMPLES: usize = 10;

/// The answers that one connection has got, or all.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// How often each class was answered by each verdict: `allowed`, or the code of a denial.
    verdicts: BTreeMap<Class, BTreeMap<String, u64>>,
    /// In microseconds, unsorted.
    latencies: Vec<u32>,
    pub(super) wrong_denials: u64,
    pub(super) wrong_accepts: u64,
    pub(super) examples: Vec<String>,
}

/// One answer of the gate.
pub(super) struct Answered {
    pub(super) class: Class,
    /// `allowed`, or the code of a denial.
    pub(super) verdict: String,
    /// It passed, and as whom it should have.
    pub(super) passed: bool,
    pub(super) took: Duration,
}

impl Tally {
    /// Counts an answer, and tells `example` where it is wrong.
    pub(super) fn count(&mut self, answered: Answered, example: impl FnOnce() -> String) {
        let Answered { class, verdict, passed, took } = answered;
        self.latencies.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
        let wrong = match class.expected() {
            Expected::Pass if !passed => &mut self.wrong_denials,
            Expected::Denial if passed => &mut self.wrong_accepts,
            _ => {
                return self.enter(class, verdict);
            }
        };
        *wrong += 1;
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(format!("{class}: {verdict}, {}", example()));
        }
        self.enter(class, verdict);
    }

    /// Another's identity, or no answer at all: wrong whatever the token was.
    pub(super) fn count_failure(&mut self, class: Class, verdict: String, is_accept: bool) {
        *(if is_accept { &mut self.wrong_accepts } else { &mut self.wrong_denials }) += 1;
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(format!("{class}: {verdict}"));
        }
        self.enter(class, verdict);
    }

    pub(super) fn add(&mut self, other: Self) {
        for (class, verdicts) in other.verdicts {
            for (verdict, count) in verdicts {
                *self.verdicts.entry(class).or_default().entry(verdict).or_default() += count;
            }
        }
        self.latencies.extend(other.latencies);
        self.wrong_denials += other.wrong_denials;
        self.wrong_accepts += other.wrong_accepts;
        let room = MAX_EXAMPLES.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.into_iter().take(room));
    }

    pub(super) fn requests(&self) -> u64 {
        self.verdicts.values().flat_map(BTreeMap::values).sum()
    }

    pub(super) fn of_class(&self, class: Class) -> u64 {
        self.verdicts.get(&class).map(|verdicts| verdicts.values().sum()).unwrap_or_default()
    }

    /// Class, verdict and count, in order.
    pub(super) fn rows(&self) -> impl Iterator<Item = (Class, &str, u64)> {
        self.verdicts.iter().flat_map(|(class, verdicts)| {
            verdicts.iter().map(|(verdict, count)| (*class, verdict.as_str(), *count))
        })
    }

    pub(super) fn latencies(&mut self) -> Latencies {
        Latencies::of(&mut self.latencies)
    }

    fn enter(&mut self, class: Class, verdict: String) {
        *self.verdicts.entry(class).or_default().entry(verdict).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(tally: &mut Tally, class: Class, passed: bool, micros: u64) {
        let verdict = if passed { "allowed" } else { "denied" }.to_owned();
        let took = Duration::from_micros(micros);
        tally.count(Answered { class, verdict, passed, took }, || "so".to_owned());
    }

    #[test]
    fn a_wrong_answer_is_counted_and_told() {
        let mut tally = Tally::default();
        count(&mut tally, Class::Valid, true, 1);
        count(&mut tally, Class::Expired, false, 2);
        count(&mut tally, Class::FreshKey, false, 3);
        assert_eq!((tally.wrong_denials, tally.wrong_accepts), (0, 0));
        count(&mut tally, Class::Valid, false, 4);
        count(&mut tally, Class::Revoked, true, 100);
        tally.count_failure(Class::Valid, "no answer".to_owned(), false);
        assert_eq!((tally.wrong_denials, tally.wrong_accepts), (2, 1));
        assert_eq!(tally.examples[0], "valid: denied, so");
        let mut all = Tally::default();
        all.add(tally);
        assert_eq!((all.requests(), all.of_class(Class::Valid)), (6, 3));
        assert_eq!(all.examples.len(), 3);
        let Latencies { median, longest, .. } = all.latencies();
        assert_eq!((median.as_micros(), longest.as_micros()), (3, 100));
    }
}

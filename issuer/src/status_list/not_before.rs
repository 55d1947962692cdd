//! From when on tokens count: the big hammer.

use std::{cmp::Reverse, collections::BTreeMap};

use serde::Serialize;

use crate::clock::Timestamp;

/// Tokens issued before are refused, all of a domain or all of a user. The greater of the two
/// counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NotBefore {
    /// For all users of the domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all: Option<Timestamp>,
    /// For some users, by the `sub` of their tokens.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub subjects: BTreeMap<String, Timestamp>,
}

/// How many users one list names at most. An edge reads no longer list than 1 MiB, of which one that
/// is full of ended sessions takes a quarter.
const PUBLISHED_SUBJECTS: usize = 8192;
/// How many bytes they take at most; in base64url, a third more.
const PUBLISHED_BYTES: usize = 512 * 1024;
/// What a user takes beside the name: the time, and marks.
const BYTES_BESIDE_NAME: usize = 12;

impl NotBefore {
    /// Takes over what is greater. Answers whether anything was.
    pub(super) fn raise(&mut self, other: Self) -> bool {
        let before = self.all;
        self.all = self.all.max(other.all);
        let mut raised = self.all != before;
        for (subject, at) in other.subjects {
            let known = self.subjects.entry(subject).or_default();
            raised |= *known < at;
            *known = at.max(*known);
        }
        raised
    }

    /// Leaves out the users whose older tokens have all expired.
    pub(super) fn forget_subjects_before(&mut self, limit: Timestamp) {
        self.subjects.retain(|_, at| limit <= *at);
    }

    /// What one list has room for: the users who were cut off last. For the others everyone is.
    pub(super) fn published(&self) -> Self {
        let mut latest: Vec<_> = self.subjects.iter().collect();
        latest.sort_unstable_by_key(|(_, at)| Reverse(**at));
        let mut bytes = 0;
        let left_out = latest.into_iter().enumerate().find_map(|(before, (subject, at))| {
            bytes += listed_bytes(subject);
            (before >= PUBLISHED_SUBJECTS || bytes > PUBLISHED_BYTES).then_some(*at)
        });
        let Some(left_out) = left_out else {
            return self.clone();
        };
        let mut published = self.clone();
        published.all = self.all.max(Some(left_out));
        published.subjects.retain(|_, at| left_out < *at);
        published
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_none() && self.subjects.is_empty()
    }

    /// The greatest of all.
    pub(crate) fn latest(&self) -> Option<Timestamp> {
        self.all.max(self.subjects.values().max().copied())
    }
}

fn listed_bytes(subject: &str) -> usize {
    let name = serde_json::to_string(subject).map_or(usize::MAX / 2, |name| name.len());
    name + BYTES_BESIDE_NAME
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(all: Option<u64>, subjects: &[(&str, u64)]) -> NotBefore {
        let subjects = subjects.iter().map(|(name, at)| ((*name).to_owned(), Timestamp(*at)));
        NotBefore { all: all.map(Timestamp), subjects: subjects.collect() }
    }

    #[test]
    fn the_greater_wins_and_nothing_is_lowered() {
        let mut known = NotBefore::default();
        assert!(known.is_empty());
        assert!(!known.raise(NotBefore::default()));
        assert!(known.raise(of(None, &[("ada", 5), ("bob", 9)])));
        assert!(known.raise(of(Some(7), &[("ada", 6), ("bob", 8)])));
        assert!(!known.raise(of(Some(6), &[("ada", 6)])));
        assert_eq!(known, of(Some(7), &[("ada", 6), ("bob", 9)]));
        assert_eq!(known.latest(), Some(Timestamp(9)));
    }

    #[test]
    fn users_are_left_out_after_their_time_and_the_domain_never() {
        let mut known = of(Some(1), &[("ada", 5), ("bob", 9)]);
        known.forget_subjects_before(Timestamp(6));
        assert_eq!(known, of(Some(1), &[("bob", 9)]));
    }

    #[test]
    fn those_cut_off_last_are_named_and_for_the_others_everyone_is_cut_off() {
        let subject = |number: u64| (number.to_string(), Timestamp(1000 + number));
        let of = |all, subjects| NotBefore { all: Some(Timestamp(all)), subjects };
        let most = of(5, (0..8192).map(subject).collect());
        assert_eq!(most.published(), most);
        let more = of(5, (0..9000).map(subject).collect());
        let published = more.published();
        assert_eq!(published, of(1807, (808..9000).map(subject).collect()));
        assert_eq!(published.subjects.len(), 8192);
        assert_eq!(of(2000, more.subjects).published().all, Some(Timestamp(2000)));
        let at_once = of(5, (0..9000).map(|number| (number.to_string(), Timestamp(7))).collect());
        assert_eq!(at_once.published(), of(7, BTreeMap::new()));

        // Of names as long as an import takes them, fewer.
        let long = |number: u64| (format!("{number:0128}"), Timestamp(1000 + number));
        let published = of(5, (0..8000).map(long).collect()).published();
        let bytes = serde_json::to_string(&published).unwrap().len();
        assert!((500_000..=512 * 1024 + 32).contains(&bytes), "{bytes}");
        assert!(published.all > Some(Timestamp(1000)));
    }

    #[test]
    fn only_what_is_there_is_written() {
        let written = |of: NotBefore| serde_json::to_string(&of).unwrap();
        assert_eq!(written(of(None, &[])), "{}");
        assert_eq!(written(of(Some(7), &[("ada", 5)])), "{\"all\":7,\"subjects\":{\"ada\":5}}");
    }
}

//! From when on tokens count: the big hammer.

use std::collections::BTreeMap;

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

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_none() && self.subjects.is_empty()
    }

    /// The greatest of all.
    pub(super) fn latest(&self) -> Option<Timestamp> {
        self.all.max(self.subjects.values().max().copied())
    }
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
    fn only_what_is_there_is_written() {
        let written = |of: NotBefore| serde_json::to_string(&of).unwrap();
        assert_eq!(written(of(None, &[])), "{}");
        assert_eq!(written(of(Some(7), &[("ada", 5)])), "{\"all\":7,\"subjects\":{\"ada\":5}}");
    }
}

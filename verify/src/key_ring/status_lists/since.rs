//! From when on the tokens of one domain count, by all the lists that have come.

use std::{collections::BTreeMap, time::Duration};

use crate::status_list::{NotBefore, Reference};

/// For how long after a list named a time it counts, although later lists do not name it any more.
/// Issuers of which several sign lists may not all know it yet.
const REMEMBERED: Duration = Duration::from_secs(600);

/// The times that a domain's lists name. Each can only rise.
#[derive(Debug, Default)]
pub(super) struct Since {
    /// Unique over all domains of the ring and over time; 0 while nothing is named.
    state: u64,
    all: Option<Named>,
    subjects: BTreeMap<Box<str>, Named>,
    /// When the newest of the lists was signed.
    newest: Duration,
    /// What it says was signed by a key that the issuer has withdrawn.
    is_doubtful: bool,
}

#[derive(Debug, Clone, Copy)]
struct Named {
    not_before: Duration,
    /// When the last list that named it was signed.
    by: Duration,
}

impl Since {
    pub(super) fn state(&self) -> u64 {
        self.state
    }

    /// The next list says anew what counts; until then, all goes on counting.
    pub(super) fn doubt(&mut self) {
        self.is_doubtful = true;
    }

    /// Takes what a list says.
    pub(super) fn take(&mut self, said: &NotBefore, issued_at: Duration, last_state: &mut u64) {
        if self.is_doubtful {
            *self = Self::default();
        }
        self.newest = self.newest.max(issued_at);
        let mut rises = self.raise_all(said.all, issued_at);
        for (subject, not_before) in &said.subjects {
            rises |= self.raise(subject, *not_before, issued_at);
        }
        let newest = self.newest;
        let counts = |named: &Named| newest <= named.by + REMEMBERED;
        self.all = self.all.filter(counts);
        self.subjects.retain(|_, named| counts(named));
        if rises {
            *last_state += 1;
            self.state = *last_state;
        }
    }

    fn raise_all(&mut self, not_before: Option<Duration>, by: Duration) -> bool {
        let Some(not_before) = not_before else { return false };
        raise(self.all.get_or_insert(NOTHING), not_before, by)
    }

    fn raise(&mut self, subject: &str, not_before: Duration, by: Duration) -> bool {
        if let Some(named) = self.subjects.get_mut(subject) {
            return raise(named, not_before, by);
        }
        self.subjects.insert(subject.into(), Named { not_before, by });
        true
    }

    /// Whether a token is too old. One that passes is not looked at again before something changes.
    pub(super) fn refuses(&self, token: &Reference) -> bool {
        if self.state == 0 || token.passed() == self.state {
            return false;
        }
        let of_subject = token.subject.as_deref().and_then(|subject| self.subjects.get(subject));
        let named = self.all.iter().chain(of_subject).map(|named| named.not_before).max();
        let refuses = named.is_some_and(|not_before| {
            token.issued_at.is_none_or(|issued_at| issued_at < not_before)
        });
        if !refuses {
            token.set_passed(self.state);
        }
        refuses
    }
}

const NOTHING: Named = Named { not_before: Duration::ZERO, by: Duration::ZERO };

/// Whether that is later than what was named.
fn raise(named: &mut Named, not_before: Duration, by: Duration) -> bool {
    let rises = not_before > named.not_before;
    named.not_before = named.not_before.max(not_before);
    named.by = named.by.max(by);
    rises
}

//! What the gate can know by its policy: which keys there are, and whether it could have asked.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use super::LEARNING_TIME;

/// Shared by all who change the issuer and all who judge the gate. Times count from the Unix epoch.
#[derive(Debug, Default)]
pub(super) struct Knowledge(RwLock<Facts>);

#[derive(Debug, Default)]
struct Facts {
    /// When the issuer answered in time; the last one may go on.
    uptimes: Vec<Uptime>,
    keys: BTreeMap<String, KeyFacts>,
}

#[derive(Debug)]
struct Uptime {
    since: Duration,
    until: Option<Duration>,
}

#[derive(Debug)]
struct KeyFacts {
    domain: &'static str,
    published: Duration,
    withdrawal: Option<Withdrawal>,
}

#[derive(Debug)]
struct Withdrawal {
    done: Option<Duration>,
}

/// How a key stands at one moment, for all threads of the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyStanding {
    /// Every thread has had the time to learn it.
    Known,
    /// It is published, but perhaps not every thread could have fetched it.
    Fresh,
    /// It is being withdrawn, or is, and perhaps not every thread could have learnt that.
    BeingWithdrawn,
    /// Every thread has had the time to learn that it is withdrawn.
    Withdrawn,
}

impl Knowledge {
    /// The issuer has answered in time.
    pub(super) fn issuer_answers(&self, now: Duration) {
        let mut facts = self.write();
        if facts.uptimes.last().is_none_or(|uptime| uptime.until.is_some()) {
            facts.uptimes.push(Uptime { since: now, until: None });
        }
    }

    /// The issuer is down, or slow, since this time at the latest.
    pub(super) fn issuer_fails(&self, since: Duration) {
        if let Some(uptime) = self.write().uptimes.last_mut() {
            uptime.until.get_or_insert(since);
        }
    }

    /// For how long in all the issuer has answered in time.
    pub(super) fn uptime(&self, now: Duration) -> Duration {
        self.read().uptimes.iter().map(|uptime| uptime.length(now)).sum()
    }

    /// A key is published; nothing changes where it was known.
    pub(super) fn published(&self, domain: &'static str, key_id: &str, now: Duration) {
        let mut facts = self.write();
        let fresh = KeyFacts { domain, published: now, withdrawal: None };
        facts.keys.entry(key_id.to_owned()).or_insert(fresh);
    }

    /// Everything that a domain has is about to be withdrawn. What is published after that with
    /// [`Knowledge::withdrawn`] is not.
    pub(super) fn begin_withdrawal(&self, domain: &str) {
        let mut facts = self.write();
        for key in facts.keys.values_mut().filter(|key| key.domain == domain) {
            key.withdrawal.get_or_insert(Withdrawal { done: None });
        }
    }

    /// The withdrawal is done, and these keys are what is left.
    pub(super) fn withdrawn(&self, domain: &'static str, left: &[String], now: Duration) {
        {
            let mut facts = self.write();
            for (key_id, key) in facts.keys.iter_mut().filter(|(_, key)| key.domain == domain) {
                if left.contains(key_id) {
                    key.withdrawal = None;
                } else if let Some(withdrawal) = &mut key.withdrawal {
                    withdrawal.done.get_or_insert(now);
                }
            }
        }
        for key_id in left {
            self.published(domain, key_id, now);
        }
    }

    /// How a key stands. One that nobody has told of is a fresh one: a token may come faster than
    /// the list of keys.
    pub(super) fn standing(&self, key_id: &str, now: Duration) -> KeyStanding {
        let facts = self.read();
        let Some(key) = facts.keys.get(key_id) else { return KeyStanding::Fresh };
        match &key.withdrawal {
            Some(Withdrawal { done: Some(done) }) if facts.could_learn(*done, now) => {
                KeyStanding::Withdrawn
            }
            Some(_) => KeyStanding::BeingWithdrawn,
            None if facts.could_learn(key.published, now) => KeyStanding::Known,
            None => KeyStanding::Fresh,
        }
    }

    /// Since when the issuer answers in time or does not: for examples in a report.
    pub(super) fn recently(&self, now: Duration) -> String {
        match self.read().uptimes.last() {
            Some(Uptime { since, until: None }) => {
                format!("the issuer answers since {:?}", now.saturating_sub(*since))
            }
            Some(Uptime { until: Some(until), .. }) => {
                format!("the issuer fails since {:?}", now.saturating_sub(*until))
            }
            None => "the issuer has never answered".to_owned(),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Facts> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Facts> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Uptime {
    fn length(&self, now: Duration) -> Duration {
        self.until.unwrap_or(now).saturating_sub(self.since)
    }
}

impl Facts {
    /// Whether the issuer answered for long enough, in one piece, between these times.
    fn could_learn(&self, from: Duration, now: Duration) -> bool {
        self.uptimes.iter().rev().any(|uptime| {
            let since = uptime.since.max(from);
            let until = uptime.until.unwrap_or(now).min(now);
            until.saturating_sub(since) >= LEARNING_TIME
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_key_is_known_after_the_issuer_has_served_it_for_long_enough() {
        let knowledge = Knowledge::default();
        knowledge.published("shop", "a", at(0));
        assert_eq!(knowledge.standing("a", at(100)), KeyStanding::Fresh);
        knowledge.issuer_answers(at(100));
        let known = at(100) + LEARNING_TIME;
        assert_eq!(knowledge.standing("a", at(101)), KeyStanding::Fresh);
        assert_eq!(knowledge.standing("a", known), KeyStanding::Known);
        // An outage right after a key came: two short uptimes are not a long one.
        knowledge.published("shop", "b", known);
        knowledge.issuer_fails(known + at(1));
        knowledge.issuer_answers(known + at(10));
        assert_eq!(knowledge.standing("b", known + at(11)), KeyStanding::Fresh);
        assert_eq!(knowledge.standing("b", known + at(10) + LEARNING_TIME), KeyStanding::Known);
        assert_eq!(knowledge.standing("a", known + at(5)), KeyStanding::Known);
        assert_eq!(knowledge.standing("of nobody", at(1000)), KeyStanding::Fresh);
    }

    #[test]
    fn a_withdrawal_counts_once_the_gate_could_learn_of_it() {
        let knowledge = Knowledge::default();
        knowledge.issuer_answers(at(0));
        for key_id in ["old", "next"] {
            knowledge.published("vault", key_id, at(0));
        }
        knowledge.published("shop", "other", at(0));
        knowledge.begin_withdrawal("vault");
        assert_eq!(knowledge.standing("old", at(20)), KeyStanding::BeingWithdrawn);
        knowledge.withdrawn("vault", &["next".to_owned(), "new".to_owned()], at(20));
        assert_eq!(knowledge.standing("old", at(21)), KeyStanding::BeingWithdrawn);
        assert_eq!(knowledge.standing("next", at(21)), KeyStanding::Known);
        assert_eq!(knowledge.standing("new", at(21)), KeyStanding::Fresh);
        assert_eq!(knowledge.standing("other", at(21)), KeyStanding::Known);
        let learnt = at(20) + LEARNING_TIME;
        assert_eq!(knowledge.standing("old", learnt), KeyStanding::Withdrawn);
        assert_eq!(knowledge.standing("new", learnt), KeyStanding::Known);
    }
}

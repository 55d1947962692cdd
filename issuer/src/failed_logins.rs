//! Slowing down those who guess passwords.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{account::Account, clock::Timestamp};

/// How many failures an account may have in [`LoginFailures::WINDOW_SECONDS`] before its logins are refused
/// for the rest of them. It is a compromise: whoever knows a name can keep its owner out that
/// long, and can try some 2900 passwords a day.
const FAILURES_ALLOWED: u32 = 10;
/// A bound on memory, some 2 MB. To get past it, an attacker needs as many password checks.
const ACCOUNTS_MAX: usize = 10_000;

/// The failed logins of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginFailures {
    /// When the first of them was.
    pub since: Timestamp,
    /// How many there were.
    pub count: u32,
}

impl LoginFailures {
    /// For how many seconds failures are remembered.
    pub const WINDOW_SECONDS: u64 = 300;
    /// The seconds that their account has to wait, if it does.
    #[must_use]
    pub fn wait(self, now: Timestamp) -> Option<u64> {
        let seconds_left = self.seconds_left(now);
        (self.count >= FAILURES_ALLOWED && seconds_left > 0).then_some(seconds_left)
    }

    /// These and one more at `now`; or only that one, when there were none or they are forgotten.
    #[must_use]
    pub fn and_one(failures: Option<Self>, now: Timestamp) -> Self {
        match failures {
            Some(failures) if failures.seconds_left(now) > 0 => {
                Self { count: failures.count.saturating_add(1), ..failures }
            }
            _ => Self { since: now, count: 1 },
        }
    }

    /// The seconds until they are forgotten. A clock that was set back forgets them, too.
    fn seconds_left(self, now: Timestamp) -> u64 {
        Self::WINDOW_SECONDS.saturating_sub(now.0.abs_diff(self.since.0))
    }
}

/// The failed logins of the last minutes, of accounts that exist and of those that do not: a
/// refusal tells nothing. Kept in the memory of one process.
#[derive(Default)]
pub(crate) struct FailedLogins(Mutex<HashMap<Account, LoginFailures>>);

impl FailedLogins {
    /// What is remembered of an account.
    pub(crate) fn of(&self, account: &Account) -> Option<LoginFailures> {
        self.accounts().get(account).copied()
    }

    /// Counts a failure.
    pub(crate) fn record(&self, account: &Account, now: Timestamp) {
        let mut accounts = self.accounts();
        if accounts.len() >= ACCOUNTS_MAX && !accounts.contains_key(account) {
            make_room(&mut accounts, now);
        }
        let failures = LoginFailures::and_one(accounts.get(account).copied(), now);
        accounts.insert(account.clone(), failures);
    }

    /// Forgets the failures of an account that has logged in.
    pub(crate) fn forget(&self, account: &Account) {
        self.accounts().remove(account);
    }

    fn accounts(&self) -> MutexGuard<'_, HashMap<Account, LoginFailures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops what is over, or else what will be over first.
fn make_room(accounts: &mut HashMap<Account, LoginFailures>, now: Timestamp) {
    accounts.retain(|_, failures| failures.seconds_left(now) > 0);
    if accounts.len() < ACCOUNTS_MAX {
        return;
    }
    let first = accounts.iter().min_by_key(|(_, failures)| failures.seconds_left(now));
    if let Some(first) = first.map(|(account, _)| account.clone()) {
        accounts.remove(&first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn account(name: &str) -> Account {
        Account::new("shop".parse().unwrap(), name)
    }

    fn wait(failed: &FailedLogins, name: &str, now: Timestamp) -> Option<u64> {
        failed.of(&account(name))?.wait(now)
    }

    fn fail(failed: &FailedLogins, name: &str, times: u32) {
        for _ in 0..times {
            failed.record(&account(name), NOW);
        }
    }

    #[test]
    fn ten_failures_are_borne_and_then_forgotten_in_time() {
        let failed = FailedLogins::default();
        let ada = |after| wait(&failed, "ada", NOW.plus(after));
        fail(&failed, "ada", 9);
        assert_eq!(ada(0), None);
        fail(&failed, "ada", 1);
        assert_eq!((ada(0), ada(299), ada(300)), (Some(300), Some(1), None));
        assert_eq!(wait(&failed, "bob", NOW), None);
        let namesake = Account::new("blog".parse().unwrap(), "ada");
        assert_eq!(failed.of(&namesake), None);
        failed.record(&account("ada"), NOW.plus(300));
        assert_eq!(ada(300), None);
    }

    #[test]
    fn a_login_forgets_them_and_so_does_a_clock_that_was_set_back() {
        let failed = FailedLogins::default();
        fail(&failed, "ada", 10);
        assert_eq!(wait(&failed, "ada", Timestamp(NOW.0 - 300)), None);
        failed.forget(&account("ada"));
        assert_eq!(failed.of(&account("ada")), None);
    }

    #[test]
    fn memory_is_bounded_and_the_latest_are_kept() {
        let failed = FailedLogins::default();
        for (name, moment) in (0..ACCOUNTS_MAX).zip(NOW.0..) {
            let moment = Timestamp(moment.min(NOW.0 + 100));
            failed.record(&account(&name.to_string()), moment);
        }
        let later = NOW.plus(100);
        for _ in 0..10 {
            failed.record(&account("ada"), later);
        }
        assert_eq!(failed.accounts().len(), ACCOUNTS_MAX);
        assert!(!failed.accounts().contains_key(&account("0")));
        assert_eq!(wait(&failed, "ada", later), Some(300));
        failed.record(&account("bob"), NOW.plus(1000));
        assert_eq!(failed.accounts().len(), 1);
    }
}

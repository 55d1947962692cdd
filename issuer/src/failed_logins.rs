//! Slowing down those who guess passwords.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{account::Account, clock::Timestamp};

/// How many failures an account may have in [`WINDOW_SECONDS`] before its logins are refused
/// for the rest of them. It is a compromise: whoever knows a name can keep its owner out that
/// long, and can try some 2900 passwords a day.
const FAILURES_ALLOWED: u32 = 10;
const WINDOW_SECONDS: u64 = 300;
/// A bound on memory, some 2 MB. To get past it, an attacker needs as many password checks.
const ACCOUNTS_MAX: usize = 10_000;

/// The failed logins of the last minutes, of accounts that exist and of those that do not: a
/// refusal tells nothing. Kept in memory, by each process for itself.
#[derive(Default)]
pub(crate) struct FailedLogins(Mutex<HashMap<Account, Failures>>);

#[derive(Clone, Copy)]
struct Failures {
    since: Timestamp,
    count: u32,
}

impl Failures {
    /// The seconds until they are forgotten. A clock that was set back forgets them, too.
    fn seconds_left(self, now: Timestamp) -> u64 {
        WINDOW_SECONDS.saturating_sub(now.0.abs_diff(self.since.0))
    }
}

impl FailedLogins {
    /// The seconds that `account` has to wait, if it does.
    pub(crate) fn wait(&self, account: &Account, now: Timestamp) -> Option<u64> {
        let failures = self.accounts().get(account).copied()?;
        let seconds_left = failures.seconds_left(now);
        (failures.count >= FAILURES_ALLOWED && seconds_left > 0).then_some(seconds_left)
    }

    /// Counts a failure.
    pub(crate) fn record(&self, account: &Account, now: Timestamp) {
        let mut accounts = self.accounts();
        if let Some(failures) = accounts.get_mut(account)
            && failures.seconds_left(now) > 0
        {
            failures.count = failures.count.saturating_add(1);
            return;
        }
        if accounts.len() >= ACCOUNTS_MAX {
            make_room(&mut accounts, now);
        }
        accounts.insert(account.clone(), Failures { since: now, count: 1 });
    }

    /// Forgets the failures of an account that has logged in.
    pub(crate) fn forget(&self, account: &Account) {
        self.accounts().remove(account);
    }

    fn accounts(&self) -> MutexGuard<'_, HashMap<Account, Failures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops what is over, or else what will be over first.
fn make_room(accounts: &mut HashMap<Account, Failures>, now: Timestamp) {
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

    fn fail(failed: &FailedLogins, name: &str, times: u32) {
        for _ in 0..times {
            failed.record(&account(name), NOW);
        }
    }

    #[test]
    fn ten_failures_are_borne_and_then_forgotten_in_time() {
        let failed = FailedLogins::default();
        let wait = |after| failed.wait(&account("ada"), NOW.plus(after));
        fail(&failed, "ada", 9);
        assert_eq!(wait(0), None);
        fail(&failed, "ada", 1);
        assert_eq!((wait(0), wait(299), wait(300)), (Some(300), Some(1), None));
        assert_eq!(failed.wait(&account("bob"), NOW), None);
        let namesake = Account::new("blog".parse().unwrap(), "ada");
        assert_eq!(failed.wait(&namesake, NOW), None);
        failed.record(&account("ada"), NOW.plus(300));
        assert_eq!(wait(300), None);
    }

    #[test]
    fn a_login_forgets_them_and_so_does_a_clock_that_was_set_back() {
        let failed = FailedLogins::default();
        fail(&failed, "ada", 10);
        assert_eq!(failed.wait(&account("ada"), Timestamp(NOW.0 - 300)), None);
        failed.forget(&account("ada"));
        assert_eq!(failed.wait(&account("ada"), NOW), None);
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
        assert_eq!(failed.wait(&account("ada"), later), Some(300));
        failed.record(&account("bob"), NOW.plus(1000));
        assert_eq!(failed.accounts().len(), 1);
    }
}

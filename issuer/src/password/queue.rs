//! The places in which logins wait for their password to be checked, shared out so that a flood
//! at one account or domain leaves places for the others.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{account::Account, domain::DomainName};

const PLACES: usize = 64;
const PLACES_OF_DOMAIN: usize = 16;
/// A service account may log in from many places at once.
const PLACES_OF_ACCOUNT: usize = 8;

#[derive(Default)]
pub(super) struct Queue(Mutex<Taken>);

#[derive(Default)]
struct Taken {
    all: usize,
    by_domain: HashMap<DomainName, usize>,
    by_account: HashMap<Account, usize>,
}

/// One place in the queue; given back when the wait ends, however it ends.
pub(super) struct Place<'q> {
    queue: &'q Queue,
    account: Account,
}

impl Queue {
    /// A place for a login to `account`, if all, its domain's or its own are not taken.
    pub(super) fn take(&self, account: &Account) -> Option<Place<'_>> {
        let mut taken = self.taken();
        let of_domain = taken.by_domain.get(&account.domain).copied().unwrap_or(0);
        let of_account = taken.by_account.get(account).copied().unwrap_or(0);
        if taken.all >= PLACES || of_domain >= PLACES_OF_DOMAIN || of_account >= PLACES_OF_ACCOUNT {
            return None;
        }
        taken.all += 1;
        taken.by_domain.insert(account.domain.clone(), of_domain + 1);
        taken.by_account.insert(account.clone(), of_account + 1);
        Some(Place { queue: self, account: account.clone() })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.taken().all
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut taken = self.queue.taken();
        taken.all = taken.all.saturating_sub(1);
        give_back(&mut taken.by_domain, &self.account.domain);
        give_back(&mut taken.by_account, &self.account);
    }
}

fn give_back<K: Hash + Eq>(taken: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = taken.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            taken.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(domain: &str, name: usize) -> Account {
        Account::new(domain.parse().unwrap(), &name.to_string())
    }

    #[test]
    fn no_account_and_no_domain_takes_all_places() {
        let queue = Queue::default();
        let take = |domain: &str, name| queue.take(&account(domain, name));
        let mut places: Vec<_> = (0..8).map(|_| take("a", 0).unwrap()).collect();
        assert!(take("a", 0).is_none(), "an account has eight");
        places.extend((1..9).map(|name| take("a", name).unwrap()));
        assert!(take("a", 99).is_none(), "a domain has sixteen");
        for domain in ["b", "c", "d"] {
            places.extend((0..16).map(|name| take(domain, name).unwrap()));
        }
        assert!(take("e", 0).is_none(), "all are taken");
        places.remove(0);
        drop(take("a", 0).unwrap());
        drop(places);
        let taken = queue.taken();
        assert_eq!((taken.all, taken.by_domain.len(), taken.by_account.len()), (0, 0, 0));
    }
}

//! How many lists are held, of each domain of a provider and of all: whoever signs for one domain can
//! push out that one's lists, and no other's.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{ProviderLists, slot::ListSlot};

/// Whose list goes for a new one.
enum Room<'a> {
    /// Nobody's: there is room.
    Free,
    /// One of this domain's.
    Of(Option<&'a str>),
}

impl ProviderLists {
    /// Whether there is room for one more list of this domain.
    pub(super) fn has_room(&self, domain: Option<&str>, now: Duration) -> bool {
        match self.room(domain) {
            Room::Free => true,
            Room::Of(domain) => self.of_domain(domain).any(|slot| !slot.is_expected(now)),
        }
    }

    /// Makes room for one more list of this domain; `None` where there is none.
    pub(super) fn make_room(&mut self, domain: Option<&str>, now: Duration) -> Option<()> {
        let Room::Of(domain) = self.room(domain) else { return Some(()) };
        // Never one that is being fetched; what has brought nothing yet goes first, and then the one
        // that was looked at longest ago.
        let idle = self.of_domain(domain).filter(|slot| !slot.is_expected(now));
        let uri = idle.min_by_key(|slot| (slot.places().is_some(), slot.last_used()))?.uri.clone();
        let place = self.places.remove(&uri)?;
        self.slots.get_mut(place)?.take();
        self.forget_times(now);
        Some(())
    }

    fn room<'a>(&'a self, domain: Option<&'a str>) -> Room<'a> {
        if self.of_domain(domain).count() >= self.policy.max_lists {
            return Room::Of(domain);
        }
        if self.places.len() < self.policy.max_lists_of_all {
            return Room::Free;
        }
        // Of two domains with as many, this one's.
        let mut counts = BTreeMap::<Option<&str>, usize>::new();
        for slot in self.slots() {
            *counts.entry(slot.domain.as_deref()).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(name, count)| (*count, *name == domain));
        most.map_or(Room::Free, |(name, _)| Room::Of(name))
    }

    fn of_domain(&self, domain: Option<&str>) -> impl Iterator<Item = &ListSlot> {
        self.slots().filter(move |slot| slot.domain.as_deref() == domain)
    }

    /// What a domain's lists said of all its tokens outlives the last of them for a while.
    fn forget_times(&mut self, now: Duration) {
        let mut since = std::mem::take(&mut self.since);
        let name = |slot: &ListSlot| slot.domain.clone().unwrap_or_default();
        let named: BTreeSet<Box<str>> = self.slots().map(name).collect();
        since.retain(|domain, since| named.contains(domain) || !since.is_over(now));
        while since.len() > self.policy.max_lists_of_all {
            let listless = since.iter().filter(|(domain, _)| !named.contains(*domain));
            let Some(oldest) = listless.min_by_key(|(_, since)| since.newest()) else { break };
            let oldest = oldest.0.clone();
            since.remove(&oldest);
        }
        self.since = since;
    }
}

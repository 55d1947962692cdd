//! The lists that this process holds: those that were asked for lately.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::published::PublishedList;
use crate::domain::DomainName;

/// How long a list is held that nobody asks for. Taking it up again reads all of its revocations.
const KEPT: Duration = Duration::from_secs(600);
/// How many lists are held at most: with their bits, 32 MiB.
const CAPACITY: usize = 256;

/// Lists by their domain and number.
#[derive(Default)]
pub(crate) struct Shelf(Mutex<HashMap<(DomainName, u32), Held>>);

struct Held {
    list: Arc<PublishedList>,
    asked_at: Instant,
}

impl Shelf {
    /// The list, if it is held.
    pub(crate) fn find(&self, domain: &DomainName, number: u32) -> Option<Arc<PublishedList>> {
        let mut lists = self.lists();
        let held = lists.get_mut(&(domain.clone(), number))?;
        held.asked_at = Instant::now();
        Some(Arc::clone(&held.list))
    }

    /// Takes a list up, of which nothing is known yet, unless another request just did. Those that
    /// nobody asks for make room.
    pub(crate) fn take_up(&self, domain: &DomainName, number: u32) -> Arc<PublishedList> {
        let now = Instant::now();
        let mut lists = self.lists();
        lists.retain(|_, held| now.duration_since(held.asked_at) < KEPT);
        let key = (domain.clone(), number);
        if lists.len() >= CAPACITY && !lists.contains_key(&key) {
            let oldest = lists.iter().min_by_key(|(_, held)| held.asked_at);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                lists.remove(&oldest);
            }
        }
        let fresh = || Held { list: Arc::new(PublishedList::new(number)), asked_at: now };
        Arc::clone(&lists.entry(key).or_insert_with(fresh).list)
    }

    fn lists(&self) -> MutexGuard<'_, HashMap<(DomainName, u32), Held>> {
        // Nothing that holds the lock can panic half way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lists().len()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn holds_so_many_lists_and_the_one_asked_for_last_stays() {
        let (shelf, shop) = (Shelf::default(), "shop".parse().unwrap());
        for number in 0..CAPACITY {
            shelf.take_up(&shop, u32::try_from(number).unwrap());
            advance(Duration::from_millis(1)).await;
        }
        assert!(shelf.find(&shop, 0).is_some());
        shelf.take_up(&shop, 1000);
        assert_eq!(shelf.len(), CAPACITY);
        assert!(shelf.find(&shop, 0).is_some() && shelf.find(&shop, 1).is_none());
        let (one, same) = (shelf.take_up(&shop, 7), shelf.find(&shop, 7).unwrap());
        assert!(Arc::ptr_eq(&one, &same));
    }

    #[tokio::test(start_paused = true)]
    async fn drops_what_nobody_asks_for() {
        let (shelf, shop) = (Shelf::default(), "shop".parse().unwrap());
        shelf.take_up(&shop, 0);
        shelf.take_up(&shop, 1);
        advance(KEPT / 2).await;
        assert!(shelf.find(&shop, 1).is_some());
        advance(KEPT / 2).await;
        shelf.take_up(&shop, 2);
        assert!(shelf.find(&shop, 0).is_none() && shelf.find(&shop, 1).is_some());
    }
}

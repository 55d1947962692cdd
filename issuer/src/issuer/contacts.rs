//! Which contacts this process has written lately, so that it need not write them again.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    clock::Timestamp,
    domain::DomainName,
    edge::{Contact, EdgeId},
};

/// How many processes of one edge are remembered for one domain. Whoever has the keys of an edge can
/// make up processes, so there is an end to them, and no other edge is the worse for it.
const LIMIT_OF_EDGE: usize = 1024;
/// How many are remembered of all edges: what memory has room for.
const LIMIT: usize = 64 * LIMIT_OF_EDGE;

type Processes = HashMap<String, Written>;

/// The contacts that were written, by domain, edge and process.
#[derive(Default)]
pub(super) struct WrittenContacts(Mutex<HashMap<(DomainName, EdgeId), Processes>>);

struct Written {
    at: Timestamp,
    generation: Option<u64>,
    until: Timestamp,
}

/// There is no room for one more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl WrittenContacts {
    /// Whether a contact has to be written: its process holds something else than before, or was
    /// not heard of since the pause after that.
    pub(super) fn is_news(&self, contact: &Contact) -> Result<bool, Full> {
        let mut edges = self.edges();
        let edge = edge_of(contact);
        let processes = edges.get_mut(&edge);
        if let Some(last) = processes.as_ref().and_then(|known| known.get(&contact.instance)) {
            let is_known = last.generation == contact.generation
                // A clock that was set back does not make it old news.
                && (last.at..last.until).contains(&contact.at);
            return Ok(!is_known);
        }
        if let Some(processes) = processes
            && !has_room(processes, LIMIT_OF_EDGE, contact.at)
        {
            return Err(Full);
        }
        let count = |edges: &HashMap<_, Processes>| edges.values().map(HashMap::len).sum::<usize>();
        if count(&edges) >= LIMIT {
            edges.retain(|_, processes| has_any(processes, contact.at));
            if count(&edges) >= LIMIT {
                return Err(Full);
            }
        }
        Ok(true)
    }

    /// Remembers one that was written, for `pause` seconds. Not before: as long as it is under way,
    /// another request of its process must not go without.
    pub(super) fn remember(&self, contact: Contact, pause: u64) {
        let edge = edge_of(&contact);
        let Contact { at, generation, instance, .. } = contact;
        let written = Written { at, generation, until: at.plus(pause) };
        self.edges().entry(edge).or_default().insert(instance, written);
    }

    fn edges(&self) -> MutexGuard<'_, HashMap<(DomainName, EdgeId), Processes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn edge_of(contact: &Contact) -> (DomainName, EdgeId) {
    (contact.domain.clone(), contact.edge.clone())
}

/// Whether there are fewer than `limit`, when those are forgotten that are old news.
fn has_room(processes: &mut Processes, limit: usize, now: Timestamp) -> bool {
    processes.len() < limit || {
        has_any(processes, now);
        processes.len() < limit
    }
}

/// Whether any are left, when those are forgotten that are old news.
fn has_any(processes: &mut Processes, now: Timestamp) -> bool {
    processes.retain(|_, last| now < last.until);
    !processes.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn contact(instance: usize, after: u64, generation: Option<u64>) -> Contact {
        Contact {
            edge: EdgeId::stored("edge".to_owned()),
            domain: "shop".parse().unwrap(),
            instance: format!("{instance:016x}"),
            at: NOW.plus(after),
            generation,
        }
    }

    impl WrittenContacts {
        fn is_written(&self, contact: &Contact) -> Result<bool, Full> {
            let is_news = self.is_news(contact)?;
            if is_news {
                self.remember(contact.clone(), 10);
            }
            Ok(is_news)
        }
    }

    #[test]
    fn only_news_is_written() {
        let contacts = WrittenContacts::default();
        for (instance, after, generation, news) in [
            (1, 0, None, true),
            (1, 1, Some(1), true),
            (1, 5, Some(1), false),
            (1, 10, Some(1), false),
            (1, 11, Some(1), true),
            (1, 20, Some(1), false),
            (1, 20, Some(2), true),
            (2, 20, Some(2), true),
            (1, 0, Some(2), true),
        ] {
            let contact = contact(instance, after, generation);
            assert_eq!(contacts.is_written(&contact), Ok(news), "{contact:?}");
        }
        // One whose write fails, or is not answered for yet, stays news.
        let unwritten = contact(2, 21, Some(3));
        assert_eq!(contacts.is_news(&unwritten), Ok(true));
        assert_eq!(contacts.is_news(&unwritten), Ok(true));
    }

    #[test]
    fn made_up_processes_of_one_edge_are_in_no_other_ones_way() {
        let contacts = WrittenContacts::default();
        for instance in 0..LIMIT_OF_EDGE {
            assert_eq!(contacts.is_written(&contact(instance, 0, None)), Ok(true));
        }
        assert_eq!(contacts.is_written(&contact(LIMIT_OF_EDGE, 9, None)), Err(Full));
        assert_eq!(contacts.is_written(&contact(0, 9, None)), Ok(false));
        let of_another = Contact {
            edge: EdgeId::stored("another".to_owned()),
            ..contact(LIMIT_OF_EDGE, 9, None)
        };
        assert_eq!(contacts.is_written(&of_another), Ok(true));
        let elsewhere =
            Contact { domain: "blog".parse().unwrap(), ..contact(LIMIT_OF_EDGE, 9, None) };
        assert_eq!(contacts.is_written(&elsewhere), Ok(true));
        assert_eq!(contacts.is_written(&contact(LIMIT_OF_EDGE, 10, None)), Ok(true));
    }

    #[test]
    fn all_edges_together_take_no_more_than_a_share_of_memory() {
        let contacts = WrittenContacts::default();
        let of = |number: usize, after| Contact {
            edge: EdgeId::stored((number / LIMIT_OF_EDGE).to_string()),
            ..contact(number, after, None)
        };
        for number in 0..LIMIT {
            assert_eq!(contacts.is_written(&of(number, 0)), Ok(true));
        }
        assert_eq!(contacts.is_written(&of(LIMIT, 9)), Err(Full));
        assert_eq!(contacts.is_written(&of(LIMIT, 10)), Ok(true));
        assert_eq!(contacts.edges().len(), 1);
    }
}

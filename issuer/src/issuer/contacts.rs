//! Which contacts this process has written lately, so that it need not write them again.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::{
    clock::Timestamp,
    domain::DomainName,
    edge::{Contact, EdgeId},
};

/// How many are remembered. Whoever has the keys of an edge can make up processes, so there is an
/// end to them.
const LIMIT: usize = 16_384;

type Process = (DomainName, EdgeId, String);

/// The contacts that were written, by domain, edge and process.
#[derive(Default)]
pub(super) struct WrittenContacts(Mutex<HashMap<Process, Written>>);

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
    /// not heard of for `pause` seconds. From then on it counts as written.
    pub(super) fn is_news(&self, contact: &Contact, pause: u64) -> Result<bool, Full> {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let process = process(contact);
        if let Some(last) = written.get(&process)
            && last.generation == contact.generation
            // A clock that was set back does not make it old news.
            && (last.at..last.until).contains(&contact.at)
        {
            return Ok(false);
        }
        if written.len() >= LIMIT && !written.contains_key(&process) {
            written.retain(|_, last| contact.at < last.until);
            if written.len() >= LIMIT {
                return Err(Full);
            }
        }
        let Contact { at, generation, .. } = *contact;
        written.insert(process, Written { at, generation, until: at.plus(pause) });
        Ok(true)
    }

    /// One that could not be written.
    pub(super) fn forget(&self, contact: &Contact) {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.remove(&process(contact));
    }
}

fn process(contact: &Contact) -> Process {
    (contact.domain.clone(), contact.edge.clone(), contact.instance.clone())
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
            assert_eq!(contacts.is_news(&contact, 10), Ok(news), "{contact:?}");
        }
        let unwritten = contact(2, 21, Some(2));
        contacts.forget(&unwritten);
        assert_eq!(contacts.is_news(&unwritten, 10), Ok(true));
    }

    #[test]
    fn made_up_processes_take_no_more_than_a_share_of_memory() {
        let contacts = WrittenContacts::default();
        for instance in 0..LIMIT {
            assert_eq!(contacts.is_news(&contact(instance, 0, None), 10), Ok(true));
        }
        assert_eq!(contacts.is_news(&contact(LIMIT, 9, None), 10), Err(Full));
        assert_eq!(contacts.is_news(&contact(0, 9, None), 10), Ok(false));
        assert_eq!(contacts.is_news(&contact(LIMIT, 10, None), 10), Ok(true));
    }
}

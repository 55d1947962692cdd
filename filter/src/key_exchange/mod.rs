//! One fetch per process: the worker threads share what they have fetched, and agree on who fetches.
//!
//! Each thread has a key ring of its own, which says when it wants which set. Before it asks the
//! issuer, it looks at the record that all threads share of that source: what another one has
//! fetched lately, it takes; while another one is fetching, it waits; else it becomes the one that
//! fetches, by compare-and-set, so that of two at a time one wins. Who fetches says so again and again;
//! who is not heard of for a while, because its virtual machine has failed, loses that right.
//!
//! The record outlives a policy: after a change of the configuration, the new gate has its keys at
//! once. There is one for each provider's keys and one for its configuration, so that no issuer can
//! make more of them; the sets of domains, whose names strangers can make up, share a fixed number of
//! places, and so do a provider's status lists; where two meet, one is fetched more often. What failed
//! is not kept, but that it did.
//!
//! Whoever can write to the record decides which keys the gate trusts: every module of the same
//! `vm_id`. So nothing is shared where none is set, and never what may hold secrets. A bundle for an
//! enrolled edge holds them encrypted, and every thread opens it for itself.
//!
//! An enrolled edge tells the issuer which bundle it holds, and when all edges hold a new key, the
//! issuer signs with it. It speaks for the process, so all threads have to be as far: who leads has
//! taken all news itself, asks with the `ETag` that its own ring signs for, and [`changes`] make the
//! other threads take a new bundle within a second, sooner than it can be spoken of. A thread that is
//! later still looks here first when it meets a key that it does not know.
//!
//! - [`record`] is what stands in a place.
//! - [`changes`] is where threads see that there is something new.

mod changes;
mod record;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use postern_verify::{Fetch, Fetched};

use crate::host::{self, Bytes};

use self::{changes::tell, record::Record};
pub(crate) use self::{
    changes::{Changes, instance},
    record::{Answer, Outcome},
};

/// How long who fetches may be silent, and how often it speaks.
const TERM: Duration = Duration::from_millis(1500);
pub(crate) const RENEW_EVERY: Duration = Duration::from_millis(500);
/// A version that no record has: setting it succeeds where there is no record only.
const NONE_YET: u32 = u32::MAX;
/// The places for the sets of a provider's domains, and for its status lists: no more than a ring may
/// hold of either.
const PLACES: u64 = 1024;
/// How often to try anew where another thread was quicker.
const MAX_TRIES: usize = 8;

/// What a thread has to do about a fetch that it wants.
pub(crate) enum Turn {
    /// Take this.
    Take(News),
    /// Fetch, conditionally on this `ETag`, and [`Place::publish`] what came of it.
    Lead(Lead),
    /// Wait for who does.
    Follow,
}

/// The right to fetch.
pub(crate) struct Lead {
    /// Of what all threads know.
    etag: Option<Bytes>,
    /// The number of the last news then.
    number: u64,
}

impl Lead {
    /// What to ask with. A ring that holds no such bundle, or for which its list does not count any
    /// more, wants the whole: an edge signs for what it holds itself.
    pub(crate) fn etag(&self, fetch: &Fetch) -> Option<&[u8]> {
        let is_plain = fetch.authorization.is_none() && fetch.key_set.status_list.is_none();
        let etag = self.etag.as_deref();
        etag.filter(|etag| is_plain || fetch.if_none_match.as_deref() == Some(etag))
    }
}

/// What came of a fetch that some thread made.
pub(crate) struct News {
    /// Counts the fetches from this source.
    pub(crate) number: u64,
    /// When it came.
    pub(crate) at: Duration,
    /// Counts the changes of what the source says.
    pub(crate) generation: u64,
    answer: Answer,
}

impl News {
    /// Whether it is a good answer, and not that there was none.
    pub(crate) fn is_good(&self) -> bool {
        self.answer.status == 200
    }

    /// For the key ring, at the time [`News::at`].
    pub(crate) fn fetched(&self) -> Fetched<'_> {
        self.answer.fetched()
    }
}

impl Place {
    /// What to do about a fetch from here, for a thread that has taken the news up to this number.
    pub(crate) fn turn(&self, heard: u64, now: Duration) -> Turn {
        for _ in 0..MAX_TRIES {
            let (mut record, version) = self.read();
            if let Some(news) = record.news(heard, now) {
                return Turn::Take(news);
            }
            if record.is_leased(now) {
                return Turn::Follow;
            }
            record.leased_until = now + TERM;
            if self.write(&record, version) {
                let etag = record.good.and_then(|good| good.answer.etag);
                return Turn::Lead(Lead { etag, number: record.number });
            }
        }
        Turn::Follow
    }

    /// Says that this thread is still fetching.
    pub(crate) fn renew(&self, lead: &Lead, now: Duration) {
        let (mut record, version) = self.read();
        // Where there are news, another thread has taken the lead meanwhile, and told them.
        if record.number == lead.number {
            record.leased_until = now + TERM;
            self.write(&record, version);
        }
    }

    /// The whole answer to a fetch: where it says that nothing has changed, the one that all know,
    /// with the new one's word on how long it may be used.
    pub(crate) fn completed(&self, answer: Answer) -> Answer {
        if answer.status != 304 {
            return answer;
        }
        let Some(good) = self.read().0.good else { return Answer { status: 0, ..answer } };
        let cache_control = answer.cache_control.or(good.answer.cache_control);
        Answer { cache_control, age: answer.age, ..good.answer }
    }

    /// Tells all threads what came of a fetch that this one has made: the [`Place::completed`] answer,
    /// and what the key ring made of it. Returns the number of these news, and the generation;
    /// none where another thread has told later ones meanwhile.
    pub(crate) fn publish(
        &self,
        lead: &Lead,
        answer: &Answer,
        outcome: Outcome,
        now: Duration,
    ) -> Option<(u64, u64)> {
        for _ in 0..MAX_TRIES {
            let (mut record, version) = self.read();
            if record.number != lead.number {
                return None;
            }
            let generation = record.generation;
            record.end(answer.clone(), outcome, now);
            if self.write(&record, version) {
                if record.generation != generation {
                    tell(self);
                }
                return Some((record.number, record.generation));
            }
        }
        None
    }
}

/// Where a record is, and whose it has to be.
#[derive(Clone)]
pub(crate) struct Place {
    key: String,
    source: String,
}

impl Place {
    /// Of a fetch for the provider that `anchor` stands for; none where it is not for others to see.
    pub(crate) fn of(fetch: &Fetch, anchor: &str) -> Option<Self> {
        if fetch.may_hold_secrets {
            return None;
        }
        let source = &fetch.source;
        let source = format!(
            "{} {}://{}{} {}",
            source.cluster.as_deref().unwrap_or_default(),
            source.scheme,
            source.authority,
            source.path,
            edge(fetch),
        );
        let mut key = format!("postern {} {anchor}", fetch.accept);
        let key_set = &fetch.key_set;
        if let Some(one_of_many) = key_set.status_list.as_ref().or(key_set.domain.as_ref()) {
            key = format!("{key} {}", hash(one_of_many) % PLACES);
        }
        Some(Self { key, source })
    }

    /// Whether there is something else by now than in that generation, or nothing any more. Of another
    /// source that has come here since, there is nothing to tell.
    pub(crate) fn has_changed_since(&self, generation: u64) -> bool {
        let record = self.read().0;
        let is_ours = record.good.is_some() || record.failed.is_some();
        is_ours && record.generation != generation
    }

    /// What all its news are counted under.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// What stands there, and its version.
    fn read(&self) -> (Record, u32) {
        let Some((bytes, version)) = host::shared(&self.key) else {
            return (Record::default(), NONE_YET);
        };
        (Record::read(&bytes, &self.source), version)
    }

    /// Sets what stands there, if it is still of that version.
    fn write(&self, record: &Record, version: u32) -> bool {
        host::share(&self.key, &record.write(&self.source), version)
    }
}

/// Whose bundle it is, where it is one: what the edge says of itself begins with the name of its key,
/// in the same words each time. Another edge could not open it.
fn edge(fetch: &Fetch) -> &str {
    let words = fetch.authorization.as_ref().map(|words| words.as_str()).unwrap_or_default();
    words.split('.').next().unwrap_or_default()
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

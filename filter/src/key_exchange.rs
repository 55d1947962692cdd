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
//! places, and where two meet, one is fetched more often. What failed is not kept, but that it did.
//!
//! Whoever can write to the record decides which keys the gate trusts: every module of the same
//! `vm_id`. So nothing is shared where none is set, and never what may hold secrets.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use postern_verify::{Fetch, FetchError, Fetched, KeyUpdate};

use crate::host::{self, Bytes, pairs};

/// How long a failure is news. Later, a thread tries for itself.
const NEWS: Duration = Duration::from_secs(2);
/// How long who fetches may be silent, and how often it speaks.
const TERM: Duration = Duration::from_millis(1500);
pub(crate) const RENEW_EVERY: Duration = Duration::from_millis(500);
/// What clocks of two threads may differ by.
const TOLERANCE: Duration = Duration::from_secs(1);
/// A version that no record has: setting it succeeds where there is no record only.
const NONE_YET: u32 = u32::MAX;
/// The places for the sets of a provider's domains.
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
    /// To be asked with.
    pub(crate) etag: Option<Bytes>,
    /// The number of the last news then.
    number: u64,
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

/// An answer of the issuer.
#[derive(Clone, Default)]
pub(crate) struct Answer {
    /// HTTP status; 0 where there was no answer.
    pub(crate) status: u16,
    pub(crate) etag: Option<Bytes>,
    pub(crate) cache_control: Option<Bytes>,
    pub(crate) age: Option<Bytes>,
    pub(crate) body: Bytes,
}

/// What the key ring made of an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Good,
    Failed,
    Withdrawn,
}

impl Outcome {
    pub(crate) fn of(result: &Result<KeyUpdate, FetchError>) -> Self {
        match result {
            Ok(_) => Self::Good,
            Err(FetchError::Withdrawn) => Self::Withdrawn,
            Err(_) => Self::Failed,
        }
    }
}

/// What all threads know of a source.
#[derive(Default)]
struct Record {
    /// Until when somebody is fetching; zero where nobody is.
    leased_until: Duration,
    /// How many fetches have ended.
    number: u64,
    /// Counts the changes of the good answer's body.
    generation: u64,
    /// The last good answer, and the last failure if it came later.
    good: Option<End>,
    failed: Option<End>,
}

/// An end of a fetch: which, when, and what it brought.
#[derive(Clone)]
struct End {
    number: u64,
    at: Duration,
    answer: Answer,
}

impl News {
    /// For the key ring, at the time [`News::at`].
    pub(crate) fn fetched(&self) -> Fetched<'_> {
        self.answer.fetched()
    }
}

impl Answer {
    /// For the key ring.
    pub(crate) fn fetched(&self) -> Fetched<'_> {
        if self.status == 0 {
            return Fetched::Failed;
        }
        Fetched::Response {
            status: self.status,
            etag: self.etag.as_deref(),
            cache_control: self.cache_control.as_deref(),
            age: self.age.as_deref(),
            body: &self.body,
        }
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
            record.end(answer.clone(), outcome, now);
            if self.write(&record, version) {
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
            "{} {}://{}{}",
            source.cluster.as_deref().unwrap_or_default(),
            source.scheme,
            source.authority,
            source.path
        );
        let mut key = format!("postern {} {anchor}", fetch.accept);
        if let Some(domain) = &fetch.key_set.domain {
            let mut hasher = DefaultHasher::new();
            domain.hash(&mut hasher);
            key = format!("{key} {}", hasher.finish() % PLACES);
        }
        Some(Self { key, source })
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

impl Record {
    /// What a thread does not know yet. A good answer first: a thread that is new takes what there
    /// is, and then hears of failures since.
    fn news(&self, taken: u64, now: Duration) -> Option<News> {
        let unknown = |end: &&End| end.number > taken;
        let is_fresh = |end: &&End| now.abs_diff(end.at) <= NEWS;
        let good = self.good.as_ref().filter(unknown);
        let end = good.or(self.failed.as_ref().filter(unknown).filter(is_fresh))?;
        let End { number, at, answer } = end.clone();
        Some(News { number, at: at.min(now), generation: self.generation, answer })
    }

    fn is_leased(&self, now: Duration) -> bool {
        now < self.leased_until && self.leased_until <= now + TERM + TOLERANCE
    }

    fn end(&mut self, answer: Answer, outcome: Outcome, now: Duration) {
        self.leased_until = Duration::ZERO;
        self.number += 1;
        let is_good = outcome == Outcome::Good;
        let answer =
            if is_good { answer } else { Answer { status: answer.status, ..Answer::default() } };
        let is_new = self.good.as_ref().is_none_or(|good| good.answer.body != answer.body);
        let end = Some(End { number: self.number, at: now, answer });
        if is_good {
            self.generation += u64::from(is_new);
            (self.good, self.failed) = (end, None);
            return;
        }
        if outcome == Outcome::Withdrawn {
            self.generation += u64::from(self.good.take().is_some());
        }
        self.failed = end;
    }

    /// Of another source that was there before, only the numbers count: they go on, so that nobody
    /// takes what it brought for known.
    fn read(bytes: &[u8], source: &str) -> Self {
        let Some((record, written)) = Self::parse(bytes) else { return Self::default() };
        if written == source.as_bytes() {
            return record;
        }
        Self { number: record.number, generation: record.generation, ..Self::default() }
    }

    fn parse(bytes: &[u8]) -> Option<(Self, Vec<u8>)> {
        let (_, fields) = pairs::read(bytes)?;
        let fields: Vec<(&str, &[u8])> = fields.collect::<Option<_>>()?;
        let field = |name: &str| fields.iter().find(|field| field.0 == name).map(|field| field.1);
        let number = |name: &str| Some(u64::from_le_bytes(field(name)?.try_into().ok()?));
        let bytes = |name: &str| field(name).map(<[u8]>::to_vec);
        let end = |prefix: &str| {
            let of = |name: &str| format!("{prefix}{name}");
            let answer = Answer {
                status: u16::try_from(number(&of("status"))?).ok()?,
                etag: bytes(&of("etag")),
                cache_control: bytes(&of("cache-control")),
                age: bytes(&of("age")),
                body: bytes(&of("body"))?,
            };
            let at = Duration::from_nanos(number(&of("at"))?);
            Some(End { number: number(&of("number"))?, at, answer })
        };
        let record = Self {
            leased_until: Duration::from_nanos(number("leased-until")?),
            number: number("number")?,
            generation: number("generation")?,
            good: end("good-"),
            failed: end("failed-"),
        };
        Some((record, bytes("source")?))
    }

    fn write(&self, source: &str) -> Bytes {
        let mut fields = vec![
            ("source".to_owned(), source.as_bytes().to_vec()),
            ("leased-until".to_owned(), nanoseconds(self.leased_until)),
            ("number".to_owned(), self.number.to_le_bytes().to_vec()),
            ("generation".to_owned(), self.generation.to_le_bytes().to_vec()),
        ];
        for (prefix, end) in [("good-", &self.good), ("failed-", &self.failed)] {
            let Some(End { number, at, answer }) = end else { continue };
            let mut put =
                |name: &str, value: Bytes| fields.push((format!("{prefix}{name}"), value));
            put("number", number.to_le_bytes().to_vec());
            put("at", nanoseconds(*at));
            put("status", u64::from(answer.status).to_le_bytes().to_vec());
            put("body", answer.body.clone());
            let others = [
                ("etag", &answer.etag),
                ("cache-control", &answer.cache_control),
                ("age", &answer.age),
            ];
            for (name, value) in others {
                if let Some(value) = value {
                    put(name, value.clone());
                }
            }
        }
        let fields: Vec<(&str, &[u8])> =
            fields.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        pairs::write(&fields)
    }
}

fn nanoseconds(time: Duration) -> Bytes {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).to_le_bytes().to_vec()
}

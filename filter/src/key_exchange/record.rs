//! What all threads know of a source: its last answer, and who is fetching.

use std::time::Duration;

use postern_verify::{FetchError, Fetched, KeyUpdate};

use super::{News, TERM};
use crate::host::{Bytes, pairs};

/// How long a failure is news. Later, a thread tries for itself.
const NEWS: Duration = Duration::from_secs(2);
/// What clocks of two threads may differ by.
const TOLERANCE: Duration = Duration::from_secs(1);

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
pub(super) struct Record {
    /// Until when somebody is fetching; zero where nobody is.
    pub(super) leased_until: Duration,
    /// How many fetches have ended.
    pub(super) number: u64,
    /// Counts the changes of the good answer's body.
    pub(super) generation: u64,
    /// The last good answer, and the last failure if it came later.
    pub(super) good: Option<End>,
    pub(super) failed: Option<End>,
}

/// An end of a fetch: which, when, and what it brought.
#[derive(Clone)]
pub(super) struct End {
    number: u64,
    at: Duration,
    pub(super) answer: Answer,
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

    /// What the other threads are told of a failure. A good status whose body was refused is no answer
    /// to them: an empty body in its place would be refused, and counted, once more by each.
    fn without_body(self) -> Self {
        let status = if matches!(self.status, 200 | 304) { 0 } else { self.status };
        Self { status, ..Self::default() }
    }
}

impl Record {
    /// What a thread does not know yet. A good answer first: a thread that is new takes what there
    /// is, and then hears of failures since.
    pub(super) fn news(&self, taken: u64, now: Duration) -> Option<News> {
        let unknown = |end: &&End| end.number > taken;
        let is_fresh = |end: &&End| now.abs_diff(end.at) <= NEWS;
        let good = self.good.as_ref().filter(unknown);
        let end = good.or(self.failed.as_ref().filter(unknown).filter(is_fresh))?;
        let End { number, at, answer } = end.clone();
        Some(News { number, at: at.min(now), generation: self.generation, answer })
    }

    pub(super) fn is_leased(&self, now: Duration) -> bool {
        now < self.leased_until && self.leased_until <= now + TERM + TOLERANCE
    }

    pub(super) fn end(&mut self, answer: Answer, outcome: Outcome, now: Duration) {
        self.leased_until = Duration::ZERO;
        self.number += 1;
        let is_good = outcome == Outcome::Good;
        let answer = if is_good { answer } else { answer.without_body() };
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
    pub(super) fn read(bytes: &[u8], source: &str) -> Self {
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

    pub(super) fn write(&self, source: &str) -> Bytes {
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

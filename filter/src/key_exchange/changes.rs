//! What changed lately, and who this process is: two values that all threads see.

use std::{collections::VecDeque, time::Duration};

use super::{MAX_TRIES, NONE_YET, Place, hash};
use crate::host;

const CHANGES: &str = "postern changes";
const INSTANCE: &str = "postern instance";
/// How many changes are kept in mind; who has not looked for longer looks everywhere.
const MAX_CHANGES: usize = 32;

/// What a thread has seen of the changes.
#[derive(Default)]
pub(crate) struct Changes {
    seen: u64,
}

/// Which places have changed.
pub(crate) enum Changed {
    /// These, by the hashes of their keys.
    These(Vec<u64>),
    /// Too many to be named.
    Any,
}

/// How many changes there were, and the places of the last ones.
struct Log {
    count: u64,
    last: VecDeque<u64>,
}

impl Changes {
    /// What has changed since this thread last looked; `None` where nothing has.
    pub(crate) fn take(&mut self) -> Option<Changed> {
        let (bytes, _) = host::shared(CHANGES)?;
        let log = Log::read(&bytes);
        let new = usize::try_from(log.count.checked_sub(self.seen)?).unwrap_or(usize::MAX);
        self.seen = log.count;
        match log.last.len().checked_sub(new) {
            Some(known) if new > 0 => {
                Some(Changed::These(log.last.into_iter().skip(known).collect()))
            }
            Some(_) => None,
            None => Some(Changed::Any),
        }
    }
}

impl Changed {
    /// Whether this place may be one of them.
    pub(crate) fn may_be(&self, place: &Place) -> bool {
        match self {
            Self::These(hashes) => hashes.contains(&hash(&place.key)),
            Self::Any => true,
        }
    }
}

/// Tells all threads that a place has changed. Where others are quicker again and again, they have told
/// them to look, and who misses this one takes it when its own time comes.
pub(super) fn tell(place: &Place) {
    for _ in 0..MAX_TRIES {
        let (bytes, version) = host::shared(CHANGES).unwrap_or((Vec::new(), NONE_YET));
        let mut log = Log::read(&bytes);
        log.add(hash(&place.key));
        if host::share(CHANGES, &log.write(), version) {
            return;
        }
    }
}

/// The number of this process: the time when the first of its threads asked for it. Threads that share
/// what they fetch are one to the issuer.
pub(crate) fn instance(now: Duration) -> u64 {
    let own = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    host::share(INSTANCE, &own.to_le_bytes(), NONE_YET);
    let shared = host::shared(INSTANCE).and_then(|(bytes, _)| Some(number(&bytes)?.0));
    shared.unwrap_or(own)
}

impl Log {
    fn read(bytes: &[u8]) -> Self {
        let (count, mut rest) = number(bytes).unwrap_or_default();
        let mut last = VecDeque::new();
        while let Some((hash, after)) = number(rest) {
            last.push_back(hash);
            rest = after;
        }
        Self { count, last }
    }

    fn add(&mut self, hash: u64) {
        self.count += 1;
        self.last.push_back(hash);
        if self.last.len() > MAX_CHANGES {
            self.last.pop_front();
        }
    }

    fn write(&self) -> Vec<u8> {
        let numbers = [self.count].into_iter().chain(self.last.iter().copied());
        numbers.flat_map(u64::to_le_bytes).collect()
    }
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_le_bytes(*number), rest))
}

//! Tokens that passed, so that the next request with one of them costs no signature check.
//!
//! **Who gets in.** Only verified tokens are kept: a stranger can neither fill the cache nor push
//! anyone out of it. An entry speaks for one check of the policy and for the whole token text, and
//! only as long as the version of the key set that vouched for it is the one at hand.
//!
//! **Keying.** What decides is that check and whole text are equal; no hash, nor a part of the
//! text, ever does. To find the entry, the map's key is the check and the last [`TAIL_BYTES`]
//! bytes of the text: they belong to the signature, which is as good as random and which whoever
//! does not hold the key cannot choose, so that hashing more of the text would cost time for
//! nothing. std's hasher is `SipHash`; its key is fixed, as the core has no randomness. Whoever
//! does hold a key, and for malice makes tails that collide, gains slower look-ups or the entry of
//! another token, which is then verified anew: time, never a verdict. The text is stored once, in
//! the slab, and looked up by reference. (Token texts as keys of a std `HashMap` would have to be
//! stored a second time or counted by reference, and `hashbrown` would be one more dependency.)
//!
//! **Eviction** is SIEVE ([`sieve`]), over slab indices in safe code: a hit sets one bit where LRU
//! moves an entry, and a burst of tokens that are used once passes through without pushing out
//! those that are used again. Share of hits in 100,000 requests for 10,000 tokens whose popularity
//! is Zipf's (the test `hits_no_less_often_than_lru` prints them):
//!
//! | Zipf exponent | room for | SIEVE | LRU | FIFO |
//! |---|---|---|---|---|
//! | 0.9 | 100 | 38.2 % | 26.0 % | 22.3 % |
//! | 0.9 | 1000 | 62.2 % | 55.3 % | 50.7 % |
//! | 1.0 | 100 | 50.7 % | 39.1 % | 34.2 % |
//! | 1.0 | 1000 | 72.5 % | 67.3 % | 62.8 % |
//! | 1.1 | 100 | 62.6 % | 52.7 % | 47.5 % |
//! | 1.1 | 1000 | 81.3 % | 77.7 % | 74.0 % |
//!
//! **Memory** is bounded in bytes, and the bound holds for what is really allocated: an entry
//! counts for its text, its value and its share of slab and map where they are at their emptiest
//! (some 340 bytes on a 64-bit host, 260 in Wasm). Only while slab or map move to another size are
//! the old and the new one there at once. An entry whose time is over is dropped when it is asked
//! for, or when the hand comes by, visited or not, or when it is the oldest and another comes: under
//! pressure for room none outlives one round of the hand. One of an earlier key set is not visited any more and goes as any other unused one
//! does. Where there is no pressure, both stay within the bound and are no hit.

mod sieve;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasherDefault, DefaultHasher},
    time::Duration,
};

use sieve::Sieve;

/// How much of a text's end finds its entry: of a signature, 96 bits.
const TAIL_BYTES: usize = 16;
/// The part of the bound that one entry may take, as a divisor.
const LARGEST_SHARE: usize = 4;
/// How many entries whose time is over are dropped from the old end with each that comes.
const DROPPED: usize = 2;
/// What an allocator adds to a text: a header, and rounding up.
const ALLOCATION_BYTES: usize = 16;

/// Tokens that passed a check, within a bound in bytes. Values are handed out as clones.
pub(crate) struct VerifiedTokens<V> {
    max_bytes: usize,
    bytes: usize,
    index: Index,
    entries: Sieve<Entry<V>>,
    counters: CacheCounters,
    last_number: u64,
}

/// Where in the slab the entry with this tail is. One entry per tail: a later one takes its place.
type Index = HashMap<Tail, usize, BuildHasherDefault<DefaultHasher>>;

/// What a verified token's entry rests on. Times count from the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    /// Version of the key set that vouched for the token.
    pub(crate) version: u64,
    /// When the token was verified: the first moment at which the entry holds.
    pub(crate) verified_at: Duration,
    /// The first moment at which it does not hold any more.
    pub(crate) ends: Duration,
}

/// What the cache of verified tokens has done so far, and what it holds now.
///
/// The counts stay at [`u64::MAX`] when they get there. `insertions` exceed `entries`, `evictions`
/// and `expirations` together by the entries that were replaced or cleared.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheCounters {
    /// Look-ups that found an entry that holds.
    pub hits: u64,
    /// Look-ups that did not.
    pub misses: u64,
    /// Tokens that were taken in.
    pub insertions: u64,
    /// Entries that still held and were given up for room.
    pub evictions: u64,
    /// Entries that were dropped because they held no more: their time was over, the clock was
    /// back before it, or another key set was at hand.
    pub expirations: u64,
    /// Entries held now.
    pub entries: usize,
    /// Bytes that they take up: texts, values, and what it takes to keep and find them.
    pub bytes: usize,
}

struct Entry<V> {
    check: u32,
    text: Box<[u8]>,
    validity: Validity,
    value: V,
    /// What this entry counts for in [`VerifiedTokens::bytes`].
    bytes: usize,
}

impl<V: Clone> VerifiedTokens<V> {
    /// An empty cache of at most `max_bytes`; 0 disables it.
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            bytes: 0,
            index: Index::default(),
            entries: Sieve::new(),
            counters: CacheCounters::default(),
            last_number: 0,
        }
    }

    /// A number for a value that no other one has had, from 1 on.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// The value of the token with this whole `text`, if it passed this `check` by the key set of
    /// this `version` and that still holds at `now`. An entry that holds no more is dropped.
    /// Allocates nothing.
    pub(crate) fn lookup(
        &mut self,
        check: u32,
        text: &[u8],
        version: u64,
        now: Duration,
    ) -> Option<V> {
        let value = self.find(check, text).and_then(|index| self.visit(index, version, now));
        let count =
            if value.is_some() { &mut self.counters.hits } else { &mut self.counters.misses };
        increment(count);
        value
    }

    /// Takes in a token that passed `check`, in the place of what was known of it. `value_bytes`
    /// is what `value` takes up beyond its own size.
    ///
    /// Not taken are an entry that would need more than a quarter of the bound, and one that never
    /// holds (`ends` is not after `verified_at`).
    pub(crate) fn insert(
        &mut self,
        check: u32,
        text: &[u8],
        validity: Validity,
        value: V,
        value_bytes: usize,
    ) {
        let tail = Tail::new(check, text);
        if let Some(index) = self.index.get(&tail) {
            self.remove(*index);
        }
        let bytes = Self::entry_bytes(text.len(), value_bytes);
        if bytes > self.max_bytes / LARGEST_SHARE || validity.ends <= validity.verified_at {
            return;
        }
        self.drop_expired(validity.verified_at);
        self.make_room(bytes, validity.verified_at);
        self.bytes += bytes;
        let entry = Entry { check, text: text.into(), validity, value, bytes };
        self.index.insert(tail, self.entries.push(entry));
        self.trim();
        increment(&mut self.counters.insertions);
    }

    pub(crate) fn counters(&self) -> CacheCounters {
        CacheCounters { entries: self.entries.len(), bytes: self.bytes, ..self.counters }
    }

    /// What an entry counts for.
    const fn entry_bytes(text_bytes: usize, value_bytes: usize) -> usize {
        text_bytes
            .saturating_add(value_bytes)
            .saturating_add(ALLOCATION_BYTES + Sieve::<Entry<V>>::ITEM_BYTES + INDEX_BYTES)
    }

    fn find(&self, check: u32, text: &[u8]) -> Option<usize> {
        let index = *self.index.get(&Tail::new(check, text))?;
        let entry = self.entries.get(index)?;
        (entry.check == check && is_same(&entry.text, text)).then_some(index)
    }

    fn visit(&mut self, index: usize, version: u64, now: Duration) -> Option<V> {
        let validity = self.entries.get(index)?.validity;
        if validity.version == version && validity.holds_at(now) {
            return self.entries.visit(index).map(|entry| entry.value.clone());
        }
        self.remove(index);
        increment(&mut self.counters.expirations);
        None
    }

    /// Where every entry that comes is used once, the hand keeps its distance to the newest end and
    /// never comes round to what it has passed: that goes here when its time is over.
    fn drop_expired(&mut self, now: Duration) {
        for _ in 0..DROPPED {
            let Some(oldest) = self.entries.oldest() else { return };
            if self.entries.get(oldest).is_some_and(|entry| entry.validity.holds_at(now)) {
                return;
            }
            self.remove(oldest);
            increment(&mut self.counters.expirations);
        }
    }

    /// Gives up entries until there is room for one of so many `bytes`.
    fn make_room(&mut self, bytes: usize, now: Duration) {
        while self.bytes > self.max_bytes.saturating_sub(bytes) {
            let over = |entry: &Entry<V>| !entry.validity.holds_at(now);
            let Some(index) = self.entries.candidate(over) else {
                break;
            };
            let expired = self.entries.get(index).is_some_and(over);
            self.remove(index);
            let counters = &mut self.counters;
            increment(if expired { &mut counters.expirations } else { &mut counters.evictions });
        }
    }

    /// Gives back room that was needed for more entries than there are. Not part of a look-up, as
    /// it allocates. What stays has room to spare, so that slab and map do not move often.
    fn trim(&mut self) {
        self.entries.trim();
        // Without a look at `capacity`, which does not count the buckets of removed entries.
        self.index.shrink_to(self.index.len() / 2 * 3);
    }

    fn remove(&mut self, index: usize) {
        let Some(entry) = self.entries.remove(index) else {
            return;
        };
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        self.index.remove(&entry.tail());
        let moved = self.entries.get(index).map(Entry::tail);
        // `insert` would make room for one more, even where it needs none.
        if let Some(place) = moved.and_then(|tail| self.index.get_mut(&tail)) {
            *place = index;
        }
    }
}

/// Prints no token.
impl<V: Clone> fmt::Debug for VerifiedTokens<V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("VerifiedTokens")
            .field("max_bytes", &self.max_bytes)
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

impl Validity {
    /// A clock that has gone back before the verification is no better than one that is past the
    /// end: then nobody knows which of the two is right.
    fn holds_at(&self, now: Duration) -> bool {
        (self.verified_at..self.ends).contains(&now)
    }
}

impl<V> Entry<V> {
    fn tail(&self) -> Tail {
        Tail::new(self.check, &self.text)
    }
}

/// What finds an entry: the check and the end of the text, after zeros where that is shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Tail {
    check: u32,
    bytes: [u8; TAIL_BYTES],
}

impl Tail {
    fn new(check: u32, text: &[u8]) -> Self {
        let mut bytes = [0; TAIL_BYTES];
        for (byte, last) in bytes.iter_mut().rev().zip(text.iter().rev()) {
            *byte = *last;
        }
        Self { check, bytes }
    }
}

/// Bytes of the map that an entry takes up, at most. The map has a power of two of buckets, each
/// with a byte of control, and fills seven eighths of them; it is halved where half would do for
/// one and a half times the entries, so it never has more than three times what they need.
const INDEX_BYTES: usize = (size_of::<(Tail, usize)>() + 1) * 3 * 8 / 7;

/// Whether two texts are one, eight bytes at a time: Wasm has no instruction for it, and what compares
/// memory there goes byte by byte.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let (one, one_rest) = one.as_chunks::<8>();
    let (other, other_rest) = other.as_chunks::<8>();
    let number = |bytes: &[u8; 8]| u64::from_ne_bytes(*bytes);
    one.len() == other.len()
        && one_rest == other_rest
        && one.iter().zip(other).all(|(one, other)| number(one) == number(other))
}

fn increment(count: &mut u64) {
    *count = count.saturating_add(1);
}

//! The cache against a slow model of it that is plain to see through: random operations, the same
//! answers, contents and counts after each.

use std::time::Duration;

use super::{SplitMix, at};
use crate::verified_tokens::{CacheCounters, DROPPED, LARGEST_SHARE, Validity, VerifiedTokens};

#[derive(Clone)]
struct Known {
    check: u32,
    text: Vec<u8>,
    validity: Validity,
    value: u64,
    bytes: usize,
    visited: bool,
}

/// SIEVE as the paper tells it, over a list from the oldest to the newest.
struct Model {
    max_bytes: usize,
    known: Vec<Known>,
    hand: usize,
    counters: CacheCounters,
}

impl Model {
    fn lookup(&mut self, check: u32, text: &[u8], version: u64, now: Duration) -> Option<u64> {
        let found = self.known.iter().position(|it| it.check == check && it.text == text);
        if let Some(place) = found {
            let known = &mut self.known[place];
            if known.validity.version == version && holds(&known.validity, now) {
                known.visited = true;
                self.counters.hits += 1;
                return Some(known.value);
            }
            self.remove(place);
            self.counters.expirations += 1;
        }
        self.counters.misses += 1;
        None
    }

    fn insert(&mut self, new: Known) {
        let end = |text: &[u8]| text[text.len() - 16..].to_vec();
        let same = |it: &Known| it.check == new.check && end(&it.text) == end(&new.text);
        if let Some(place) = self.known.iter().position(same) {
            self.remove(place);
        }
        if new.bytes > self.max_bytes / LARGEST_SHARE
            || new.validity.ends <= new.validity.verified_at
        {
            return;
        }
        for _ in 0..DROPPED {
            if self.known.first().is_some_and(|it| !holds(&it.validity, new.validity.verified_at)) {
                self.remove(0);
                self.counters.expirations += 1;
            }
        }
        while self.bytes() + new.bytes > self.max_bytes {
            self.give_up_one(new.validity.verified_at);
        }
        self.known.push(new);
        self.counters.insertions += 1;
    }

    fn give_up_one(&mut self, now: Duration) {
        loop {
            self.hand %= self.known.len();
            let known = &mut self.known[self.hand];
            if !holds(&known.validity, now) {
                self.counters.expirations += 1;
                break;
            }
            if !known.visited {
                self.counters.evictions += 1;
                break;
            }
            known.visited = false;
            self.hand += 1;
            // The next round begins at once, not after the items that come until then.
            self.hand %= self.known.len();
        }
        self.remove(self.hand);
    }

    fn remove(&mut self, place: usize) {
        self.known.remove(place);
        if place < self.hand {
            self.hand -= 1;
        }
        if self.hand == self.known.len() {
            self.hand = 0;
        }
    }

    fn bytes(&self) -> usize {
        self.known.iter().map(|known| known.bytes).sum()
    }

    fn counters(&self) -> CacheCounters {
        CacheCounters { entries: self.known.len(), bytes: self.bytes(), ..self.counters }
    }
}

fn holds(validity: &Validity, now: Duration) -> bool {
    validity.verified_at <= now && now < validity.ends
}

/// Texts of several lengths; some share their last 16 bytes with others.
fn text(number: u64) -> Vec<u8> {
    let head = "h".repeat(usize::try_from(number % 7).unwrap() * 40);
    format!("{head}{number}.{:016}", number % 50).into_bytes()
}

#[test]
fn does_as_the_model_does() {
    for seed in 0..20 {
        compare(seed, 40_000 >> (seed % 4));
    }
}

fn compare(seed: u64, max_bytes: usize) {
    let mut random = SplitMix(seed);
    let mut cache = VerifiedTokens::new(max_bytes);
    let mut model = Model { max_bytes, known: vec![], hand: 0, counters: CacheCounters::default() };
    let mut now = at(1_000);
    for step in 0..4_000 {
        now = match random.below(40) {
            0 => now.saturating_sub(Duration::from_secs(random.below(20))),
            1..=9 => now + Duration::from_secs(random.below(8)),
            _ => now,
        };
        let check = u32::try_from(random.below(2)).unwrap();
        let text = text(random.below(30) * random.below(5));
        let version = u64::from(random.below(20) == 0);
        let found = cache.lookup(check, &text, version, now);
        assert_eq!(found, model.lookup(check, &text, version, now), "seed {seed}, step {step}");
        if found.is_none() || random.below(20) == 0 {
            let ends = now + Duration::from_secs(random.below(120));
            let validity = Validity { version, verified_at: now, ends };
            let value_bytes = usize::try_from(random.below(700) * random.below(5)).unwrap();
            cache.insert(check, &text, validity, step, value_bytes);
            let bytes = VerifiedTokens::<u64>::entry_bytes(text.len(), value_bytes);
            model.insert(Known { check, text, validity, value: step, bytes, visited: false });
        }
        agree(&cache, &model);
    }
    let counters = cache.counters();
    let least = [counters.hits, counters.misses, counters.evictions, counters.expirations];
    assert!(least.iter().all(|count| *count > 50), "seed {seed} tries too little: {counters:?}");
}

fn agree(cache: &VerifiedTokens<u64>, model: &Model) {
    assert_eq!(cache.counters(), model.counters());
    assert!(cache.bytes <= cache.max_bytes);
    for known in &model.known {
        let entry = cache.entries.get(cache.find(known.check, &known.text).unwrap()).unwrap();
        assert_eq!((entry.value, entry.validity), (known.value, known.validity));
    }
}

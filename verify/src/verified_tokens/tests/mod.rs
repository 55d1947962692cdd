//! What the cache answers and what it gives up; a model of it; how often it hits.

mod model;
mod ratios;

use std::{sync::Arc, time::Duration};

use super::{CacheCounters, Validity, VerifiedTokens};

const TEXT: &[u8] = b"eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJwb3N0ZXJuIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ";
const PLENTY: usize = 1 << 20;

/// A generator of test inputs (Steele et al., "Fast Splittable Pseudorandom Number Generators").
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// An entry by the key set of this version, from second 100 until second 200.
fn validity(version: u64) -> Validity {
    Validity { version, verified_at: at(100), ends: at(200) }
}

/// A text of 40 bytes that says its number at its end, where a signature differs from others.
fn text(number: u64) -> Vec<u8> {
    format!("head.claims.{number:028}").into_bytes()
}

/// A cache with room for so many entries of [`text`] without a value.
fn room_for(entries: usize) -> VerifiedTokens<u64> {
    VerifiedTokens::new(entries * VerifiedTokens::<u64>::entry_bytes(40, 0))
}

/// Looks the token up, takes it in on a miss, and says whether it was a hit.
fn request(cache: &mut VerifiedTokens<u64>, number: u64) -> bool {
    let hit = cache.lookup(0, &text(number), 1, at(150)).is_some();
    if !hit {
        let validity = Validity { verified_at: at(150), ..validity(1) };
        cache.insert(0, &text(number), validity, number, 0);
    }
    hit
}

fn with_one_entry() -> VerifiedTokens<&'static str> {
    let mut cache = VerifiedTokens::new(PLENTY);
    cache.insert(7, TEXT, validity(1), "verified", 100);
    cache
}

#[test]
fn answers_for_the_same_check_text_and_key_set() {
    let mut cache = with_one_entry();
    assert_eq!(cache.lookup(7, TEXT, 1, at(150)), Some("verified"));
    let bytes = VerifiedTokens::<&str>::entry_bytes(TEXT.len(), 100);
    let expected =
        CacheCounters { hits: 1, insertions: 1, entries: 1, bytes, ..CacheCounters::default() };
    assert_eq!(cache.counters(), expected);
}

#[test]
fn holds_from_the_verification_until_just_before_the_end() {
    let just_before = |seconds| at(seconds).saturating_sub(Duration::from_nanos(1));
    for (now, holds) in
        [(just_before(100), false), (at(100), true), (just_before(200), true), (at(200), false)]
    {
        let mut cache = with_one_entry();
        assert_eq!(cache.lookup(7, TEXT, 1, now).is_some(), holds, "{now:?}");
        assert_eq!(cache.counters().entries, usize::from(holds), "{now:?}");
        assert_eq!(cache.counters().expirations, u64::from(!holds), "{now:?}");
    }
}

#[test]
fn an_entry_that_the_clock_went_back_behind_does_not_come_back() {
    let mut cache = with_one_entry();
    assert_eq!(cache.lookup(7, TEXT, 1, at(99)), None);
    assert_eq!(cache.lookup(7, TEXT, 1, at(150)), None);
    assert_eq!((cache.counters().misses, cache.counters().expirations), (2, 1));
}

#[test]
fn another_key_set_ends_an_entry_newer_or_older() {
    for version in [0, 2] {
        let mut cache = with_one_entry();
        assert_eq!(cache.lookup(7, TEXT, version, at(150)), None);
        assert_eq!(cache.lookup(7, TEXT, 1, at(150)), None, "dropped");
        assert_eq!(cache.counters().bytes, 0);
    }
}

#[test]
fn one_text_may_pass_one_check_and_not_another() {
    let mut cache = with_one_entry();
    assert_eq!(cache.lookup(8, TEXT, 1, at(150)), None);
    cache.insert(8, TEXT, validity(3), "by another", 0);
    assert_eq!(cache.lookup(7, TEXT, 1, at(150)), Some("verified"));
    assert_eq!(cache.lookup(8, TEXT, 3, at(150)), Some("by another"));
}

#[test]
fn the_whole_text_decides() {
    let mut cache = with_one_entry();
    let mut forged = TEXT.to_vec();
    for position in 0..TEXT.len() {
        forged[position] ^= 1;
        assert_eq!(cache.lookup(7, &forged, 1, at(150)), None, "{position}");
        forged[position] ^= 1;
    }
    assert_eq!(cache.lookup(7, &TEXT[1..], 1, at(150)), None, "shorter");
    assert_eq!(cache.lookup(7, &[b"e", TEXT].concat(), 1, at(150)), None, "longer");
    assert_eq!(cache.lookup(7, TEXT, 1, at(150)), Some("verified"), "a miss harms nobody");
}

#[test]
fn of_two_texts_with_one_tail_the_later_stays() {
    let mut cache = with_one_entry();
    let other = [b"other.", TEXT].concat();
    cache.insert(7, &other, validity(1), "other", 0);
    assert_eq!(cache.lookup(7, TEXT, 1, at(150)), None);
    assert_eq!(cache.lookup(7, &other, 1, at(150)), Some("other"));
    assert_eq!(cache.counters().entries, 1);
}

#[test]
fn texts_shorter_than_a_tail_are_told_apart() {
    let mut cache = VerifiedTokens::new(PLENTY);
    for (value, text) in [(0, &b""[..]), (1, b"a"), (2, b"\0a")] {
        cache.insert(0, text, validity(1), value, 0);
        assert_eq!(cache.lookup(0, text, 1, at(150)), Some(value));
    }
    assert_eq!(cache.lookup(0, b"a", 1, at(150)), None, "the tail of a later one");
}

#[test]
fn a_second_insertion_replaces_the_first() {
    let mut cache = with_one_entry();
    cache.insert(7, TEXT, validity(2), "anew", 0);
    assert_eq!(cache.lookup(7, TEXT, 2, at(150)), Some("anew"));
    assert_eq!(cache.counters().entries, 1);
    assert_eq!(cache.counters().bytes, VerifiedTokens::<&str>::entry_bytes(TEXT.len(), 0));
}

#[test]
fn takes_no_entry_over_a_quarter_of_the_bound() {
    let weight = VerifiedTokens::<u64>::entry_bytes(TEXT.len(), 50);
    for (max_bytes, taken) in [(4 * weight, 1), (4 * weight - 1, 0), (0, 0)] {
        let mut cache = VerifiedTokens::<u64>::new(max_bytes);
        cache.insert(0, TEXT, validity(1), 0, 50);
        assert_eq!(cache.lookup(0, TEXT, 1, at(150)), (taken == 1).then_some(0));
        assert_eq!(cache.counters().insertions, taken);
    }
    let mut cache = VerifiedTokens::new(PLENTY);
    cache.insert(0, TEXT, validity(1), 0, usize::MAX);
    assert_eq!(cache.counters().entries, 0);
}

#[test]
fn takes_no_entry_that_never_holds() {
    let mut cache = VerifiedTokens::new(PLENTY);
    let never = Validity { version: 1, verified_at: at(100), ends: at(100) };
    cache.insert(0, TEXT, never, 0, 0);
    assert_eq!(cache.counters(), CacheCounters::default());
}

#[test]
fn gives_up_an_expired_entry_before_a_used_one_even_if_it_was_visited() {
    let mut cache = room_for(4);
    for number in 0..4 {
        let ends = if number == 2 { at(120) } else { at(200) };
        cache.insert(0, &text(number), Validity { ends, ..validity(1) }, number, 0);
        assert!(cache.lookup(0, &text(number), 1, at(110)).is_some());
    }
    assert!(!request(&mut cache, 9));
    assert_eq!((cache.counters().expirations, cache.counters().evictions), (1, 0));
    for number in [0, 1, 3, 9] {
        assert!(request(&mut cache, number), "{number}");
    }
}

/// The hand has passed them, and follows the newest end from there on.
#[test]
fn what_the_hand_has_passed_goes_when_its_time_is_over() {
    let mut cache = room_for(40);
    for number in 0..20 {
        cache.insert(0, &text(number), validity(1), number, 0);
        assert!(cache.lookup(0, &text(number), 1, at(110)).is_some());
    }
    let mut once = |number: u64, now: u64| {
        let fresh = Validity { version: 1, verified_at: at(now), ends: at(now + 1_000) };
        cache.insert(0, &text(number), fresh, number, 0);
        cache.counters()
    };
    for number in 100..150 {
        once(number, 150);
    }
    assert_eq!(once(150, 150).expirations, 0);
    let counters = (200..210).map(|number| once(number, 300)).last().unwrap();
    assert_eq!(counters.expirations, 20, "two for each that came");
}

#[test]
fn no_entry_of_an_earlier_key_set_outlives_two_rounds_of_the_hand() {
    let mut cache = room_for(50);
    for number in 0..50 {
        cache.insert(0, &text(number), validity(1), number, 0);
        assert!(cache.lookup(0, &text(number), 1, at(110)).is_some());
    }
    for number in 100..200 {
        cache.insert(0, &text(number), validity(2), number, 0);
    }
    assert!((0..50).all(|number| cache.find(0, &text(number)).is_none()));
}

#[test]
fn counts_saturate() {
    let mut cache = with_one_entry();
    cache.counters.hits = u64::MAX;
    assert!(cache.lookup(7, TEXT, 1, at(150)).is_some());
    assert_eq!(cache.counters().hits, u64::MAX);
}

#[test]
fn prints_no_token() {
    let printed = format!("{:?}", with_one_entry());
    assert!(printed.contains("insertions: 1"), "{printed}");
    assert!(!printed.contains("verified\"") && !printed.contains("eyJ"), "{printed}");
}

#[test]
fn may_go_to_another_thread() {
    fn check<T: Send>() {}
    check::<VerifiedTokens<Arc<str>>>();
}

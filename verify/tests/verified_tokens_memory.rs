//! What the cache of verified tokens really allocates, counted at the allocator: nothing in a
//! look-up, and never more than its bound.
//!
//! The module is compiled into this test, for it is private, and needs nothing else of the crate.

#![expect(unreachable_pub, reason = "the module is private here")]

#[path = "../src/verified_tokens/mod.rs"]
#[expect(dead_code, reason = "the crate numbers what it keeps")]
mod verified_tokens;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    time::Duration,
};

use verified_tokens::{Validity, VerifiedTokens};

const BOUND: usize = 256 << 10;
const NOW: Duration = Duration::from_secs(150);
const VALIDITY: Validity =
    Validity { version: 1, verified_at: NOW, ends: Duration::from_secs(200) };

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    /// Allocations of this thread so far, and bytes that it holds.
    static ALLOCATED: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// The system's allocator, counting per thread. Each allocation counts for the header that common
/// allocators put before it, too.
struct Counting;

const HEADER: usize = 8;

#[expect(unsafe_code, reason = "an allocator is unsafe to implement; this one only counts")]
// SAFETY: every call goes to `System` as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (count, held) = ALLOCATED.get();
        ALLOCATED.set((count + 1, held + layout.size() + HEADER));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let (count, held) = ALLOCATED.get();
        // What another thread allocated may end here: the harness moves results about.
        ALLOCATED.set((count, held.saturating_sub(layout.size() + HEADER)));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// A text of so many bytes that says its number at its end.
fn text(number: usize, bytes: usize) -> Vec<u8> {
    format!("{number:0bytes$}").into_bytes()
}

#[test]
fn a_look_up_allocates_nothing() {
    let mut cache = VerifiedTokens::new(BOUND);
    for number in 0..100 {
        cache.insert(0, &text(number, 700), VALIDITY, number, 0);
    }
    let (known, unknown) = (text(99, 700), text(100, 700));
    let (before, _) = ALLOCATED.get();
    assert_eq!(cache.lookup(0, &known, 1, NOW), Some(99));
    assert_eq!(cache.lookup(0, &unknown, 1, NOW), None);
    assert_eq!(cache.lookup(0, &known, 2, NOW), None, "drops the entry");
    assert_eq!(ALLOCATED.get().0, before);
}

#[test]
fn dropping_an_entry_allocates_nothing_however_full_the_map_is() {
    let mut cache = VerifiedTokens::new(4 * BOUND);
    for number in 0..20_000 {
        cache.insert(0, &text(number, 40), VALIDITY, number, 0);
        // The map is near its limit, seven eighths of 1,024 buckets, and full of removed entries.
        let old = text(number.saturating_sub(890), 40);
        let (before, _) = ALLOCATED.get();
        assert_eq!(cache.lookup(0, &old, 2, NOW), None);
        assert_eq!(ALLOCATED.get().0, before, "{number}");
    }
    assert_eq!(cache.counters().entries, 890);
}

#[test]
fn holds_no_more_than_it_says() {
    let (_, before) = ALLOCATED.get();
    let mut cache = VerifiedTokens::new(BOUND);
    let mut most = 0;
    // Small tokens, for which slab and map grow; then ever larger ones, for which they shrink.
    let sizes =
        [(40, 40), (60, 60), (150, 150), (40, 3_000), (700, 700), (3_000, 20_000), (40, 40)];
    for (least, largest) in sizes {
        for number in 0..1_500 {
            let bytes = least + number * 7_919 % (largest - least + 1);
            cache.insert(0, &text(number, bytes), VALIDITY, number, 0);
            let (held, says) = (ALLOCATED.get().1 - before, cache.counters().bytes);
            assert!(says <= BOUND);
            // With few entries, their first room weighs more than they do.
            assert!(held <= says + 2_048, "{number} of {bytes}: holds {held}, says {says}");
            assert!(held <= BOUND, "{number} of {bytes}: holds {held}");
            most = most.max(held);
        }
    }
    assert!(most > BOUND / 2, "the bound is not used: {most}");
    drop(cache);
    assert_eq!(ALLOCATED.get().1, before);
}

//! Counting what is allocated.

#![expect(unsafe_code, reason = "the interface of an allocator is unsafe")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// The system's allocator, with counters. `#[global_allocator] static A: Counting = …`.
#[derive(Debug, Default)]
pub struct Counting {
    taken: AtomicU64,
    given_back: AtomicU64,
}

impl Counting {
    /// Counters that stand at 0.
    #[must_use]
    pub const fn new() -> Self {
        Self { taken: AtomicU64::new(0), given_back: AtomicU64::new(0) }
    }

    /// Bytes asked for so far. What was given back still counts.
    pub fn bytes(&self) -> u64 {
        self.taken.load(Relaxed)
    }

    /// Bytes that are in use now.
    pub fn in_use(&self) -> u64 {
        self.bytes().saturating_sub(self.given_back.load(Relaxed))
    }
}

// SAFETY: everything is the system allocator's own doing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.taken.fetch_add(layout.size() as u64, Relaxed);
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.given_back.fetch_add(layout.size() as u64, Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.taken.fetch_add(size.saturating_sub(layout.size()) as u64, Relaxed);
        self.given_back.fetch_add(layout.size().saturating_sub(size) as u64, Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

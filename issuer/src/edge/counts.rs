//! How often what became of polls and pushes: numbers for operators, and nothing else.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What this process has counted since it started.
#[derive(Debug)]
pub(crate) struct EdgeCounts {
    /// Requests of edges for keys, by what came of them.
    pub(crate) polls: Outcomes<8>,
    /// Pokes of edges, by what came of them.
    pub(crate) pushes: Outcomes<3>,
}

/// Counters by the name of an outcome.
#[derive(Debug)]
pub(crate) struct Outcomes<const N: usize>([(&'static str, AtomicU64); N]);

impl<const N: usize> Outcomes<N> {
    fn new(names: [&'static str; N]) -> Self {
        Self(names.map(|name| (name, AtomicU64::new(0))))
    }

    /// One more of that outcome.
    pub(crate) fn count(&self, outcome: &str) {
        let counter = self.0.iter().find(|(name, _)| *name == outcome);
        debug_assert!(counter.is_some(), "nobody counts `{outcome}`");
        if let Some((_, counter)) = counter {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// Each outcome and how often it came.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(name, counter)| (*name, counter.load(Relaxed)))
    }
}

impl Default for EdgeCounts {
    fn default() -> Self {
        Self {
            polls: Outcomes::new([
                "sent",
                "not_modified",
                "invalid_assertion",
                "not_enrolled",
                "removed",
                "unknown_domain",
                "overloaded",
                "failed",
            ]),
            pushes: Outcomes::new(["delivered", "refused", "failed"]),
        }
    }
}

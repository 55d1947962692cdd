//! How often which verdict was given, by provider and code.

use std::collections::BTreeMap;

/// Requests of one verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Whose tokens: the index counts [`crate::Policy::provider_names`]. `None` for refusals that are
    /// not of one provider alone. A request that several providers' tokens let through counts for
    /// each.
    pub provider: Option<usize>,
    /// The code of the refusal; `None` for requests that were let through.
    pub code: Option<&'static str>,
    /// How many there were.
    pub requests: u64,
}

/// What has been counted, and not been asked for yet.
#[derive(Debug)]
pub(crate) struct Tallies {
    allowed: Vec<u64>,
    denied: BTreeMap<(Option<usize>, &'static str), u64>,
}

impl Tallies {
    pub(crate) fn new(providers: usize) -> Self {
        Self { allowed: vec![0; providers], denied: BTreeMap::new() }
    }

    pub(crate) fn allow(&mut self, provider: usize) {
        if let Some(requests) = self.allowed.get_mut(provider) {
            *requests = requests.saturating_add(1);
        }
    }

    pub(crate) fn deny(&mut self, provider: Option<usize>, code: &'static str) {
        let requests = self.denied.entry((provider, code)).or_default();
        *requests = requests.saturating_add(1);
    }

    /// What there is, starting anew.
    pub(crate) fn take(&mut self) -> Vec<Tally> {
        let allowed = self.allowed.iter_mut().map(std::mem::take).enumerate();
        let allowed = allowed.filter(|(_, requests)| *requests > 0);
        let allowed = allowed.map(|(provider, requests)| Tally {
            provider: Some(provider),
            code: None,
            requests,
        });
        let denied = std::mem::take(&mut self.denied).into_iter();
        let denied = denied.map(|((provider, code), requests)| Tally {
            provider,
            code: Some(code),
            requests,
        });
        allowed.chain(denied).collect()
    }
}

//! What happened, for the proxy's statistics. The requests themselves cost no call for it: what they
//! add up to is told on ticks.

use std::{collections::BTreeMap, time::Duration};

use postern_verify::{Counters, Gate, Policy};

use crate::host;

/// How often the gauges are set.
const MEASURE_EVERY: Duration = Duration::from_secs(5);

/// The metrics of one policy in one thread. The proxy adds up those of all threads.
pub(crate) struct Metrics {
    /// What all names begin with.
    prefix: String,
    /// The providers' names as segments of metrics' names.
    providers: Vec<String>,
    /// The host's numbers for the names that were used; none where it gives none.
    counters: BTreeMap<String, Option<u32>>,
    gauges: BTreeMap<String, Option<u32>>,
    told: Counters,
    generations: BTreeMap<usize, u64>,
    measured: Option<Duration>,
    /// Whether a list has been fetched: of policies without, there is nothing to measure.
    has_lists: bool,
}

impl Metrics {
    pub(crate) fn new(policy: &Policy) -> Self {
        let own = policy.stat_prefix().map(|prefix| format!("{prefix}.")).unwrap_or_default();
        Self {
            prefix: format!("{own}postern."),
            providers: policy.provider_names().map(plain).collect(),
            counters: BTreeMap::new(),
            gauges: BTreeMap::new(),
            told: Counters::default(),
            generations: BTreeMap::new(),
            measured: None,
            has_lists: false,
        }
    }

    /// Tells what has happened since it was last told.
    pub(crate) fn flush(&mut self, gate: &mut Gate) {
        let counters = gate.counters();
        if counters == self.told {
            return;
        }
        let told = std::mem::replace(&mut self.told, counters);
        for (name, now, before) in [
            ("allowed", counters.allowed, told.allowed),
            ("would_deny", counters.would_deny, told.would_deny),
            ("bundles_refused", counters.bundles_refused, told.bundles_refused),
            ("lists_refused", counters.lists_refused, told.lists_refused),
            ("stale_status", counters.stale_status, told.stale_status),
            ("cache.hits", counters.cache.hits, told.cache.hits),
            ("cache.misses", counters.cache.misses, told.cache.misses),
            ("cache.evictions", counters.cache.evictions, told.cache.evictions),
        ] {
            self.count(name, now.saturating_sub(before));
        }
        for tally in gate.take_tallies() {
            if let Some(code) = tally.code {
                self.count(&format!("denied.{code}"), tally.requests);
            }
            let Some(provider) = tally.provider else { continue };
            let verdict = match tally.code {
                Some(code) => format!("denied.{code}"),
                None => "allowed".to_owned(),
            };
            self.count(&self.of_provider(provider, &verdict), tally.requests);
        }
    }

    /// Counts the end of a fetch, of keys or of a status list.
    pub(crate) fn count_fetch(&mut self, provider: usize, is_list: bool, is_good: bool) {
        let what = if is_list { "status_list.fetch" } else { "fetch" };
        let end = if is_good { "successes" } else { "failures" };
        self.count(&self.of_provider(provider, &format!("{what}.{end}")), 1);
    }

    /// Notes that a provider has status lists.
    pub(crate) fn expect_lists(&mut self) {
        self.has_lists = true;
    }

    /// Notes how often a provider's keys have changed.
    pub(crate) fn set_generation(&mut self, provider: usize, generation: u64) {
        if self.generations.insert(provider, generation) != Some(generation) {
            self.measured = None;
        }
    }

    /// Sets the gauges, now and then.
    pub(crate) fn measure(&mut self, gate: &Gate, now: Duration) {
        let lately = |then: Duration| now.abs_diff(then) < MEASURE_EVERY;
        if (self.generations.is_empty() && !self.has_lists) || self.measured.is_some_and(lately) {
            return;
        }
        self.measured = Some(now);
        for (provider, generation) in self.generations.clone() {
            self.record(&self.of_provider(provider, "keys.generation"), generation);
            if let Some(confirmed) = gate.keys().confirmed(provider) {
                let age = now.saturating_sub(confirmed).as_secs();
                self.record(&self.of_provider(provider, "keys.age_seconds"), age);
            }
        }
        for provider in 0..self.providers.len() {
            let Some((number, confirmed)) = gate.keys().status_lists(provider) else { continue };
            let age = now.saturating_sub(confirmed).as_secs();
            self.record(&self.of_provider(provider, "status_lists.number"), number as u64);
            self.record(&self.of_provider(provider, "status_lists.age_seconds"), age);
        }
    }

    fn of_provider(&self, provider: usize, what: &str) -> String {
        let name = self.providers.get(provider).map(String::as_str).unwrap_or_default();
        format!("provider.{name}.{what}")
    }

    fn count(&mut self, name: &str, more: u64) {
        if more == 0 {
            return;
        }
        let define = || host::counter(&format!("{}{name}", self.prefix));
        if let Some(id) = *self.counters.entry(name.to_owned()).or_insert_with(define) {
            host::count(id, more);
        }
    }

    fn record(&mut self, name: &str, value: u64) {
        let define = || host::gauge(&format!("{}{name}", self.prefix));
        if let Some(id) = *self.gauges.entry(name.to_owned()).or_insert_with(define) {
            host::record(id, value);
        }
    }
}

/// A provider's name as one segment of a metric's.
fn plain(name: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    name.chars().map(|letter| if is_plain(letter) { letter } else { '_' }).collect()
}

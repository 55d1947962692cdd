//! A plugin at its post: it fetches what the key ring asks for, shares it with the other threads, and wakes
//! the requests that wait for it.

use std::{collections::BTreeMap, time::Duration};

use postern_verify::{Fetch, Gate, KeySetId, KeyUpdate, Policy};

use crate::{
    host::{self, LogLevel},
    key_exchange::{Answer, Changes, Lead, News, Outcome, Place, RENEW_EVERY, Turn},
    metrics::Metrics,
    station::Station,
};

/// The shortest and the longest time between two looks at what is due. The longest is how old the
/// statistics may be.
const SHORTEST_TICK: Duration = Duration::from_millis(20);
const LONGEST_TICK: Duration = Duration::from_secs(1);
/// How long past its time-out the end of a fetch may be told.
const GRACE: Duration = Duration::from_secs(1);
/// How many waiting requests are decided on in one callback. The host carries out the answers and
/// resumptions of a callback one inside the other, and hundreds of them exhaust the VM's stack.
const MAX_WOKEN: usize = 16;
/// How many fetches are started in one callback; the next ones follow with the next tick.
const MAX_STARTED: usize = 64;
/// Of how many sources it is kept in mind which news were taken; who forgets takes them again.
const MAX_HEARD: usize = 4096;
/// How many keys that were left out are logged for one key set.
const MAX_LOGGED_KEYS: usize = 4;

/// A plugin that has its policy.
pub(crate) struct Post {
    pub(crate) station: Station,
    metrics: Metrics,
    /// What stands for each provider where keys are shared; empty where nothing is.
    anchors: Vec<String>,
    /// Fetches under way in this thread, by the host's token.
    calls: BTreeMap<u32, Call>,
    /// Fetches that another thread is making, or may be.
    followed: Vec<Fetch>,
    /// The last news that were taken, by place and, since several may have one, by what was fetched,
    heard: BTreeMap<(String, String), Heard>,
    /// and what is known of places where there are others since.
    changes: Changes,
}

/// What a thread has taken from a place.
struct Heard {
    place: Place,
    key_set: KeySetId,
    number: u64,
    generation: u64,
}

/// A fetch under way.
struct Call {
    fetch: Fetch,
    since: Duration,
    /// Where the other threads hear of it, and by what right this one fetches.
    lead: Option<(Place, Lead)>,
}

impl Post {
    pub(crate) fn new(gate: Gate) -> Self {
        let policy = gate.policy();
        let metrics = Metrics::new(policy);
        let shares = host::has_own_vm_id();
        let providers = policy.provider_names().filter(|_| shares);
        let anchors = providers.map(|name| anchor(policy, name)).collect();
        let station = Station::new(gate);
        let (calls, followed, heard) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        Self { station, metrics, anchors, calls, followed, heard, changes: Changes::default() }
    }

    /// The end of it: what has not been told is told.
    pub(crate) fn close(&mut self) {
        self.metrics.flush(&mut self.station.gate);
    }

    /// Sees to every fetch that is due, wakes who is to be woken, tells the statistics, and sets the
    /// time of the next look.
    pub(crate) fn work(&mut self, context_id: u32) {
        let Some(now) = host::now() else { return };
        self.look_for_changes(now);
        for fetch in std::mem::take(&mut self.followed) {
            self.see_to(fetch, now);
        }
        // Whatever the ring says, this loop ends.
        for _ in 0..MAX_STARTED {
            let due = self.station.gate.keys_mut().poll_fetch(now);
            let Some(fetch) = due else { break };
            self.followed.retain(|other| other.key_set != fetch.key_set);
            // One that began later than the ring thinks is still to come, and will do for this one.
            let is_it = |call: &&mut Call| {
                call.fetch.key_set == fetch.key_set && call.fetch.source == fetch.source
            };
            match self.calls.values_mut().find(is_it) {
                Some(call) => call.fetch = fetch,
                None => self.see_to(fetch, now),
            }
        }
        self.stay_in_the_lead(now);
        self.station.wake_overdue(now);
        self.wake(context_id);
        self.metrics.flush(&mut self.station.gate);
        self.metrics.measure(&self.station.gate, now);
        self.set_next_look(now);
    }

    /// What another thread has that is new, this one is to take now, and not only when it is due: it may
    /// be backing off still.
    fn look_for_changes(&mut self, now: Duration) {
        if self.anchors.is_empty() {
            return;
        }
        let Some(changed) = self.changes.take() else { return };
        let heard = self.heard.values().filter(|heard| changed.may_be(&heard.place));
        for heard in heard.filter(|heard| heard.place.has_changed_since(heard.generation)) {
            self.station.gate.keys_mut().expect_news(&heard.key_set, now);
        }
    }

    fn set_next_look(&self, now: Duration) {
        if self.station.has_awake() {
            return host::tick_at_once();
        }
        if !self.followed.is_empty() {
            return host::tick_every(SHORTEST_TICK);
        }
        let wakeup = self.station.next_wakeup();
        let longest = if self.calls.is_empty() { LONGEST_TICK } else { RENEW_EVERY };
        let period = wakeup.map_or(longest, |wakeup| wakeup.saturating_sub(now));
        host::tick_every(period.clamp(SHORTEST_TICK, longest));
    }

    /// For as long as the host may still tell the end of a fetch.
    fn stay_in_the_lead(&mut self, now: Duration) {
        let limit = |call: &Call| call.fetch.source.timeout + GRACE;
        self.calls.retain(|_, call| now.abs_diff(call.since) <= limit(call));
        for (place, lead) in self.calls.values().filter_map(|call| call.lead.as_ref()) {
            place.renew(lead, now);
        }
    }

    /// Takes what another thread has fetched, waits for it, or fetches.
    fn see_to(&mut self, fetch: Fetch, now: Duration) {
        let anchor = self.anchors.get(fetch.key_set.provider);
        let Some(place) = anchor.and_then(|anchor| Place::of(&fetch, anchor)) else {
            return self.send(Call { fetch, since: now, lead: None });
        };
        let heard = self.heard.get(&heard_of(&fetch, &place));
        let heard = heard.map(|heard| heard.number).unwrap_or_default();
        match place.turn(heard, now) {
            Turn::Take(news) => self.take(fetch, &place, &news, now),
            Turn::Follow => self.followed.push(fetch),
            Turn::Lead(lead) => self.send(Call { fetch, since: now, lead: Some((place, lead)) }),
        }
    }

    fn send(&mut self, call: Call) {
        let etag = match &call.lead {
            Some((_, lead)) => lead.etag(&call.fetch),
            None => call.fetch.if_none_match.as_deref(),
        };
        match host::dispatch(&call.fetch, etag) {
            Ok(token) => {
                self.calls.insert(token, call);
            }
            Err(_) => self.end(&call, Answer::default(), call.since),
        }
    }

    /// A fetch of this thread has ended.
    pub(crate) fn fetched(&mut self, token: u32) {
        let Some(call) = self.calls.remove(&token) else { return };
        let answer = response(call.fetch.max_bytes);
        let answer = match &call.lead {
            Some((place, _)) => place.completed(answer),
            None => answer,
        };
        if let Some(now) = host::now() {
            self.end(&call, answer, now);
        }
    }

    /// Hands the end of a fetch of this thread to the key ring, and to the other threads.
    fn end(&mut self, call: &Call, answer: Answer, now: Duration) {
        let fetch = &call.fetch;
        let result = self.station.gate.keys_mut().handle_fetched(fetch, answer.fetched(), now);
        let outcome = Outcome::of(&result);
        let is_list = fetch.key_set.status_list.is_some();
        self.metrics.count_fetch(fetch.key_set.provider, is_list, outcome == Outcome::Good);
        let name = self.provider(fetch);
        match result {
            // Nobody has looked at it, so nobody else is told.
            Ok(KeyUpdate::Ignored) => return,
            Ok(KeyUpdate::Unchanged | KeyUpdate::Discovered) => {}
            Ok(KeyUpdate::Replaced { keys, .. }) if is_list => {
                // As often as a session is revoked.
                let message = format!("postern: a status list of `{name}` refuses {keys}");
                host::log(LogLevel::Debug, &message);
            }
            Ok(KeyUpdate::Replaced { keys, skipped }) => log_update(name, keys, &skipped),
            Err(error) => {
                let what = if is_list { "the status lists" } else { "the keys" };
                let message = format!("postern: {what} of `{name}` were not fetched: {error}");
                host::log(LogLevel::Warn, &message);
            }
        }
        if let Some((place, lead)) = &call.lead {
            if let Some((number, generation)) = place.publish(lead, &answer, outcome, now) {
                self.note(fetch, place, number, generation);
            }
        } else {
            let generation = self.station.gate.keys().generation(&fetch.key_set);
            self.note_generation(fetch, generation);
        }
        self.station.wake_all();
    }

    /// Hands what another thread has fetched to the key ring, as of the time when it came. What this ring
    /// does not take, because it knows better, is no failure: it fetches for itself.
    fn take(&mut self, fetch: Fetch, place: &Place, news: &News, now: Duration) {
        let ring = self.station.gate.keys_mut();
        // Of a list that is a copy the ring would forget the `ETag`, as of a store's that may be wrong.
        let is_copy = news.is_good() && fetch.key_set.status_list.is_none();
        // Who has fetched it has told the log.
        let result = if is_copy {
            ring.handle_copy(&fetch, news.fetched(), news.at, now)
        } else {
            ring.handle_fetched(&fetch, news.fetched(), news.at)
        };
        self.note(&fetch, place, news.number, news.generation);
        self.station.wake_all();
        if result.is_err() && is_copy {
            self.see_to(fetch, now);
        }
    }

    fn note(&mut self, fetch: &Fetch, place: &Place, number: u64, generation: u64) {
        if self.heard.len() >= MAX_HEARD {
            self.heard.clear();
        }
        let key = heard_of(fetch, place);
        let (place, key_set) = (place.clone(), fetch.key_set.clone());
        self.heard.insert(key, Heard { place, key_set, number, generation });
        self.note_generation(fetch, generation);
    }

    fn note_generation(&mut self, fetch: &Fetch, generation: u64) {
        if fetch.key_set.status_list.is_some() {
            self.metrics.expect_lists();
        }
        if fetch.is_for_keys() && fetch.key_set.domain.is_none() {
            self.metrics.set_generation(fetch.key_set.provider, generation);
        }
    }

    fn provider(&self, fetch: &Fetch) -> &str {
        let mut names = self.station.gate.policy().provider_names();
        names.nth(fetch.key_set.provider).unwrap_or_default()
    }

    fn wake(&mut self, context_id: u32) {
        for _ in 0..MAX_WOKEN {
            match self.station.pass_next_awake() {
                Some(true) => host::resume(),
                Some(false) => {}
                None => break,
            }
        }
        host::enter(context_id);
    }
}

/// What news are heard of: a place, and the source whose they are.
fn heard_of(fetch: &Fetch, place: &Place) -> (String, String) {
    let (key_set, source) = (&fetch.key_set, &fetch.source);
    let domain = key_set.domain.as_deref().unwrap_or_default();
    let source = format!("{} {domain} {}{}", key_set.provider, source.authority, source.path);
    (place.key().to_owned(), source)
}

/// Providers of one name in several policies are the same if they fetch from the same place.
fn anchor(policy: &Policy, provider: &str) -> String {
    let member = format!("providers.{provider}.");
    let mut named = policy.http_uris().filter(|(place, _)| place.starts_with(&member));
    let Some((_, uri)) = named.next() else { return provider.to_owned() };
    let cluster = uri.cluster.as_deref().unwrap_or_default();
    format!("{provider} {cluster} {}://{}{}", uri.scheme, uri.authority, uri.path)
}

fn log_update(name: &str, keys: usize, skipped: &[String]) {
    let level = if keys == 0 { LogLevel::Warn } else { LogLevel::Info };
    host::log(level, &format!("postern: `{name}` has {keys} keys"));
    for reason in skipped.iter().take(MAX_LOGGED_KEYS) {
        host::log(LogLevel::Warn, &format!("postern: `{name}` left out {reason}"));
    }
    if let Some(more) = skipped.len().checked_sub(MAX_LOGGED_KEYS).filter(|more| *more > 0) {
        host::log(LogLevel::Warn, &format!("postern: `{name}` left out {more} more keys"));
    }
}

/// The response to a fetch. The host reports one that got none as a response without a status.
fn response(max_bytes: usize) -> Answer {
    let Some(fields) = host::response_fields() else { return Answer::default() };
    let status = fields.value(":status").and_then(|status| std::str::from_utf8(status).ok());
    let field = |name| fields.value(name).map(<[u8]>::to_vec);
    Answer {
        status: status.and_then(|status| status.parse().ok()).unwrap_or_default(),
        etag: field("etag"),
        cache_control: field("cache-control"),
        age: field("age"),
        body: host::response_body(max_bytes.saturating_add(1)),
    }
}

//! One policy in one worker thread: its configuration, its key fetches, and waking the requests that
//! wait for them.

use std::{collections::BTreeMap, time::Duration};

use postern_verify::{Fetch, Gate, KeyUpdate, MAX_JWK_SET_BYTES, Policy, PolicyError};

use crate::{
    exports::Action,
    host::{self, LogLevel},
    key_exchange::{self, Answer, News, Place, RENEW_EVERY, Turn},
    metrics::Metrics,
    signatures::ProxySignatures,
    station::{Passage, Station},
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

/// The plugin, once per worker thread and policy.
pub(crate) struct Plugin {
    context_id: u32,
    post: Option<Post>,
}

/// A plugin that has its policy.
struct Post {
    station: Station,
    metrics: Metrics,
    /// Fetches under way in this thread, by the host's token, and since when.
    calls: BTreeMap<u32, (Fetch, Duration)>,
    /// Fetches that another thread is making, or may be.
    followed: Vec<Fetch>,
    /// The last news of each source that were taken. A key set may have two: its issuer's
    /// configuration comes first.
    heard: BTreeMap<String, u64>,
}

impl Plugin {
    pub(crate) fn new(context_id: u32) -> Self {
        Self { context_id, post: None }
    }

    /// Reads the policy. Whether it is one.
    pub(crate) fn configure(&mut self) -> bool {
        match configure(&host::plugin_configuration()) {
            Ok(policy) => {
                self.post = Some(Post::new(policy));
                host::tick_every(SHORTEST_TICK);
                true
            }
            Err(error) => {
                host::log(LogLevel::Critical, &format!("postern: bad policy: {error}"));
                false
            }
        }
    }

    /// Without a policy, nothing passes.
    pub(crate) fn request(&mut self, context_id: u32) -> Action {
        match self.post.as_mut().map(|post| post.station.pass(context_id)) {
            Some(Passage::Open) => Action::Continue,
            Some(Passage::Shut | Passage::Held) | None => Action::StopAll,
        }
    }

    /// Some services take trailers for headers, and a header that tells who the client is must not be
    /// the client's own.
    pub(crate) fn trailers(&self) -> Action {
        let (Some(post), Some(trailers)) = (&self.post, host::request_trailers()) else {
            return Action::StopAll;
        };
        let policy = post.station.gate.policy();
        let mut spoofed = trailers.names().filter(|name| policy.is_identity_header(name));
        if spoofed.any(|name| host::remove_trailer(name).is_err()) {
            return Action::StopAll;
        }
        Action::Continue
    }

    /// Does what is due.
    pub(crate) fn work(&mut self) {
        if let Some(post) = &mut self.post {
            post.work(self.context_id);
        }
    }

    /// A fetch of this thread has ended.
    pub(crate) fn fetched(&mut self, token: u32) {
        if let Some(post) = &mut self.post {
            post.fetched(token);
            post.work(self.context_id);
        }
    }

    /// A request is over.
    pub(crate) fn forget(&mut self, context_id: u32) {
        if let Some(post) = &mut self.post {
            post.station.forget(context_id);
        }
    }

    /// The plugin is over.
    pub(crate) fn close(&mut self) {
        if let Some(post) = &mut self.post {
            post.metrics.flush(&mut post.station.gate);
        }
    }
}

impl Post {
    fn new(policy: Policy) -> Self {
        let metrics = Metrics::new(&policy);
        let station = Station::new(gate(policy));
        let (calls, followed, heard) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        Self { station, metrics, calls, followed, heard }
    }

    /// Sees to every fetch that is due, wakes who is to be woken, tells the statistics, and sets the
    /// time of the next look.
    fn work(&mut self, context_id: u32) {
        let Some(now) = host::now() else { return };
        for fetch in std::mem::take(&mut self.followed) {
            self.see_to(fetch, now);
        }
        // Whatever the ring says, this loop ends.
        for _ in 0..MAX_STARTED {
            let due = self.station.gate.keys_mut().poll_fetch(now);
            let Some(fetch) = due else { break };
            // One that counts as lost will hardly be answered any more.
            self.calls.retain(|_, (other, _)| other.key_set != fetch.key_set);
            self.followed.retain(|other| other.key_set != fetch.key_set);
            self.see_to(fetch, now);
        }
        self.stay_in_the_lead(now);
        self.station.wake_overdue(now);
        self.wake(context_id);
        self.metrics.flush(&mut self.station.gate);
        self.metrics.measure(&self.station.gate, now);
        self.set_next_look(now);
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
        self.calls.retain(|_, (fetch, since)| now.abs_diff(*since) <= fetch.source.timeout + GRACE);
        self.calls.values().for_each(|(fetch, _)| key_exchange::renew(fetch, now));
    }

    /// Takes what another thread has fetched, waits for it, or fetches.
    fn see_to(&mut self, fetch: Fetch, now: Duration) {
        let place = Place::of(&fetch);
        let heard = self.heard.get(place.source()).copied().unwrap_or_default();
        match key_exchange::turn(&place, heard, now) {
            Turn::Take(news) => self.take(&fetch, &news),
            Turn::Follow => self.followed.push(fetch),
            Turn::Lead { etag } => match host::dispatch(&fetch, etag.as_deref()) {
                Ok(token) => {
                    self.calls.insert(token, (fetch, now));
                }
                Err(_) => self.end(&fetch, Answer::default(), now),
            },
        }
    }

    fn fetched(&mut self, token: u32) {
        let Some((fetch, _)) = self.calls.remove(&token) else { return };
        let answer = key_exchange::completed(&fetch, response());
        if let Some(now) = host::now() {
            self.end(&fetch, answer, now);
        }
    }

    /// Hands the end of a fetch of this thread to the key ring, and to the other threads.
    fn end(&mut self, fetch: &Fetch, answer: Answer, now: Duration) {
        let result = self.station.gate.keys_mut().handle_fetched(fetch, answer.fetched(), now);
        let is_good = result.is_ok();
        let name = self.provider(fetch).to_owned();
        self.metrics.count_fetch(&name, is_good);
        match result {
            Ok(KeyUpdate::Unchanged | KeyUpdate::Discovered) => {}
            Ok(KeyUpdate::Replaced { keys, skipped }) => {
                log_update(&name, keys, &skipped);
            }
            Err(error) => {
                let message = format!("postern: the keys of `{name}` were not fetched: {error}");
                host::log(LogLevel::Warn, &message);
            }
        }
        let (number, generation) = key_exchange::publish(fetch, answer, is_good, now);
        self.note(fetch, number, generation);
    }

    /// Hands what another thread has fetched to the key ring, as of the time when it came.
    fn take(&mut self, fetch: &Fetch, news: &News) {
        let ring = self.station.gate.keys_mut();
        // Who has fetched it has told the log.
        let _ = ring.handle_fetched(fetch, news.fetched(), news.at);
        self.note(fetch, news.number, news.generation);
    }

    fn note(&mut self, fetch: &Fetch, number: u64, generation: u64) {
        if self.heard.len() >= MAX_HEARD {
            self.heard.clear();
        }
        self.heard.insert(Place::of(fetch).into_source(), number);
        if fetch.key_set.domain.is_none() {
            self.metrics.set_generation(fetch.key_set.provider, generation);
        }
        self.station.wake_all();
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

/// The threads of a fleet start at many times, and so they do not all fetch at one.
fn gate(policy: Policy) -> Gate {
    let seed = host::now().and_then(|now| u64::try_from(now.as_nanos()).ok());
    Gate::new(policy)
        .with_jitter_seed(seed.unwrap_or_default())
        .with_signatures(Box::new(ProxySignatures::default()))
}

/// Envoy reaches a key set through a cluster only, so here `cluster` is not optional.
fn configure(document: &[u8]) -> Result<Policy, PolicyError> {
    let policy = Policy::parse(document)?;
    for (member, http_uri) in policy.http_uris() {
        if http_uri.cluster.as_deref().unwrap_or_default().is_empty() {
            let reason = "Envoy needs the cluster that leads to `uri`";
            return Err(PolicyError::new(format!("{member}.cluster"), reason));
        }
    }
    Ok(policy)
}

/// The response to a fetch. The host reports one that got none as a response without a status.
fn response() -> Answer {
    let Some(fields) = host::response_fields() else { return Answer::default() };
    let status = fields.value(":status").and_then(|status| std::str::from_utf8(status).ok());
    let field = |name| fields.value(name).map(<[u8]>::to_vec);
    Answer {
        status: status.and_then(|status| status.parse().ok()).unwrap_or_default(),
        etag: field("etag"),
        cache_control: field("cache-control"),
        age: field("age"),
        body: host::response_body(MAX_JWK_SET_BYTES + 1),
    }
}

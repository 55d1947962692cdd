//! The root context: configuration, key fetches, and waking the requests that wait for them.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use postern_verify::{Fetch, Fetched, Gate, KeyUpdate, MAX_JWK_SET_BYTES, Policy, PolicyError};
use proxy_wasm::{
    traits::{Context, HttpContext, RootContext},
    types::{ContextType, LogLevel},
};

use crate::{host, request::GatedRequest, signatures, station::Station};

/// The shortest and the longest time between two looks at what is due to be fetched.
const SHORTEST_TICK: Duration = Duration::from_millis(20);
const LONGEST_TICK: Duration = Duration::from_secs(10);
/// How many waiting requests are decided on in one callback. The host carries out the answers and
/// resumptions of a callback one inside the other, and hundreds of them exhaust the VM's stack.
const MAX_WOKEN: usize = 16;
/// How many fetches are started in one callback; the next ones follow with the next tick.
const MAX_STARTED: usize = 64;
/// How many keys that were left out are logged for one key set.
const MAX_LOGGED_KEYS: usize = 4;

/// The plugin, once per worker thread.
pub(crate) struct Root {
    context_id: u32,
    station: Option<Rc<RefCell<Station>>>,
    /// Fetches under way, by the host's token.
    calls: BTreeMap<u32, Fetch>,
}

impl Root {
    pub(crate) fn new(context_id: u32) -> Self {
        Self { context_id, station: None, calls: BTreeMap::new() }
    }

    /// Wakes who is to be woken, starts every fetch that is due, and sets the time of the next look.
    fn work(&mut self, station: &Rc<RefCell<Station>>) {
        let Some(now) = host::now() else { return };
        // Whatever the ring says, this loop ends.
        for _ in 0..MAX_STARTED {
            let due = station.borrow_mut().gate.keys_mut().poll_fetch(now);
            let Some(fetch) = due else { break };
            self.start(station, &fetch, now);
        }
        station.borrow_mut().wake_overdue(now);
        self.wake(station);
        if station.borrow().has_awake() {
            return host::tick_at_once();
        }
        let wakeup = station.borrow().next_wakeup();
        let period = wakeup.map_or(LONGEST_TICK, |wakeup| wakeup.saturating_sub(now));
        host::tick_every(period.clamp(SHORTEST_TICK, LONGEST_TICK));
    }

    fn start(&mut self, station: &Rc<RefCell<Station>>, fetch: &Fetch, now: Duration) {
        // One that counts as lost will hardly be answered any more.
        self.calls.retain(|_, other| other.key_set != fetch.key_set);
        match host::dispatch(fetch) {
            Ok(token) => {
                self.calls.insert(token, fetch.clone());
            }
            Err(_) => finish(&mut station.borrow_mut(), fetch, Fetched::Failed, now),
        }
    }

    fn wake(&self, station: &Rc<RefCell<Station>>) {
        for _ in 0..MAX_WOKEN {
            let passed = station.borrow_mut().pass_next_awake();
            match passed {
                Some(true) => host::resume(),
                Some(false) => {}
                None => break,
            }
        }
        host::enter(self.context_id);
    }
}

/// Hands the end of a fetch to the key ring and wakes everyone who waits.
fn finish(station: &mut Station, fetch: &Fetch, fetched: Fetched<'_>, now: Duration) {
    let result = station.gate.keys_mut().handle_fetched(fetch, fetched, now);
    let name =
        station.gate.policy().provider_names().nth(fetch.key_set.provider).unwrap_or_default();
    match result {
        Ok(KeyUpdate::Unchanged | KeyUpdate::Discovered) => {}
        Ok(KeyUpdate::Replaced { keys, skipped }) => log_update(name, keys, &skipped),
        Err(error) => {
            let message = format!("postern: the keys of `{name}` were not fetched: {error}");
            host::log(LogLevel::Warn, &message);
        }
    }
    station.wake_all();
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

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, _headers: usize, _body: usize, _: usize) {
        let Some(station) = self.station.clone() else { return };
        let Some(fetch) = self.calls.remove(&token) else { return };
        let fields = host::response_fields();
        let body = host::response_body(MAX_JWK_SET_BYTES + 1);
        if let Some(now) = host::now() {
            finish(&mut station.borrow_mut(), &fetch, fetched(&fields, &body), now);
        }
        self.work(&station);
    }
}

impl RootContext for Root {
    /// Returning false makes Envoy reject the configuration.
    fn on_configure(&mut self, _size: usize) -> bool {
        let document = self.get_plugin_configuration().unwrap_or_default();
        match configure(&document) {
            Ok(policy) => {
                self.station = Some(Rc::new(RefCell::new(Station::new(gate(policy)))));
                host::tick_every(SHORTEST_TICK);
                true
            }
            Err(error) => {
                host::log(LogLevel::Critical, &format!("postern: bad policy: {error}"));
                false
            }
        }
    }

    fn on_tick(&mut self) {
        if let Some(station) = self.station.clone() {
            self.work(&station);
        }
    }

    fn create_http_context(&self, context_id: u32) -> Option<Box<dyn HttpContext>> {
        let station = self.station.clone()?;
        Some(Box::new(GatedRequest::new(context_id, station)))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// The threads of a fleet start at many times, and so they do not all fetch at one.
fn gate(policy: Policy) -> Gate {
    let seed = host::now().and_then(|now| u64::try_from(now.as_nanos()).ok());
    let gate = Gate::new(policy).with_jitter_seed(seed.unwrap_or_default());
    match signatures::of_the_proxy() {
        Some(signatures) => gate.with_signatures(Box::new(signatures)),
        None => gate,
    }
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

/// The host reports a fetch that got no answer as a response without a status.
fn fetched<'a>(fields: &'a host::Fields, body: &'a [u8]) -> Fetched<'a> {
    let field = |name: &str| {
        let found = fields.iter().find(|field| field.0.eq_ignore_ascii_case(name));
        found.map(|field| field.1.as_slice())
    };
    let status = field(":status").and_then(|status| std::str::from_utf8(status).ok());
    match status.and_then(|status| status.parse().ok()) {
        None => Fetched::Failed,
        Some(status) => Fetched::Response {
            status,
            etag: field("etag"),
            cache_control: field("cache-control"),
            age: field("age"),
            body,
        },
    }
}

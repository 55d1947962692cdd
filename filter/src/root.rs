//! The root context: configuration, key fetches, and waking the requests that wait for them.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use postern_verify::{Fetch, Fetched, KeyUpdate, MAX_JWK_SET_BYTES, Policy, PolicyError};
use proxy_wasm::{
    traits::{Context, HttpContext, RootContext},
    types::{ContextType, LogLevel},
};

use crate::{
    gate::{Gate, Passage},
    host,
    request::GatedRequest,
};

/// The shortest and the longest time between two looks at what is due to be fetched.
const SHORTEST_TICK: Duration = Duration::from_millis(20);
const LONGEST_TICK: Duration = Duration::from_secs(10);

/// The plugin, once per worker thread.
pub(crate) struct Root {
    context_id: u32,
    gate: Option<Rc<RefCell<Gate>>>,
    /// Fetches under way: the host's token and the provider.
    calls: BTreeMap<u32, usize>,
}

impl Root {
    pub(crate) fn new(context_id: u32) -> Self {
        Self { context_id, gate: None, calls: BTreeMap::new() }
    }

    /// Starts every fetch that is due and sets the time of the next look.
    fn fetch_due(&mut self, gate: &Rc<RefCell<Gate>>) {
        let now = host::now();
        loop {
            let due = gate.borrow_mut().keys.poll_fetch(now);
            let Some(fetch) = due else { break };
            self.start(gate, &fetch);
        }
        let wakeup = gate.borrow().keys.next_wakeup();
        let period = wakeup.map_or(LONGEST_TICK, |wakeup| wakeup.saturating_sub(now));
        host::tick_every(period.clamp(SHORTEST_TICK, LONGEST_TICK));
    }

    fn start(&mut self, gate: &Rc<RefCell<Gate>>, fetch: &Fetch) {
        match host::dispatch(fetch) {
            Ok(token) => {
                self.calls.insert(token, fetch.provider);
            }
            Err(_) => self.finish(gate, fetch.provider, Fetched::Failed),
        }
    }

    fn finish(&self, gate: &Rc<RefCell<Gate>>, provider: usize, fetched: Fetched<'_>) {
        let result = gate.borrow_mut().keys.handle_fetched(provider, fetched, host::now());
        let name = gate.borrow().policy.provider_names().nth(provider).unwrap_or("?").to_owned();
        match result {
            Ok(KeyUpdate::Unchanged) => {}
            Ok(KeyUpdate::Replaced { keys, skipped }) => {
                host::log(LogLevel::Info, &format!("postern: `{name}` has {keys} keys"));
                for reason in skipped {
                    let message = format!("postern: `{name}` left out {reason}");
                    host::log(LogLevel::Warn, &message);
                }
            }
            Err(error) => {
                let message = format!("postern: the keys of `{name}` were not fetched: {error}");
                host::log(LogLevel::Warn, &message);
            }
        }
        self.wake(gate);
    }

    /// Decides anew on every request that waits. One that has to wait longer holds its place.
    fn wake(&self, gate: &Rc<RefCell<Gate>>) {
        let waiting = std::mem::take(&mut gate.borrow_mut().waiting);
        for context_id in waiting {
            if host::enter(context_id) && gate.borrow_mut().pass(context_id) == Passage::Open {
                host::resume();
            }
        }
        host::enter(self.context_id);
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, _headers: usize, _body: usize, _: usize) {
        let Some(gate) = self.gate.clone() else { return };
        let Some(provider) = self.calls.remove(&token) else { return };
        let fields = host::response_fields();
        let body = host::response_body(MAX_JWK_SET_BYTES + 1);
        self.finish(&gate, provider, fetched(&fields, &body));
        self.fetch_due(&gate);
    }
}

impl RootContext for Root {
    /// Returning false makes Envoy reject the configuration.
    fn on_configure(&mut self, _size: usize) -> bool {
        let document = self.get_plugin_configuration().unwrap_or_default();
        match configure(&document) {
            Ok(policy) => {
                self.gate = Some(Rc::new(RefCell::new(Gate::new(policy))));
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
        if let Some(gate) = self.gate.clone() {
            self.fetch_due(&gate);
        }
    }

    fn create_http_context(&self, context_id: u32) -> Option<Box<dyn HttpContext>> {
        let gate = self.gate.clone()?;
        Some(Box::new(GatedRequest::new(context_id, gate)))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// Envoy reaches a key set through a cluster only, so here `cluster` is not optional.
fn configure(document: &[u8]) -> Result<Policy, PolicyError> {
    let policy = Policy::parse(document)?;
    for (name, remote) in policy.remote_providers() {
        if remote.cluster.as_deref().unwrap_or_default().is_empty() {
            let member = format!("providers.{name}.remote_jwks.http_uri.cluster");
            return Err(PolicyError::new(member, "Envoy needs the cluster that leads to `uri`"));
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
            body,
        },
    }
}

//! A gate in one worker thread, and the requests before it.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use postern_verify::{Decision, Denial, Denied, Forward, Gate, Report, Request, Route};

use crate::host::{self, Bytes, LogLevel, Refused};

/// Most requests that may wait for keys at once; more are answered as if there were none.
const MAX_WAITING: usize = 1024;
/// How long a request may wait for keys in all, over as many fetches as it takes.
const MAX_WAIT: Duration = Duration::from_secs(15);
/// What a request is told that the host failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The namespace of the route metadata that names an entry of `requirement_map`.
const ROUTE_METADATA: [&str; 4] = ["xds", "route_metadata", "filter_metadata", "postern"];

/// The gate, and who waits before it.
pub(crate) struct Station {
    pub(crate) gate: Gate,
    /// The requests that wait for keys, by context id, and since when.
    waiting: BTreeMap<u32, Duration>,
    /// Those of them that are to be decided on anew.
    awake: VecDeque<u32>,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passage {
    /// It may go on, changed as needed.
    Open,
    /// It has been answered.
    Shut,
    /// It waits for keys.
    Held,
}

/// What the proxy's own configuration says of a request.
#[derive(Default)]
struct Surroundings {
    disabled: bool,
    requirement: Option<Bytes>,
    filter_state: Option<Bytes>,
}

impl Station {
    pub(crate) fn new(gate: Gate) -> Self {
        declare_properties(&gate);
        Self { gate, waiting: BTreeMap::new(), awake: VecDeque::new() }
    }

    /// Decides on the request at hand and carries the verdict out.
    pub(crate) fn pass(&mut self, context_id: u32) -> Passage {
        let (Some(now), Some(fields)) = (host::now(), host::request_fields()) else {
            return unavailable();
        };
        let surroundings = self.surroundings();
        let Some(mut request) = fields.request() else {
            return answered(&Denial::HeaderAmbiguous);
        };
        surroundings.show(&mut request);
        let decision = if self.may_wait(context_id, now) {
            self.gate.decide(&request, now)
        } else {
            self.gate.decide_at_once(&request, now)
        };
        match decision {
            Decision::Allow(forward) => self.let_pass(&forward),
            Decision::Deny(denied) => self.refuse(&denied),
            Decision::AwaitKeys(key_set) => {
                self.waiting.entry(context_id).or_insert(now);
                // Only when it makes a difference: each call pushes the next tick back.
                if self.gate.keys_mut().demand(&key_set, now) {
                    host::tick_at_once();
                }
                Passage::Held
            }
        }
    }

    /// A request that is over must not be woken.
    pub(crate) fn forget(&mut self, context_id: u32) {
        self.waiting.remove(&context_id);
    }

    /// Marks every request that waits as one to decide on anew.
    pub(crate) fn wake_all(&mut self) {
        self.awake = self.waiting.keys().copied().collect();
    }

    /// Marks those that have waited for too long: they are told so.
    pub(crate) fn wake_overdue(&mut self, now: Duration) {
        let overdue = self.waiting.iter().filter(|(_, since)| **since + MAX_WAIT <= now);
        let overdue = overdue.map(|(context_id, _)| *context_id);
        let asleep: Vec<u32> = overdue.filter(|id| !self.awake.contains(id)).collect();
        self.awake.extend(asleep);
    }

    /// When there is next something to do without being asked.
    pub(crate) fn next_wakeup(&self) -> Option<Duration> {
        let deadlines = self.waiting.values().map(|since| *since + MAX_WAIT);
        deadlines.chain(self.gate.keys().next_wakeup()).min()
    }

    /// Whether there is a request to decide on anew.
    pub(crate) fn has_awake(&self) -> bool {
        !self.awake.is_empty()
    }

    /// Decides anew on the next request that was woken; `None` where there is none. The host's
    /// calls speak of that request when this returns; true says that it may go on.
    pub(crate) fn pass_next_awake(&mut self) -> Option<bool> {
        let context_id = self.awake.pop_front()?;
        if !self.waiting.contains_key(&context_id) {
            return Some(false);
        }
        let passage = if host::enter(context_id) { self.pass(context_id) } else { Passage::Shut };
        if passage != Passage::Held {
            self.waiting.remove(&context_id);
        }
        Some(passage == Passage::Open)
    }

    fn let_pass(&self, forward: &Forward<'_>) -> Passage {
        if host::apply(forward).and_then(|()| self.say_who(forward)).is_err() {
            return unavailable();
        }
        tell(forward.report());
        Passage::Open
    }

    fn refuse(&self, denied: &Denied) -> Passage {
        let code = denied.denial.code();
        tell(denied.report.as_ref());
        host::log(LogLevel::Debug, &format!("postern: denied, {}", denied.denial));
        // The answer counts, whether the access log gets to know more or not.
        if self.gate.policy().identity_in_metadata() {
            let _ = host::set_text("code", code);
        }
        for (key, value) in &denied.metadata {
            let _ = host::set_object(&metadata_name(key), value);
        }
        host::answer(&denied.answer, code);
        Passage::Shut
    }

    /// Lets the filters behind this one, and the access log, know who it is.
    fn say_who(&self, forward: &Forward<'_>) -> Result<(), Refused> {
        for (key, value) in forward.metadata() {
            host::set_object(&metadata_name(key), value)?;
        }
        let Some(who) = forward.identity() else { return Ok(()) };
        let domain = who.domain.map(|domain| ("domain", domain));
        let subject = who.subject.map(|subject| ("subject", subject));
        let issuer = who.issuer.map(|issuer| ("issuer", issuer));
        let provider = self.gate.policy().provider_names().nth(who.provider);
        let provider = provider.map(|provider| ("provider", provider));
        for (name, text) in [provider, issuer, subject, domain].into_iter().flatten() {
            host::set_text(name, text)?;
        }
        Ok(())
    }

    fn surroundings(&self) -> Surroundings {
        let policy = self.gate.policy();
        let mut surroundings = Surroundings::default();
        if policy.has_named_requirements() {
            let [xds, metadata, filters, postern] = ROUTE_METADATA;
            let of_route = |name| host::property(&[xds, metadata, filters, postern, name]);
            surroundings.disabled = of_route("disabled").is_some_and(|value| value == [1]);
            surroundings.requirement = of_route("requirement_name");
        }
        if let Some(name) = policy.filter_state_name() {
            surroundings.filter_state = host::property(&["filter_state", name]);
        }
        surroundings
    }

    fn may_wait(&self, context_id: u32, now: Duration) -> bool {
        match self.waiting.get(&context_id) {
            Some(since) => now < *since + MAX_WAIT,
            None => self.waiting.len() < MAX_WAITING,
        }
    }
}

impl Surroundings {
    /// A name that is no text is no name of an entry, and the core refuses that.
    fn show<'a>(&'a self, request: &mut Request<'a>) {
        let text = |bytes: &'a Bytes| std::str::from_utf8(bytes).unwrap_or_default();
        request.route = match &self.requirement {
            _ if self.disabled => Route::Disabled,
            Some(name) => Route::Requirement(text(name)),
            None => Route::Rules,
        };
        request.filter_state = self.filter_state.as_ref().map(text);
    }
}

fn declare_properties(gate: &Gate) {
    let policy = gate.policy();
    if policy.identity_in_metadata() {
        for name in ["provider", "issuer", "subject", "domain", "code"] {
            host::declare(name, false);
        }
    }
    for key in policy.metadata_keys() {
        host::declare(&metadata_name(key), true);
    }
}

fn metadata_name(key: &str) -> String {
    format!("metadata.{key}")
}

/// What a rule on trial would have done, if it would have denied.
fn tell(report: Option<&Report>) {
    let Some(report) = report else { return };
    if let Some(code) = report.code {
        let message = format!("postern: rule `{}` would have denied, {code}", report.rule);
        host::log(LogLevel::Info, &message);
    }
}

fn unavailable() -> Passage {
    answered(&Denial::KeysUnavailable { retry_after: RETRY_AFTER })
}

fn answered(denial: &Denial) -> Passage {
    host::answer(&denial.answer(), denial.code());
    Passage::Shut
}

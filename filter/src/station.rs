//! What the requests of one worker thread share: the gate, and who waits for keys.

use std::{
    cell::Cell,
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    time::Duration,
};

use postern_verify::{Decision, Denial, Forward, Gate, Report};
use proxy_wasm::types::LogLevel;

use crate::host;

/// Most requests that may wait for keys at once; more are answered as if there were none.
const MAX_WAITING: usize = 1024;
/// How long a request may wait for keys in all, over as many fetches as it takes.
const MAX_WAIT: Duration = Duration::from_secs(15);
/// What a request is told that the host failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A gate, and the requests before it.
pub(crate) struct Station {
    pub(crate) gate: Gate,
    /// The host's counter of what rules on trial would have denied.
    would_deny: Option<u32>,
    /// The requests that wait for keys, by context id.
    waiting: BTreeMap<u32, Waiting>,
    /// Those of them that are to be decided on anew.
    awake: VecDeque<u32>,
}

struct Waiting {
    since: Duration,
    passage: Rc<Cell<Passage>>,
}

impl Waiting {
    fn deadline(&self) -> Duration {
        self.since + MAX_WAIT
    }
}

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passage {
    /// It may go on, changed as needed.
    Open,
    /// It has been answered, or not been looked at yet.
    Shut,
    /// It waits for keys; the root context will wake it.
    Held,
}

impl Station {
    pub(crate) fn new(gate: Gate) -> Self {
        let prefix = gate.policy().stat_prefix().map(|prefix| format!("{prefix}."));
        let name = format!("{}postern.would_deny", prefix.unwrap_or_default());
        let would_deny = host::counter(&name);
        Self { gate, would_deny, waiting: BTreeMap::new(), awake: VecDeque::new() }
    }

    /// Decides on the request at hand and carries the verdict out.
    pub(crate) fn pass(&mut self, context_id: u32, passage: &Rc<Cell<Passage>>) {
        passage.set(self.judge(context_id, passage));
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
        let overdue = self.waiting.iter().filter(|(_, waiting)| waiting.deadline() <= now);
        let overdue = overdue.map(|(context_id, _)| *context_id);
        let asleep: Vec<u32> = overdue.filter(|id| !self.awake.contains(id)).collect();
        self.awake.extend(asleep);
    }

    /// When there is next something to do without being asked.
    pub(crate) fn next_wakeup(&self) -> Option<Duration> {
        let deadlines = self.waiting.values().map(Waiting::deadline);
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
        let Some(waiting) = self.waiting.get(&context_id) else { return Some(false) };
        let passage = Rc::clone(&waiting.passage);
        let entered = host::enter(context_id);
        if entered {
            self.pass(context_id, &passage);
        }
        if !entered || passage.get() != Passage::Held {
            self.waiting.remove(&context_id);
        }
        Some(passage.get() == Passage::Open)
    }

    fn judge(&mut self, context_id: u32, passage: &Rc<Cell<Passage>>) -> Passage {
        let (Some(now), Some(fields)) = (host::now(), host::request_fields()) else {
            return unavailable();
        };
        let request = host::request_view(&fields);
        let decision = if self.may_wait(context_id, now) {
            self.gate.decide(&request, now)
        } else {
            self.gate.decide_at_once(&request, now)
        };
        match decision {
            Decision::Allow(forward) => self.let_pass(&forward),
            Decision::Deny(denied) => {
                self.tell(denied.report.as_ref());
                host::log(LogLevel::Debug, &format!("postern: denied, {}", denied.denial));
                host::answer(&denied.answer);
                Passage::Shut
            }
            Decision::AwaitKeys(key_set) => {
                let waiting = || Waiting { since: now, passage: Rc::clone(passage) };
                self.waiting.entry(context_id).or_insert_with(waiting);
                // Only when it makes a difference: each call pushes the next tick back.
                if self.gate.keys_mut().demand(&key_set, now) {
                    host::tick_at_once();
                }
                Passage::Held
            }
        }
    }

    fn let_pass(&self, forward: &Forward<'_>) -> Passage {
        if !host::apply(forward) {
            return unavailable();
        }
        self.tell(forward.report());
        Passage::Open
    }

    /// What a rule on trial would have done, if it would have denied.
    fn tell(&self, report: Option<&Report>) {
        let Some(report) = report else { return };
        if let Some(code) = report.code {
            let message = format!("postern: rule `{}` would have denied, {code}", report.rule);
            host::log(LogLevel::Info, &message);
            host::increment(self.would_deny);
        }
    }

    fn may_wait(&self, context_id: u32, now: Duration) -> bool {
        match self.waiting.get(&context_id) {
            Some(waiting) => now < waiting.deadline(),
            None => self.waiting.len() < MAX_WAITING,
        }
    }
}

fn unavailable() -> Passage {
    host::answer(&Denial::KeysUnavailable { retry_after: RETRY_AFTER }.answer());
    Passage::Shut
}

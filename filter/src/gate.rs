//! What the requests of one worker thread share: the policy, the keys, and who waits for keys.

use std::{
    cell::Cell,
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    time::Duration,
};

use postern_verify::{Decision, Denial, KeyRing, Policy};
use proxy_wasm::types::LogLevel;

use crate::host;

/// Most requests that may wait for keys at once; more are answered as if there were none.
const MAX_WAITING: usize = 1024;
/// How long a request may wait for keys in all, over as many fetches as it takes.
const MAX_WAIT: Duration = Duration::from_secs(15);
/// What a request is told that cannot wait, or no longer.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// One policy at work.
pub(crate) struct Gate {
    pub(crate) policy: Policy,
    pub(crate) keys: KeyRing,
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

impl Gate {
    pub(crate) fn new(policy: Policy) -> Self {
        let keys = KeyRing::new(&policy);
        Self { policy, keys, waiting: BTreeMap::new(), awake: VecDeque::new() }
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
        deadlines.chain(self.keys.next_wakeup()).min()
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
        match self.policy.decide(&host::request_view(&fields), &self.keys, now) {
            Decision::Allow(forward) if host::apply(&forward) => Passage::Open,
            Decision::Deny(denial) => refuse(&denial),
            Decision::AwaitKeys(provider) if self.may_wait(context_id, now) => {
                let waiting = || Waiting { since: now, passage: Rc::clone(passage) };
                self.waiting.entry(context_id).or_insert_with(waiting);
                // Only when it makes a difference: each call pushes the next tick back.
                if self.keys.demand(provider, now) {
                    host::tick_at_once();
                }
                Passage::Held
            }
            Decision::Allow(_) | Decision::AwaitKeys(_) => unavailable(),
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
    refuse(&Denial::KeysUnavailable { retry_after: RETRY_AFTER })
}

fn refuse(denial: &Denial) -> Passage {
    host::log(LogLevel::Debug, &format!("postern: denied, {denial}"));
    host::answer(&denial.answer());
    Passage::Shut
}

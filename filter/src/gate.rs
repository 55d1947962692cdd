//! What the requests of one worker thread share: the policy, the keys, and who waits for keys.

use std::{collections::BTreeSet, time::Duration};

use postern_verify::{Decision, Denial, KeyRing, Policy};
use proxy_wasm::types::LogLevel;

use crate::host;

/// Most requests that may wait for keys at once; more are answered as if there were none.
const MAX_WAITING: usize = 1024;
/// What such a request is told to wait.
const CROWDED_RETRY_AFTER: Duration = Duration::from_secs(1);
/// A tick as soon as the host can give one.
const AT_ONCE: Duration = Duration::from_millis(1);

/// One policy at work.
pub(crate) struct Gate {
    pub(crate) policy: Policy,
    pub(crate) keys: KeyRing,
    /// Context ids of the requests that wait for keys.
    pub(crate) waiting: BTreeSet<u32>,
}

/// What became of the request at hand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passage {
    /// It may go on, changed as needed.
    Open,
    /// It has been answered.
    Shut,
    /// It waits for keys; the root context will wake it.
    Held,
}

impl Gate {
    pub(crate) fn new(policy: Policy) -> Self {
        Self { keys: KeyRing::new(&policy), policy, waiting: BTreeSet::new() }
    }

    /// Decides on the request at hand and carries the verdict out.
    pub(crate) fn pass(&mut self, context_id: u32) -> Passage {
        let now = host::now();
        let Some(fields) = host::request_fields() else {
            return refuse(&Denial::NoMatchingRule);
        };
        match self.policy.decide(&host::request_view(&fields), &self.keys, now) {
            Decision::Allow(forward) if host::apply(&forward) => Passage::Open,
            Decision::Allow(_) => refuse(&Denial::NoMatchingRule),
            Decision::Deny(denial) => refuse(&denial),
            Decision::AwaitKeys(_) if self.waiting.len() >= MAX_WAITING => {
                refuse(&Denial::KeysUnavailable { retry_after: CROWDED_RETRY_AFTER })
            }
            Decision::AwaitKeys(provider) => {
                self.keys.demand(provider, now);
                self.waiting.insert(context_id);
                host::tick_every(AT_ONCE);
                Passage::Held
            }
        }
    }
}

fn refuse(denial: &Denial) -> Passage {
    host::log(LogLevel::Debug, &format!("postern: denied, {denial}"));
    host::answer(&denial.answer());
    Passage::Shut
}

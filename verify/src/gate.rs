//! A policy at work: with its keys, and the tokens that it has verified.

use std::{fmt, sync::Arc, time::Duration};

use serde_json::Value;

use crate::{
    answer::{Answer, Style, answer},
    decide::{Evaluation, Verdict},
    denial::Denial,
    forward::{Forward, Report},
    identity::Identity,
    key_ring::{KeyRing, KeySetId},
    policy::{Demand, DenyResponse, OPEN, Policy},
    request::Request,
    signature::SignatureVerifier,
    verified_tokens::{CacheCounters, VerifiedTokens},
};

/// What a request is told that comes back too often without keys, or that no host lets wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// One policy, the key sets of its providers, and its cache of verified tokens.
///
/// An adapter holds one of these, one per thread where it has several. A new policy is a new gate,
/// which vouches for nothing that an older one has verified.
pub struct Gate {
    policy: Policy,
    keys: KeyRing,
    verified: VerifiedTokens<Arc<Identity>>,
    counters: Counters,
}

/// The core's total answer to a request. Exhaustive, so that no adapter can forget a case.
#[derive(Debug, Clone)]
pub enum Decision<'r> {
    /// Let the request through, changed as told.
    Allow(Forward<'r>),
    /// Answer in the upstream's stead.
    Deny(Box<Denied>),
    /// These keys have to be fetched first ([`KeyRing::demand`]); decide again when they have been.
    AwaitKeys(KeySetId),
}

/// A refused request.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Denied {
    /// Why; for the log.
    pub denial: Denial,
    /// The name of the rule that it failed, if it was one.
    pub rule: Option<String>,
    /// What to answer.
    pub answer: Answer,
    /// Entries for the host's metadata, as of [`Forward::metadata`].
    pub metadata: Vec<(String, Value)>,
}

/// How often what has happened since the gate was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Requests that were let through.
    pub allowed: u64,
    /// Requests that were refused.
    pub denied: u64,
    /// Requests that were let through because their rule is on trial.
    pub would_deny: u64,
    /// The cache of verified tokens.
    pub cache: CacheCounters,
}

impl Gate {
    /// A gate for `policy` that has yet to fetch the keys that are not in it.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        let keys = KeyRing::new(&policy);
        let verified = VerifiedTokens::new(policy.cache_bytes);
        Self { policy, keys, verified, counters: Counters::default() }
    }

    /// The same gate, with a host's cryptography to check signatures.
    #[must_use]
    pub fn with_signatures(mut self, signatures: Box<dyn SignatureVerifier + Send>) -> Self {
        self.keys = self.keys.with_signatures(signatures);
        self
    }

    /// The same gate, whose fetches are spread in time by this number. Give each thread and machine
    /// another, and the issuer hears of them one by one; see [`KeyRing::with_jitter_seed`].
    #[must_use]
    pub fn with_jitter_seed(mut self, seed: u64) -> Self {
        self.keys = self.keys.with_jitter_seed(seed);
        self
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The key sets.
    #[must_use]
    pub fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// The key sets, to fetch them.
    pub fn keys_mut(&mut self) -> &mut KeyRing {
        &mut self.keys
    }

    /// What has happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters { cache: self.verified.counters(), ..self.counters }
    }

    /// Decides on a request at the time `now`, counted from the Unix epoch.
    ///
    /// Total: it never panics and never fails; whatever is not allowed is denied.
    #[must_use]
    pub fn decide<'r>(&mut self, request: &Request<'r>, now: Duration) -> Decision<'r> {
        let decision = self.judge(request, now, true);
        self.count(&decision);
        decision
    }

    /// Decides as [`Gate::decide`] does on a request that cannot wait, or no longer: in place of
    /// [`Decision::AwaitKeys`], its rule's answer to [`Denial::KeysUnavailable`].
    #[must_use]
    pub fn decide_at_once<'r>(&mut self, request: &Request<'r>, now: Duration) -> Decision<'r> {
        let decision = self.judge(request, now, false);
        self.count(&decision);
        decision
    }

    fn judge<'r>(&mut self, request: &Request<'r>, now: Duration, may_wait: bool) -> Decision<'r> {
        let Self { policy, keys, verified, .. } = self;
        let demanded = request.method().and_then(|method| Ok((method, request.path()?)));
        let (demand, path) = match demanded {
            Ok((method, path)) => match policy.demand(request, method, &path) {
                Ok(demand) => (demand, path),
                Err(denial) => return refuse(policy, request, None, denial, Vec::new()),
            },
            Err(denial) => return refuse(policy, request, None, denial, Vec::new()),
        };
        let mut evaluation = Evaluation::new(policy, keys, verified, request, &path, now);
        let verdict = evaluation.judge(&demand);
        let Evaluation { found, failures, .. } = evaluation;
        match verdict {
            Verdict::Await(key_set) if may_wait => Decision::AwaitKeys(key_set),
            Verdict::Await(_) => {
                let denial = Denial::KeysUnavailable { retry_after: RETRY_AFTER };
                refuse(policy, request, Some(&demand), denial, failures)
            }
            Verdict::Failed(denial) => refuse(policy, request, Some(&demand), denial, failures),
            Verdict::Satisfied { status_header } => {
                let mut forward = match report_header(&demand) {
                    None => Forward::new(request, policy, &demand.requirement.locations, &found),
                    Some((header, rule)) => {
                        let report = Report { rule: rule.to_owned(), code: None };
                        Forward::without_spoofed_headers(request, policy, &found)
                            .with_report(header, report)
                    }
                };
                if let Some(header) = status_header {
                    forward.set(header, "false");
                }
                Decision::Allow(forward.with_metadata(failures))
            }
        }
    }

    fn count(&mut self, decision: &Decision<'_>) {
        let counter = match decision {
            Decision::Allow(forward)
                if forward.report().is_some_and(|report| report.code.is_some()) =>
            {
                &mut self.counters.would_deny
            }
            Decision::Allow(_) => &mut self.counters.allowed,
            Decision::Deny(_) => &mut self.counters.denied,
            Decision::AwaitKeys(_) => return,
        };
        *counter = counter.saturating_add(1);
    }
}

fn report_header<'p>(demand: &Demand<'p>) -> Option<(&'p str, &'p str)> {
    let rule = demand.rule?;
    Some((rule.report_header.as_deref()?, &rule.name))
}

/// The answer of the rule that failed, or, where that is on trial, a report.
fn refuse<'r>(
    policy: &Policy,
    request: &Request<'r>,
    demand: Option<&Demand<'_>>,
    denial: Denial,
    metadata: Vec<(String, Value)>,
) -> Decision<'r> {
    if let Some((header, rule)) = demand.and_then(report_header) {
        let report = Report { rule: rule.to_owned(), code: Some(denial.code()) };
        let forward = Forward::without_spoofed_headers(request, policy, &[]);
        return Decision::Allow(forward.with_report(header, report).with_metadata(metadata));
    }
    let rule = demand.and_then(|demand| demand.rule);
    let default = DenyResponse::default();
    let requirement = demand.map_or(&OPEN, |demand| demand.requirement);
    let style = Style {
        deny_response: rule.map_or(&default, |rule| &rule.deny_response),
        bare: policy.strip_failure_response,
        locations: requirement.locations.iter().collect(),
    };
    let answer = answer(&denial, request, &style);
    let rule = rule.map(|rule| rule.name.clone());
    Decision::Deny(Box::new(Denied { denial, rule, answer, metadata }))
}

impl fmt::Debug for Gate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Gate")
            .field("policy", &self.policy)
            .field("keys", &self.keys)
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

//! A policy at work: with its keys, and the tokens that it has verified.

use std::{fmt, sync::Arc, time::Duration};

use serde_json::Value;

use crate::{
    answer::{Answer, Style, answer},
    claims::Claims,
    decide::{Evaluation, Outcome, Verdict},
    denial::Denial,
    edge::EdgeCredential,
    forward::{Forward, Report},
    identity::Identity,
    key_ring::{KeyRing, KeySetId},
    policy::{Demand, DenyResponse, Policy, PolicyError},
    request::Request,
    revoked::{RevokedSessions, session},
    signature::SignatureVerifier,
    tally::{Tallies, Tally},
    verified_tokens::{CacheCounters, VerifiedTokens},
};

/// One policy, the key sets of its providers, and its cache of verified tokens.
///
/// An adapter holds one of these, one per thread where it has several. A new policy is a new gate,
/// which vouches for nothing that an older one has verified.
pub struct Gate {
    pub(crate) policy: Policy,
    pub(crate) keys: KeyRing,
    pub(crate) verified: VerifiedTokens<Arc<Identity>>,
    pub(crate) revoked: RevokedSessions,
    pub(crate) counters: Counters,
    pub(crate) tallies: Tallies,
}

/// The core's total answer to a request. Exhaustive, so that no adapter can forget a case.
#[derive(Debug, Clone)]
pub enum Decision<'r> {
    /// Let the request through, changed as told.
    Allow(Forward<'r>),
    /// Answer in the upstream's stead.
    Deny(Box<Denied>),
    /// These keys, or this status list, have to be fetched first ([`KeyRing::demand`]); decide again
    /// when they have been.
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
    /// The provider whose token it needed, where it was one: the index counts
    /// [`Policy::provider_names`].
    pub provider: Option<usize>,
    /// What to answer.
    pub answer: Answer,
    /// Entries for the host's metadata, as of [`Forward::metadata`].
    pub metadata: Vec<(String, Value)>,
    /// What a rule on trial before that one would have done, as of [`Forward::report`].
    pub report: Option<Report>,
}

/// How often what has happened since the gate was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Requests that were let through.
    pub allowed: u64,
    /// Requests that were refused.
    pub denied: u64,
    /// Requests that a rule on trial would have refused, whatever became of them.
    pub would_deny: u64,
    /// Bundles of keys that were refused: not the issuer's, of the past, or unreadable.
    pub bundles_refused: u64,
    /// Status lists that were refused.
    pub lists_refused: u64,
    /// Requests that were let through by a status list that was stale (`when_stale: allow`).
    pub stale_status: u64,
    /// The cache of verified tokens.
    pub cache: CacheCounters,
}

impl Gate {
    /// A gate for `policy` that has yet to fetch the keys that are not in it.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        let keys = KeyRing::new(&policy);
        let verified = VerifiedTokens::new(policy.cache_bytes);
        let (revoked, counters) = (RevokedSessions::default(), Counters::default());
        let tallies = Tallies::new(policy.providers.len());
        Self { policy, keys, verified, revoked, counters, tallies }
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

    /// The same gate, as one of those that this number stands for: to its issuers, an enrolled edge has
    /// as many instances as there are numbers. Give one to all threads that share what they fetch.
    #[must_use]
    pub fn with_instance(mut self, instance: u64) -> Self {
        self.keys = self.keys.with_instance(instance);
        self
    }

    /// The same gate, as one of many in other places that this number stands for; see
    /// [`KeyRing::with_shared_instance`].
    #[must_use]
    pub fn with_shared_instance(mut self, instance: u64) -> Self {
        self.keys = self.keys.with_shared_instance(instance);
        self
    }

    /// The same gate, with what the edge has from its enrolments.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] names a provider with `edge_keys` whose issuer none of `edges` covers.
    pub fn with_edges(mut self, edges: Vec<EdgeCredential>) -> Result<Self, PolicyError> {
        self.keys = self.keys.with_edges(&self.policy, edges)?;
        Ok(self)
    }

    /// Takes a push: an issuer says that there is something new, of keys or of revocations. What is held
    /// of that is to be fetched at once ([`KeyRing::poll_fetch`]), and once a second at most, however many
    /// pushes there are.
    ///
    /// # Errors
    ///
    /// [`Denial`] where it is not of an issuer that the edge is enrolled with, for this edge, and of now.
    pub fn push(&mut self, token: &[u8], now: Duration) -> Result<(), Denial> {
        self.keys.push(&self.policy, token, now)
    }

    /// Makes a fetch due of all that is held, as a push of every issuer would.
    pub fn refresh(&mut self, now: Duration) {
        self.keys.hear_news(&self.policy, |_| true, now);
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

    /// Refuses, from now on, the tokens of a session (their `sid`, or `session`) of this provider,
    /// counted as in [`KeySetId`], also those that the gate has verified before. `until` is when the
    /// last of them has expired. False where there is no room: 100,000 sessions are revoked already.
    #[must_use = "a session that was not revoked goes on"]
    pub fn revoke(
        &mut self,
        provider: usize,
        session: &str,
        until: Duration,
        now: Duration,
    ) -> bool {
        self.revoked.add(provider, session, until, now)
    }

    pub(crate) fn is_revoked(&self, provider: usize, claims: &Claims, now: Duration) -> bool {
        session(claims).is_some_and(|session| self.revoked.holds(provider, session, now))
    }

    /// What has happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let bundles_refused = self.keys.bundles_refused();
        let (lists_refused, stale_status) = self.keys.status_counters();
        let cache = self.verified.counters();
        Counters { bundles_refused, lists_refused, stale_status, cache, ..self.counters }
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
    /// [`Decision::AwaitKeys`], its rule's answer to [`Denial::KeysUnavailable`] or
    /// [`Denial::StatusUnavailable`].
    #[must_use]
    pub fn decide_at_once<'r>(&mut self, request: &Request<'r>, now: Duration) -> Decision<'r> {
        let decision = self.judge(request, now, false);
        self.count(&decision);
        decision
    }

    /// How often which verdict was given since this was last asked; for metrics.
    pub fn take_tallies(&mut self) -> Vec<Tally> {
        self.tallies.take()
    }

    fn judge<'r>(&mut self, request: &Request<'r>, now: Duration, may_wait: bool) -> Decision<'r> {
        let Self { policy, keys, verified, revoked, .. } = self;
        let policy: &Policy = policy;
        let demanded = request.method().and_then(|method| {
            let path = request.path()?;
            Ok((policy.demands(request, method, &path)?, path))
        });
        let (demands, path) = match demanded {
            Ok(demanded) => demanded,
            Err(denial) => return deny(policy, request, None, denial, Vec::new(), None),
        };
        let trial = demands.trial.map(|demand| {
            let evaluation = Evaluation::new(policy, keys, verified, revoked, request, &path, now);
            (demand, evaluation.judge(&demand, may_wait))
        });
        let trial = match trial {
            Some((_, (Verdict::Await(key_set), ..))) if demands.demand.is_none() => {
                return Decision::AwaitKeys(key_set);
            }
            // A trial holds nobody up for whom another rule decides.
            Some((demand, (Verdict::Await(key_set), found, failures))) => {
                keys.demand(&key_set, now);
                let denial = unavailable(&key_set);
                Some((demand, (Verdict::Failed(denial), found, failures)))
            }
            trial => trial,
        };
        let Some(demand) = demands.demand else {
            return match trial {
                Some((demand, outcome)) => on_trial(policy, request, demand, outcome),
                None => deny(policy, request, None, Denial::NoMatchingRule, Vec::new(), None),
            };
        };
        let report = trial.and_then(|(demand, (verdict, ..))| report(&demand, &verdict));
        let evaluation = Evaluation::new(policy, keys, verified, revoked, request, &path, now);
        match evaluation.judge(&demand, may_wait) {
            (Verdict::Await(key_set), ..) => Decision::AwaitKeys(key_set),
            (Verdict::Failed(denial), _, failures) => {
                let report = report.map(|(_, report)| report);
                deny(policy, request, Some(&demand), denial, failures, report)
            }
            (Verdict::Satisfied { status_header }, found, failures) => {
                let locations = &demand.requirement.locations;
                let mut forward = Forward::new(request, policy, locations, &found)
                    .with_rule(demand.rule.map(|rule| rule.index));
                if let Some(header) = status_header {
                    forward.set(header, "false");
                }
                if let Some((header, report)) = report {
                    forward = forward.with_report(header, report);
                }
                Decision::Allow(forward.with_metadata(failures))
            }
        }
    }

    fn count(&mut self, decision: &Decision<'_>) {
        let (counter, report) = match decision {
            Decision::Allow(forward) => {
                forward.providers().for_each(|provider| self.tallies.allow(provider));
                (&mut self.counters.allowed, forward.report())
            }
            Decision::Deny(denied) => {
                self.tallies.deny(denied.provider, denied.denial.code());
                (&mut self.counters.denied, denied.report.as_ref())
            }
            Decision::AwaitKeys(_) => return,
        };
        *counter = counter.saturating_add(1);
        if report.is_some_and(|report| report.code.is_some()) {
            self.counters.would_deny = self.counters.would_deny.saturating_add(1);
        }
    }
}

/// What a rule on trial has to tell, and in which header.
fn report<'p>(demand: &Demand<'p>, verdict: &Verdict<'_>) -> Option<(&'p str, Report)> {
    let rule = demand.rule?;
    let code = match verdict {
        Verdict::Failed(denial) => Some(denial.code()),
        Verdict::Satisfied { .. } | Verdict::Await(_) => None,
    };
    Some((rule.report_header.as_deref()?, Report { rule: rule.name.clone(), code }))
}

/// What a request fails with that does not wait for these keys, or this status list.
fn unavailable(key_set: &KeySetId) -> Denial {
    let retry_after = Duration::ZERO;
    match key_set.status_list {
        Some(_) => Denial::StatusUnavailable { retry_after },
        None => Denial::KeysUnavailable { retry_after },
    }
}

/// Where only a rule on trial speaks of a request, it is let through, and its tokens stay where
/// they are.
fn on_trial<'r>(
    policy: &Policy,
    request: &Request<'r>,
    demand: Demand<'_>,
    (verdict, found, failures): Outcome<'_, 'r>,
) -> Decision<'r> {
    let found = if matches!(verdict, Verdict::Satisfied { .. }) { &found[..] } else { &[] };
    let mut forward = Forward::without_spoofed_headers(request, policy, found)
        .with_rule(demand.rule.map(|rule| rule.index));
    // What nobody has checked says so here, too.
    if let Verdict::Satisfied { status_header: Some(header) } = verdict {
        forward.set(header, "false");
    }
    if let Some((header, report)) = report(&demand, &verdict) {
        forward = forward.with_report(header, report);
    }
    Decision::Allow(forward.with_metadata(failures))
}

fn deny<'r>(
    policy: &Policy,
    request: &Request<'r>,
    demand: Option<&Demand<'_>>,
    denial: Denial,
    metadata: Vec<(String, Value)>,
    report: Option<Report>,
) -> Decision<'r> {
    let rule = demand.and_then(|demand| demand.rule);
    let default = DenyResponse::default();
    let style = Style {
        deny_response: rule.map_or(&default, |rule| &rule.deny_response),
        bare: policy.switches.strip_failure_response,
        locations: policy.providers.iter().flat_map(|provider| &provider.locations),
    };
    let answer = answer(&denial, request, style);
    let rule = rule.map(|rule| rule.name.clone());
    let provider = demand.and_then(|demand| demand.requirement.sole_provider);
    Decision::Deny(Box::new(Denied { denial, rule, provider, answer, metadata, report }))
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

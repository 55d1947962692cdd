//! The verdict on an event, without any input or output but its own.

use std::{fmt, time::Duration};

use postern_verify::{Claims, Decision, Denial, Denied, Forward, Gate, KeySetId};
use serde_json::Value;

use super::{
    answer::{self, Caller, Form},
    asked::{Asked, Kind},
    log,
    settings::{ResponseKind, Settings, SettingsError},
};
use crate::lambda::EventError;

/// Why there is no answer. Nothing is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorizerError {
    /// There is no token, or a bad one, for the reason of this code. API Gateway answers 401 to this
    /// very message.
    Unauthorized {
        /// The denial's code.
        code: &'static str,
    },
    /// The keys to check the token with are not there. API Gateway answers 500.
    KeysUnavailable,
    /// Whether the token has been revoked cannot be told. API Gateway answers 500.
    StatusUnavailable,
    /// The event is malformed. API Gateway answers 500.
    Event(EventError),
    /// The policy asks for what a `TOKEN` event does not tell. API Gateway answers 500.
    PolicyNeedsRequest,
}

impl fmt::Display for AuthorizerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unauthorized { .. } => formatter.write_str("Unauthorized"),
            Self::KeysUnavailable => formatter.write_str("keys_unavailable"),
            Self::StatusUnavailable => formatter.write_str("status_unavailable"),
            Self::Event(error) => error.fmt(formatter),
            Self::PolicyNeedsRequest => formatter.write_str(
                "the policy asks for header fields or the query, which a `TOKEN` event does not \
                 tell: make the authorizer one of the type `REQUEST`",
            ),
        }
    }
}

impl std::error::Error for AuthorizerError {}

impl From<EventError> for AuthorizerError {
    fn from(error: EventError) -> Self {
        Self::Event(error)
    }
}

/// What is to be done for an event; for tests, which bring keys and the time.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Answer with this.
    Answer(Value),
    /// Fetch these keys first.
    AwaitKeys(KeySetId),
    /// Fail with this.
    Fail(AuthorizerError),
}

pub(super) enum Judged {
    Answer(Value),
    Await(KeySetId),
}

/// A gate that reads events.
pub struct Judge {
    gate: Gate,
    token_header: String,
    response: ResponseKind,
    /// The one domain whose tokens are taken, where the settings name one.
    domain: Option<String>,
    rests_on_token_alone: bool,
    asks_for_fields: bool,
}

impl Judge {
    /// The gate of these settings; `seed` spreads its fetches in time.
    ///
    /// # Errors
    ///
    /// [`SettingsError::Policy`] where the policy has `edge_keys` that no enrolment covers.
    pub fn new(settings: Settings, seed: u64) -> Result<Self, SettingsError> {
        let Settings { policy, edges, token_header, response, domain } = settings;
        let rests_on_token_alone = policy.rests_on_token_alone();
        let fitting = if rests_on_token_alone { ResponseKind::Simple } else { ResponseKind::Iam };
        let asks_for_fields = policy.asks_for_fields();
        let gate = Gate::new(policy).with_jitter_seed(seed).with_edges(edges);
        Ok(Self {
            rests_on_token_alone,
            asks_for_fields,
            gate: gate.map_err(SettingsError::Policy)?,
            token_header,
            response: response.unwrap_or(fitting),
            domain,
        })
    }

    /// The gate, to bring it keys.
    pub fn gate_mut(&mut self) -> &mut Gate {
        &mut self.gate
    }

    /// What is to be done for an event at the time `now`, counted from the Unix epoch.
    pub fn outcome(&mut self, event: &Value, now: Duration) -> Outcome {
        match self.judge(event, now, true) {
            Ok(Judged::Answer(answer)) => Outcome::Answer(answer),
            Ok(Judged::Await(key_set)) => Outcome::AwaitKeys(key_set),
            Err(error) => Outcome::Fail(error),
        }
    }

    pub(super) fn judge(
        &mut self,
        event: &Value,
        now: Duration,
        may_wait: bool,
    ) -> Result<Judged, AuthorizerError> {
        let mut asked = Asked::read(event, &self.token_header)?;
        if asked.kind == Kind::Token && self.asks_for_fields {
            return Err(AuthorizerError::PolicyNeedsRequest);
        }
        let form = match (asked.kind, self.response) {
            (Kind::FormatTwo, ResponseKind::Simple) => Form::Simple,
            _ => Form::Policy,
        };
        if self.rests_on_token_alone {
            // A refusal for the path's sake would be remembered for the token, and meet every path.
            asked.leave_path_out();
        } else if asked.has_unclear_path {
            return Ok(Judged::Answer(refuse(form, &asked, &Denial::PathAmbiguous)));
        }
        let request = asked.request();
        let decision = if may_wait {
            self.gate.decide(&request, now)
        } else {
            self.gate.decide_at_once(&request, now)
        };
        match decision {
            Decision::Allow(forward) => {
                log::report(forward.report());
                let caller = self.caller(&forward);
                Ok(Judged::Answer(self.allow(form, &asked, &caller)))
            }
            Decision::Deny(denied) => self.deny(form, &asked, &denied).map(Judged::Answer),
            Decision::AwaitKeys(key_set) => Ok(Judged::Await(key_set)),
        }
    }

    /// How far a policy reaches that allows is how far the verdict does; see the module.
    fn allow(&self, form: Form, asked: &Asked<'_>, caller: &Caller) -> Value {
        if self.rests_on_token_alone {
            return answer::allow(form, caller, &asked.arn.whole_stage());
        }
        match (asked.arn.alone(), form) {
            (Some(resource), _) => answer::allow(form, caller, resource),
            (None, Form::Simple) => answer::allow(form, caller, ""),
            (None, Form::Policy) => refuse(form, asked, &Denial::PathAmbiguous),
        }
    }

    fn deny(
        &self,
        form: Form,
        asked: &Asked<'_>,
        denied: &Denied,
    ) -> Result<Value, AuthorizerError> {
        log::report(denied.report.as_ref());
        let provider = denied.provider.and_then(|index| self.provider_name(index));
        log::denial(&denied.denial, denied.rule.as_deref(), provider, asked);
        let code = denied.denial.code();
        match denied.denial {
            Denial::KeysUnavailable { .. } => Err(AuthorizerError::KeysUnavailable),
            Denial::StatusUnavailable { .. } => Err(AuthorizerError::StatusUnavailable),
            ref denial if denial.status() == 401 => Err(AuthorizerError::Unauthorized { code }),
            _ => {
                let provider = provider.map(str::to_owned);
                let caller = Caller { provider, ..Caller::default() };
                Ok(answer::deny(form, &caller, code, &asked.arn.to_string()))
            }
        }
    }

    /// Whom the first token speaks for.
    fn caller(&self, forward: &Forward<'_>) -> Caller {
        let Some(bearer) = forward.bearers().next() else { return Caller::default() };
        let claims = bearer.claims();
        let claims = claims.as_ref();
        let subject = claims.and_then(|claims| claims.string("sub"));
        Caller {
            subject: subject.filter(|subject| !subject.is_empty()).map(str::to_owned),
            domain: bearer.domain.map(str::to_owned).or_else(|| self.domain.clone()),
            scopes: claims.and_then(scopes),
            provider: self.provider_name(bearer.provider).map(str::to_owned),
        }
    }

    fn provider_name(&self, index: usize) -> Option<&str> {
        self.gate.policy().provider_names().nth(index)
    }
}

/// What only this adapter can tell: what the event says has two readings.
fn refuse(form: Form, asked: &Asked<'_>, denial: &Denial) -> Value {
    log::denial(denial, None, None, asked);
    answer::deny(form, &Caller::default(), denial.code(), &asked.arn.to_string())
}

/// `scope` (RFC 8693 §4.2) or `scp`, as words.
fn scopes(claims: &Claims) -> Option<String> {
    let claim = claims.value(&["scope"]).or_else(|| claims.value(&["scp"]))?;
    match claim {
        Value::String(words) => Some(words.clone()),
        Value::Array(words) => {
            let words = words.iter().map(Value::as_str).collect::<Option<Vec<&str>>>()?;
            Some(words.join(" "))
        }
        _ => None,
    }
}

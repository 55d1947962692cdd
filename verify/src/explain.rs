//! Why a request or a token is let through or not, step by step, with the functions that decide.

use std::{borrow::Cow, fmt, time::Duration};

use crate::{
    claims::Claims,
    denial::Denial,
    gate::Gate,
    inspection::rules,
    key_ring::{KeysAtHand, StatusAtHand},
    location,
    policy::{Check, Conditions, Demand, Location, Need, Provider},
    request::Request,
    status_list::Reference,
    token::{MAX_TOKEN_BYTES, SignedToken, UnverifiedToken},
};

/// One step of a decision, and how it went. It shows names and numbers, never a secret, a signature
/// or a claim other than those that the policy itself speaks of.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Step {
    /// The provider that it is about; empty where it is about the request or the token as such.
    pub provider: String,
    /// What was looked at, in one word.
    pub what: &'static str,
    /// What was found, or why it is not enough.
    pub outcome: Result<String, Denial>,
    /// What it means for the provider's token, where this is the last step with it.
    pub end: Option<End>,
}

/// How a provider's steps end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It takes the token.
    Taken,
    /// Its keys, or the status list, have to be fetched first.
    AwaitsKeys,
    /// It does not take the token, or finds none.
    Refused,
}

impl Gate {
    /// The steps to the verdict on `request`: what the policy demands, and for each provider that it
    /// names, how far its token came. [`Gate::decide`] gives the verdict.
    #[must_use]
    pub fn explain(&self, request: &Request<'_>, now: Duration) -> Vec<Step> {
        let mut steps = Steps::default();
        let demanded = request.method().and_then(|method| {
            let path = request.path()?;
            steps.ok("request", format!("{method} `{}`", path.escape_debug()));
            Ok((self.policy().demands(request, method, &path)?, path))
        });
        let (demands, path) = match demanded {
            Ok(demanded) => demanded,
            Err(denial) => return steps.ended_by("request", denial),
        };
        for (demand, note) in demands
            .trial
            .map(|demand| (demand, ", on trial"))
            .into_iter()
            .chain(demands.demand.map(|demand| (demand, "")))
        {
            steps.provider.clear();
            let by =
                demand.rule.map_or("the host".to_owned(), |rule| format!("rule `{}`", rule.name));
            steps.ok("demand", format!("{by}{note}: {}", self.words(&demand.requirement.need)));
            self.explain_demand(&mut steps, &demand, request, &path, now);
        }
        if demands.trial.is_none() && demands.demand.is_none() {
            return steps.ended_by("demand", Denial::NoMatchingRule);
        }
        steps.steps
    }

    fn explain_demand(
        &self,
        steps: &mut Steps,
        demand: &Demand<'_>,
        request: &Request<'_>,
        path: &str,
        now: Duration,
    ) {
        let conditions = demand.rule.map(|rule| &rule.conditions);
        for check in checks(&demand.requirement.need) {
            let Some(provider) = self.policy().providers.get(check.provider) else { continue };
            steps.provider.clone_from(&provider.name);
            let domain = provider.domain_of(request, path);
            let Ok(domain) = steps.take("domain", &domain, in_words) else { continue };
            let found = match location::find(request, &provider.locations) {
                Ok(Some(found)) => found,
                Ok(None) => {
                    steps.failed("place", Denial::TokenMissing);
                    continue;
                }
                Err(denial) => {
                    steps.failed("place", denial);
                    continue;
                }
            };
            steps.ok("place", place(found.1));
            let token = UnverifiedToken::parse(found.0, MAX_TOKEN_BYTES);
            self.explain_check(steps, check, provider, domain.as_deref(), &token, conditions, now);
        }
    }

    /// The same for a token by itself: how far it comes with each provider of the policy. `domain`
    /// is the one that providers with domains are to assume.
    #[must_use]
    pub fn explain_token(&self, text: &[u8], domain: Option<&str>, now: Duration) -> Vec<Step> {
        let mut steps = Steps::default();
        let token = UnverifiedToken::parse(text, MAX_TOKEN_BYTES);
        for (index, provider) in self.policy().providers.iter().enumerate() {
            steps.provider.clone_from(&provider.name);
            let check = Check { provider: index, audiences: None, id: 0 };
            let domain = provider.named_domain(domain).map(|domain| domain.map(Cow::Borrowed));
            let Ok(domain) = steps.take("domain", &domain, in_words) else { continue };
            let domain = domain.as_deref();
            self.explain_check(&mut steps, &check, provider, domain, &token, None, now);
        }
        steps.steps
    }

    #[expect(clippy::too_many_arguments, reason = "all that a check depends on")]
    fn explain_check(
        &self,
        steps: &mut Steps,
        check: &Check,
        provider: &Provider,
        domain: Option<&str>,
        token: &Result<UnverifiedToken<'_>, Denial>,
        conditions: Option<&Conditions>,
        now: Duration,
    ) {
        let Ok(token) = steps.take("token", token, ToString::to_string) else { return };
        let rules = rules(check, provider, domain);
        if rules.issuer.is_some() && token.issuer() != rules.issuer.as_deref() {
            return steps.failed("issuer", Denial::IssuerUnknown);
        }
        steps.ok("issuer", rules.issuer.as_deref().map_or("any".into(), |it| format!("`{it}`")));
        if !provider.algorithms.contains(&token.algorithm()) {
            return steps.failed("algorithm", Denial::AlgorithmNotAllowed);
        }
        steps.ok("algorithm", format!("{} is one of the provider's", token.algorithm()));
        let keys = match self.keys().at_hand(check.provider, domain, token.key_id(), now) {
            KeysAtHand::Ready { keys, .. } => keys,
            KeysAtHand::Await => {
                let waiting = Ok("they have to be fetched first".to_owned());
                return steps.push("keys", waiting, Some(End::AwaitsKeys));
            }
            KeysAtHand::Unavailable { retry_after } => {
                return steps.failed("keys", Denial::KeysUnavailable { retry_after });
            }
        };
        steps.ok("keys", format!("{} at hand", keys.len()));
        let signed = token.verify_by(self.keys().signatures(), keys);
        let Ok(signed) = steps.take("signature", &signed, |_| "it fits".to_owned()) else { return };
        let claims = signed.claims();
        let checked = SignedToken::check(signed.again(), &rules, now);
        let fits = |_: &_| "all that the provider asks for is in order".to_owned();
        let Ok(_) = steps.take("claims", &checked, fits) else { return };
        if self.is_revoked(check.provider, claims, now) {
            return steps.failed("session", Denial::TokenRevoked);
        }
        if !self.explain_status(steps, check, provider, domain, claims, now) {
            return;
        }
        if let Some(conditions) = conditions.filter(|conditions| !conditions.is_empty()) {
            let met = conditions.check(claims);
            let rights = |(): &()| "the rule's scopes and claims".to_owned();
            let Ok(()) = steps.take("rights", &met, rights) else { return };
        }
        steps.taken();
    }

    /// Whether the token has been revoked, as far as the provider's lists say; no step where it has
    /// none. Whether there is more to be said.
    fn explain_status(
        &self,
        steps: &mut Steps,
        check: &Check,
        provider: &Provider,
        domain: Option<&str>,
        claims: &Claims,
        now: Duration,
    ) -> bool {
        if provider.status_lists.is_none() {
            return true;
        }
        let status = Reference::of_token(provider, domain, claims);
        let status = match &status {
            Ok(Some(status)) => status,
            Ok(None) => return true,
            Err(denial) => {
                steps.failed("status", denial.clone());
                return false;
            }
        };
        let named = match &status.list {
            Some((uri, index)) => format!("place {index} of `{uri}`"),
            None => "it names no list, and need not".to_owned(),
        };
        let denial = match self.keys().status_at_hand(check.provider, domain, status, now) {
            StatusAtHand::Valid => {
                steps.ok("status", named);
                return true;
            }
            StatusAtHand::Stale => {
                steps.ok("status", format!("{named}, by a stale list"));
                return true;
            }
            StatusAtHand::Await { .. } => {
                let waiting = Ok(format!("{named}, which has to be fetched first"));
                steps.push("status", waiting, Some(End::AwaitsKeys));
                return false;
            }
            StatusAtHand::Revoked => Denial::TokenRevoked,
            StatusAtHand::TooOld => Denial::TokenNotBefore,
            StatusAtHand::Unavailable { retry_after } => Denial::StatusUnavailable { retry_after },
        };
        steps.failed("status", denial);
        false
    }

    /// A need in words.
    fn words(&self, need: &Need) -> String {
        let list = |members: &[Need], joint: &str| {
            let members: Vec<String> = members.iter().map(|member| self.words(member)).collect();
            members.join(joint)
        };
        match need {
            Need::Open => "no token is needed".to_owned(),
            Need::ExtractOnly { .. } => {
                "claims are taken from a token that is not checked".to_owned()
            }
            Need::Token(check) => {
                let name = self.policy().provider_names().nth(check.provider).unwrap_or_default();
                format!("a token of `{name}`")
            }
            Need::All(members) => format!("({})", list(members, " and ")),
            Need::Any(members, fallback) => {
                format!("({}{})", list(members, " or "), fallback.words())
            }
        }
    }
}

#[expect(clippy::ref_option, reason = "what `Steps::take` shows")]
fn in_words(domain: &Option<Cow<'_, str>>) -> String {
    match domain {
        Some(domain) => format!("`{domain}`"),
        None => "the provider has none".to_owned(),
    }
}

fn checks(need: &Need) -> Vec<&Check> {
    match need {
        Need::Open | Need::ExtractOnly { .. } => Vec::new(),
        Need::Token(check) => vec![check],
        Need::All(members) | Need::Any(members, _) => members.iter().flat_map(checks).collect(),
    }
}

fn place(location: &Location) -> String {
    match location {
        Location::Header { name, .. } => format!("in the header `{name}`"),
        Location::Cookie(name) => format!("in the cookie `{name}`"),
        Location::Param(name) => format!("in the query parameter `{name}`"),
    }
}

#[derive(Default)]
struct Steps {
    provider: String,
    steps: Vec<Step>,
}

impl Steps {
    fn push(&mut self, what: &'static str, outcome: Result<String, Denial>, end: Option<End>) {
        self.steps.push(Step { provider: self.provider.clone(), what, outcome, end });
    }

    fn ok(&mut self, what: &'static str, found: String) {
        self.push(what, Ok(found), None);
    }

    fn failed(&mut self, what: &'static str, denial: Denial) {
        self.push(what, Err(denial), Some(End::Refused));
    }

    /// Nothing was wrong up to here.
    fn taken(&mut self) {
        if let Some(step) = self.steps.last_mut() {
            step.end = Some(End::Taken);
        }
    }

    fn ended_by(mut self, what: &'static str, denial: Denial) -> Vec<Step> {
        self.failed(what, denial);
        self.steps
    }

    /// Notes the outcome and gives it back.
    fn take<'t, T>(
        &mut self,
        what: &'static str,
        outcome: &'t Result<T, Denial>,
        words: impl Fn(&T) -> String,
    ) -> Result<&'t T, ()> {
        match outcome {
            Ok(found) => {
                self.ok(what, words(found));
                Ok(found)
            }
            Err(denial) => {
                self.failed(what, denial.clone());
                Err(())
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mark, text) = match &self.outcome {
            Ok(found) => ("ok", found.clone()),
            Err(denial) => ("NO", denial.to_string()),
        };
        write!(formatter, "{mark}  {:<12} {:<10} {text}", self.provider, self.what)
    }
}

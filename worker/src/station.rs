//! The gate of an isolate, and what is to be done for a request.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use postern_javascript::{
    FieldCoding, NodeCrypto, NodeSignatures, RequestText, answer_text, forward_text,
};
use postern_verify::{
    Decision, Denial, EdgeCredential, Fetch, Forward, Gate, KeyRing, KeySetId, Policy, Request,
    Tally,
};
use serde_json::json;

use crate::{
    lists::ListInUse,
    log,
    origins::Origins,
    settings::{PolicySource, Settings},
    store::Place,
};

/// How often a policy in KV is looked at.
const REREAD_EVERY: Duration = Duration::from_secs(60);
/// How often requests are counted in Analytics Engine.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// To its issuers, a Worker is one process: its isolates come and go, and share what they are answered.
const INSTANCE: u64 = 0;
/// How long stores may be being filled, at the most.
const FILLING: Duration = Duration::from_secs(30);
/// What a request is told that the gate itself failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A policy at work, and where its requests go.
pub(crate) struct Station {
    number: u64,
    settings: Settings,
    /// The policy's document.
    text: String,
    crypto: Option<NodeCrypto>,
    gate: Gate,
    origins: Origins,
    next_reread: Duration,
    next_telling: Duration,
    /// Until when stores are being filled, unless that ends before.
    fills_until: Duration,
}

impl Station {
    /// The gate for a policy's document.
    pub(crate) fn new(
        settings: Settings,
        text: String,
        crypto: Option<NodeCrypto>,
    ) -> Result<Self, String> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let name = match &settings.source {
            PolicySource::Text { name, .. } => name,
            PolicySource::Kv(key) => key.as_str(),
        };
        let policy = Policy::parse(text.as_bytes()).map_err(|error| format!("{name}: {error}"))?;
        let is_service = |name: &str| settings.services.iter().any(|service| service == name);
        let origins = Origins::parse(&settings.origins, &policy, is_service)?;
        let gate = Gate::new(policy).with_jitter_seed(js_sys::Math::random().to_bits());
        let gate = gate.with_shared_instance(INSTANCE);
        let gate = gate.with_edges(settings.edges.clone());
        let mut gate = gate.map_err(|error| format!("{name}: {error}"))?;
        if let Some(crypto) = crypto.clone() {
            let warn = |what: &str| log::warning("signatures", what);
            gate = gate.with_signatures(Box::new(NodeSignatures::new(crypto, warn)));
        }
        let number = NUMBER.fetch_add(1, Relaxed);
        let (next_reread, next_telling) = (Duration::MAX, Duration::ZERO);
        let fills_until = Duration::ZERO;
        Ok(Self {
            number,
            settings,
            text,
            crypto,
            gate,
            origins,
            next_reread,
            next_telling,
            fills_until,
        })
    }

    /// Which gate of this isolate it is: another has another number.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Whether its policy has this text.
    pub(crate) fn is_of(&self, text: &str) -> bool {
        self.text == text
    }

    pub(crate) fn policy(&self) -> &Policy {
        self.gate.policy()
    }

    pub(crate) fn origins(&self) -> &Origins {
        &self.origins
    }

    pub(crate) fn keys_mut(&mut self) -> &mut KeyRing {
        self.gate.keys_mut()
    }

    /// What another gate of the same Worker is made of, beside the text of the policy.
    pub(crate) fn parts(&self) -> (Settings, String, Option<NodeCrypto>) {
        (self.settings.clone(), self.text.clone(), self.crypto.clone())
    }

    /// Whether keys are to be fetched.
    pub(crate) fn is_fetch_due(&self, now: Duration) -> bool {
        self.gate.keys().next_wakeup().is_some_and(|wakeup| wakeup <= now)
    }

    /// How long it is until keys are to be fetched without anybody asking.
    pub(crate) fn until_next_fetch(&self, now: Duration) -> Option<Duration> {
        self.gate.keys().next_wakeup().map(|wakeup| wakeup.saturating_sub(now))
    }

    /// What copies of what is to be fetched are kept under.
    pub(crate) fn place_of(&self, fetch: &Fetch) -> Place {
        let ids: Vec<&str> = self.settings.edges.iter().map(EdgeCredential::id).collect();
        let provider = self.policy().provider_names().nth(fetch.key_set.provider);
        Place::of(fetch, &ids.join(","), provider.unwrap_or_default())
    }

    /// Makes a fetch due of lists that other isolates use.
    pub(crate) fn demand_lists(&mut self, lists: Vec<ListInUse>, now: Duration) {
        for ListInUse { uri, provider, domain } in lists {
            let index = self.policy().provider_names().position(|name| name == provider);
            let Some(provider) = index else { continue };
            let mut key_set = KeySetId::new(provider, domain.as_deref());
            key_set.status_list = Some(uri.into());
            self.gate.keys_mut().demand(&key_set, now);
        }
    }

    /// Takes a push of an issuer, the value of an `Authorization` field. Whether it is one.
    pub(crate) fn push(&mut self, authorization: &str, now: Duration) -> bool {
        let Some((scheme, token)) = authorization.split_once(' ') else { return false };
        if !scheme.eq_ignore_ascii_case("bearer") {
            return false;
        }
        self.gate.push(token.as_bytes(), now).inspect_err(log::push_refused).is_ok()
    }

    /// Makes a fetch due of all that the policy names and of all that is held.
    pub(crate) fn refresh(&mut self, now: Duration) {
        self.gate.refresh(now);
    }

    /// Whether stores are to be filled now: not where they are being already.
    pub(crate) fn begins_to_fill(&mut self, now: Duration) -> bool {
        let begins = self.fills_until <= now || self.fills_until > now + FILLING;
        if begins {
            self.fills_until = now + FILLING;
        }
        begins
    }

    /// The stores have been filled.
    pub(crate) fn ends_to_fill(&mut self) {
        self.fills_until = Duration::ZERO;
    }

    /// Whether the policy is to be looked at; if so, it is not again for a while.
    pub(crate) fn begins_to_reread(&mut self, now: Duration) -> bool {
        let begins = self.is_reread_due(now);
        if begins || self.next_reread == Duration::MAX {
            self.next_reread = now + REREAD_EVERY;
        }
        begins
    }

    /// How many requests had which verdict since this was last asked; nothing where that was not long
    /// ago.
    pub(crate) fn take_tallies(&mut self, now: Duration) -> Vec<Tally> {
        if now < self.next_telling {
            return Vec::new();
        }
        self.next_telling = now + TELL_EVERY;
        self.gate.take_tallies()
    }

    /// What is to be done for a request; see [`crate::exports::decide`].
    pub(crate) fn decide(
        &mut self,
        text: String,
        fields: usize,
        now: Option<Duration>,
        may_wait: bool,
    ) -> String {
        // workerd reads the bytes of values as UTF-8, and hands over what it has read.
        let text = RequestText::new(text, fields, FieldCoding::Utf8);
        let Some(now) = now else { return unavailable() };
        let Some(request) = text.as_ref().and_then(RequestText::request) else {
            return answer(&Denial::HeaderAmbiguous);
        };
        let decision = if may_wait {
            self.gate.decide(&request, now)
        } else {
            self.gate.decide_at_once(&request, now)
        };
        let (kind, rest) = match decision {
            Decision::Allow(forward) => self.allow(&forward, &request),
            Decision::Deny(denied) => {
                let provider = denied.provider;
                let provider = provider.and_then(|index| self.policy().provider_names().nth(index));
                log::denial(&denied, provider, &request, now);
                ('-', format!("\n{}", answer_text(&denied.answer)))
            }
            Decision::AwaitKeys(key_set) => {
                self.gate.keys_mut().demand(&key_set, now);
                ('?', String::new())
            }
        };
        let mark = if self.has_work(now) { '!' } else { '.' };
        format!("{kind}{mark}{rest}")
    }

    fn allow(&self, forward: &Forward<'_>, request: &Request<'_>) -> (char, String) {
        log::report(forward.report());
        let Some(origin) = self.origins.find(request.authority, forward.rule()) else {
            log::no_origin(request);
            return ('-', format!("\n{}", no_origin()));
        };
        match forward_text(forward, FieldCoding::Utf8) {
            Some(changes) => ('+', format!("{origin}\n{changes}")),
            None => ('-', format!("\n{}", answer_text(&Denial::HeaderAmbiguous.answer()))),
        }
    }

    fn has_work(&self, now: Duration) -> bool {
        self.is_fetch_due(now)
            || now >= self.next_telling
            || self.next_reread == Duration::MAX
            || self.is_reread_due(now)
    }

    fn is_reread_due(&self, now: Duration) -> bool {
        matches!(self.settings.source, PolicySource::Kv(_)) && self.next_reread <= now
    }
}

/// The answer where there is no gate.
pub(crate) fn unavailable() -> String {
    answer(&Denial::KeysUnavailable { retry_after: RETRY_AFTER })
}

fn answer(denial: &Denial) -> String {
    format!("-.\n{}", answer_text(&denial.answer()))
}

/// The answer to a request that may pass, but that no origin is named for.
fn no_origin() -> String {
    let body = json!({
        "type": "about:blank",
        "title": "Bad Gateway",
        "status": 502,
        "detail": "no origin takes this request",
        "code": "no_origin",
    });
    format!("502\n2\ncache-control\nno-store\ncontent-type\napplication/problem+json\n{body}")
}

//! The verify core as JavaScript calls it. `npm/js` has what people call.
//!
//! A call into Wasm that hands over a string or an object costs as much as the look at a known token.
//! So a token is written into a buffer of the gate, and a number comes back: its claims are read
//! once, and JavaScript keeps them under that number. Everything else goes as JSON.

mod fetches;
mod verdict;

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use postern_javascript::{FieldCoding, NodeCrypto, NodeSignatures, RequestText, time};
use postern_verify::{
    Decision, Denial, EdgeCredential, Gate, KeySetId, MAX_TOKEN_BYTES, Policy, PolicyError,
    Verification,
};
use wasm_bindgen::prelude::{JsError, JsValue, wasm_bindgen};
use zeroize::Zeroizing;

use crate::{
    fetches::Fetches,
    verdict::{allowed, denial_of, denied, waiting},
};

/// What [`JavaScriptGate::verify`] says of a token that is refused.
const DENIED: f64 = 0.0;
/// What [`JavaScriptGate::verify`] says where keys have to be fetched first.
const AWAITS_KEYS: f64 = -1.0;
/// Room for a token that is one byte too long, and for the name of a domain.
const BUFFER_BYTES: usize = MAX_TOKEN_BYTES + 1 + MAX_DOMAIN_BYTES;
/// Longer names are of no domain.
const MAX_DOMAIN_BYTES: usize = 256;
/// What is told to who asks at a time that is none.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A gate of one policy.
#[wasm_bindgen(js_name = Gate)]
pub struct JavaScriptGate {
    gate: Gate,
    buffer: Vec<u8>,
    /// Whose the last token was that was verified.
    provider: usize,
    /// Why the last token was refused.
    denial: Denial,
    fetches: Fetches,
    coding: FieldCoding,
}

#[wasm_bindgen(js_class = Gate)]
impl JavaScriptGate {
    /// A gate for a policy, JSON. `edge` is what enrolments of this edge printed, if there were any;
    /// `crypto` is the host's module `node:crypto`, where it has one; `has_utf8_headers` says that its
    /// header values are read as UTF-8, and not byte by byte.
    ///
    /// # Errors
    ///
    /// The member of the policy that is wrong, and why; where one of `edge` is, that as a string.
    #[wasm_bindgen(constructor)]
    pub fn new(
        policy: &str,
        jitter_seed: f64,
        edge: Option<String>,
        crypto: Option<NodeCrypto>,
        has_utf8_headers: bool,
    ) -> Result<Self, JsValue> {
        let edge = edge.map(Zeroizing::new);
        let edges =
            edge.as_deref().map(|edge| EdgeCredential::parse_all(edge.as_bytes())).transpose();
        let edges = edges.map_err(|error| JsValue::from(error.to_string()))?.unwrap_or_default();
        let policy = Policy::parse(policy.as_bytes()).map_err(wrong)?;
        let gate = Gate::new(policy).with_jitter_seed(jitter_seed.to_bits());
        let mut gate = gate.with_edges(edges).map_err(wrong)?;
        if let Some(crypto) = crypto {
            gate = gate.with_signatures(Box::new(NodeSignatures::new(crypto, warn)));
        }
        let coding = if has_utf8_headers { FieldCoding::Utf8 } else { FieldCoding::Bytes };
        Ok(Self {
            gate,
            buffer: vec![0; BUFFER_BYTES],
            provider: 0,
            denial: Denial::TokenMissing,
            fetches: Fetches::default(),
            coding,
        })
    }

    /// Where the buffer is in the module's memory. It stays there.
    #[must_use]
    pub fn buffer(&self) -> *const u8 {
        self.buffer.as_ptr()
    }

    /// How much fits into the buffer.
    #[must_use]
    pub fn buffer_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Verifies the token that the buffer begins with; the name of a domain may follow it. Its
    /// number, or 0 where it is refused ([`JavaScriptGate::denial`] says why), or −1 where keys
    /// have to be fetched first: then they are asked for.
    pub fn verify(&mut self, token: usize, domain: usize, now: f64, at_once: bool) -> f64 {
        let Some(now) = time(now) else {
            self.denial = Denial::KeysUnavailable { retry_after: RETRY_AFTER };
            return DENIED;
        };
        let text = self.buffer.get(..token).unwrap_or_default();
        let name = self.buffer.get(token..token.saturating_add(domain)).unwrap_or_default();
        let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty());
        let verification = if at_once {
            self.gate.verify_at_once(text, name, now)
        } else {
            self.gate.verify(text, name, now)
        };
        match verification {
            #[expect(clippy::cast_precision_loss, reason = "2^53 tokens take centuries")]
            Verification::Verified { provider, number } => {
                self.provider = provider;
                number as f64
            }
            Verification::Denied(denial) => {
                self.denial = denial;
                DENIED
            }
            Verification::AwaitKeys(key_set) => {
                self.gate.keys_mut().demand(&key_set, now);
                AWAITS_KEYS
            }
        }
    }

    /// Whose the last token was that was verified: the index of a provider.
    #[must_use]
    pub fn provider(&self) -> usize {
        self.provider
    }

    /// The claims of the token that the buffer begins with, JSON. Only for one that has just been
    /// verified.
    #[must_use]
    pub fn claims(&self, token: usize) -> Option<String> {
        self.part(token, 1)
    }

    /// Its header, JSON.
    #[must_use]
    pub fn header(&self, token: usize) -> Option<String> {
        self.part(token, 0)
    }

    /// Why the last token was refused, JSON.
    #[must_use]
    pub fn denial(&self) -> String {
        denial_of(&self.denial).to_string()
    }

    /// Decides on a request, in the lines of [`RequestText`]: JSON. Where keys have to be fetched
    /// first, they are asked for.
    pub fn decide(&mut self, lines: String, fields: usize, now: f64, at_once: bool) -> String {
        let text = RequestText::new(lines, fields, self.coding);
        let Some((request, now)) = text.as_ref().and_then(RequestText::request).zip(time(now))
        else {
            return denied(&self.gate, &Denial::HeaderAmbiguous, None).to_string();
        };
        let decision = if at_once {
            self.gate.decide_at_once(&request, now)
        } else {
            self.gate.decide(&request, now)
        };
        match decision {
            Decision::Allow(forward) => match allowed(&self.gate, &forward, self.coding) {
                Some(allowed) => allowed,
                None => denied(&self.gate, &Denial::HeaderAmbiguous, None).to_string(),
            },
            Decision::Deny(refused) => {
                denied(&self.gate, &refused.denial, Some(&refused)).to_string()
            }
            Decision::AwaitKeys(key_set) => {
                self.gate.keys_mut().demand(&key_set, now);
                waiting(&self.gate, &key_set).to_string()
            }
        }
    }

    /// The next fetch that is due, JSON; it is under way from here on.
    pub fn next_fetch(&mut self, now: f64) -> Option<String> {
        self.fetches.next(&mut self.gate, time(now)?)
    }

    /// Takes the end of a fetch: a status of 0 says that there was no answer. What came of it, JSON.
    #[expect(clippy::too_many_arguments, reason = "an answer, without an object for it")]
    pub fn fetched(
        &mut self,
        id: u32,
        status: u16,
        etag: Option<String>,
        cache_control: Option<String>,
        age: Option<String>,
        body: &[u8],
        now: f64,
    ) -> Option<String> {
        let fields = [etag, cache_control, age];
        self.fetches.end(&mut self.gate, id, status, &fields, body, time(now)?)
    }

    /// Takes a push of an issuer. Whether it is one.
    pub fn push(&mut self, token: &str, now: f64) -> bool {
        time(now).is_some_and(|now| self.gate.push(token.as_bytes(), now).is_ok())
    }

    /// When there is next something to fetch without being asked, in milliseconds since the Unix
    /// epoch; infinite where there is not.
    #[must_use]
    pub fn next_wakeup(&self) -> f64 {
        let wakeup = self.gate.keys().next_wakeup();
        wakeup.map_or(f64::INFINITY, |wakeup| wakeup.as_secs_f64() * 1_000.0)
    }

    /// Names of the providers, JSON.
    #[must_use]
    pub fn providers(&self) -> String {
        serde_json::json!(self.gate.policy().provider_names().collect::<Vec<_>>()).to_string()
    }

    /// What the gate has done so far, JSON.
    #[must_use]
    pub fn counters(&self) -> String {
        verdict::counters(&self.gate).to_string()
    }
}

impl JavaScriptGate {
    fn part(&self, token: usize, index: usize) -> Option<String> {
        let text = self.buffer.get(..token)?;
        part(text, index)
    }
}

/// A policy that cannot be used.
fn wrong(error: PolicyError) -> JsValue {
    JsError::new(&error.to_string()).into()
}

/// A part of a token, decoded.
fn part(token: &[u8], index: usize) -> Option<String> {
    let part = token.split(|byte| *byte == b'.').nth(index)?;
    String::from_utf8(URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// What the operator should know: the console is what a library has.
fn warn(message: &str) {
    // Who cannot be told is not.
    let _ = console_warn(&format!("postern: {message}"));
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch, js_namespace = console, js_name = warn)]
    fn console_warn(message: &str) -> Result<(), JsValue>;
}

/// What a provider of this index is called.
fn provider_name(gate: &Gate, provider: usize) -> &str {
    gate.policy().provider_names().nth(provider).unwrap_or_default()
}

/// A key set or a status list in words: the provider, the domain where there are several, and the URI of
/// a list.
fn key_set_name(gate: &Gate, key_set: &KeySetId) -> serde_json::Value {
    serde_json::json!({
        "provider": provider_name(gate, key_set.provider),
        "domain": key_set.domain,
        "statusList": key_set.status_list,
    })
}

//! What a request may be answered with.

use std::sync::Arc;
use std::time::Duration;

use postern_tests::{Response, Seen, now};
use postern_verify::{Decision, Gate, Policy, Request};
use serde_json::Value;

use super::clients::Tally;
use super::grammar::Made;
use super::tokens::{Token, Tokens};
use crate::envoy::traffic::paths::{decoded, readings};

/// Judges answers, without asking the gate but for a comparison.
pub(super) struct Oracle {
    pub(super) tokens: Arc<Tokens>,
    /// The core in this process.
    gate: Gate,
}

impl Oracle {
    pub(super) fn new(tokens: Arc<Tokens>, policy: &Value) -> Self {
        let policy = Policy::parse(policy.to_string().as_bytes()).unwrap();
        Self { tokens, gate: Gate::new(policy) }
    }

    /// Panics where the answer is a wrong one.
    pub(super) fn judge(&mut self, made: &Made, answer: &Response, tally: &mut Tally) {
        let shown = || {
            let bytes = made.bytes();
            format!("{}\n{} {}", bytes.escape_ascii(), answer.status, answer.body)
        };
        tally.answered += 1;
        let code = answer.code();
        // Envoy's own refusals have no body of ours; a gate that has failed says 503.
        assert!(answer.status < 500, "a failure\n{}", shown());
        let upstreams = answer.status == 200 && answer.header("grpc-status").is_empty();
        if upstreams && made.method != "HEAD" {
            let seen =
                Seen::read(answer).unwrap_or_else(|failure| panic!("{failure}\n{}", shown()));
            tally.allowed += 1;
            self.check_accept(made, &seen, &shown);
        }
        assert!(!made.clean || upstreams, "a good request was refused\n{}", shown());
        if !code.is_empty() && self.compare(made, &code, &shown) {
            tally.compared += 1;
        }
    }

    fn check_accept(&self, made: &Made, seen: &Seen, shown: &impl Fn() -> String) {
        let identities = seen.all("x-user-id");
        for path in readings(&seen.target) {
            let needed = needed(&path);
            assert!(needed != Needed::Never, "reached `{path}`, which no rule opens\n{}", shown());
            if needed == Needed::Nothing {
                assert!(identities.is_empty(), "{identities:?} on an open path\n{}", shown());
                continue;
            }
            let tokens =
                if needed == Needed::Remote { &self.tokens.remote } else { &self.tokens.local };
            let fits = |token: &&Token| {
                (token.scoped || needed != Needed::Scoped)
                    && identities == [token.subject.as_str()]
                    && carries(made, needed, &token.text)
            };
            assert!(tokens.iter().any(|token| fits(&token)), "a wrong accept\n{}", shown());
        }
        let left: Vec<&str> = ["x.user.id", "x_user_id"]
            .into_iter()
            .filter(|name| !seen.all(name).is_empty())
            .collect();
        assert!(left.is_empty(), "{left:?} went upstream\n{}", shown());
    }

    /// The core has to refuse for the same reason, where Envoy shows the filter what was sent.
    fn compare(&mut self, made: &Made, code: &str, shown: &impl Fn() -> String) -> bool {
        if !is_plain(made) {
            return false;
        }
        let names: Vec<String> = made.headers.iter().map(|(name, _)| lower(name)).collect();
        let headers = names.iter().zip(&made.headers);
        let headers = headers.map(|(name, (_, value))| (name.as_str(), value.as_slice())).collect();
        let request = Request::new(made.method, &made.target, headers);
        let decision = self.gate.decide_at_once(&request, Duration::from_secs(now()));
        let native = match &decision {
            Decision::Deny(denied) => denied.denial.code(),
            Decision::Allow(_) => "allowed",
            Decision::AwaitKeys(_) => "awaiting",
        };
        assert_eq!(native, code, "the core itself says otherwise\n{}", shown());
        true
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Needed {
    Nothing,
    Local,
    Scoped,
    Places,
    Remote,
    Never,
}

fn needed(path: &str) -> Needed {
    let under = |prefix: &str| path.starts_with(prefix);
    match () {
        () if path == "/open" || under("/open/") => Needed::Nothing,
        () if under("/api/") => Needed::Local,
        () if under("/scoped/") => Needed::Scoped,
        () if under("/places/") => Needed::Places,
        () if under("/remote/") => Needed::Remote,
        () => Needed::Never,
    }
}

/// Whether this very token stands where the rule looks for one.
fn carries(made: &Made, needed: Needed, token: &str) -> bool {
    let separators = |byte: &u8| matches!(byte, b' ' | b'\t' | b',' | b';' | b'=' | b'&' | b'?');
    let holds = |text: &[u8]| text.split(separators).any(|word| word == token.as_bytes());
    let named =
        |name: &str| made.headers.iter().any(|(other, value)| lower(other) == name && holds(value));
    match needed {
        Needed::Places => {
            let target = String::from_utf8_lossy(&made.target);
            named("x-token") || named("cookie") || holds(decoded(&target).as_bytes())
        }
        _ => named("authorization"),
    }
}

/// Neither Envoy nor HTTP/1.1 has anything to settle about it.
fn is_plain(made: &Made) -> bool {
    let plain = |byte: &u8| byte.is_ascii_graphic();
    let path = made.target.split(|byte| *byte == b'?').next().unwrap_or_default();
    let query = made.target.get(path.len()..).unwrap_or_default();
    let lone =
        |name: &str| made.headers.iter().filter(|(other, _)| lower(other) == name).count() < 2;
    path.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'/')
        && !path.windows(2).any(|pair| pair == b"//")
        && query.iter().all(|byte| plain(byte) && *byte != b'#')
        && made.headers.iter().all(|(_, value)| {
            // HTTP/1.1 takes away the spaces around a value, HTTP/2 does not.
            value.trim_ascii() == value && value.iter().all(|byte| plain(byte) || *byte == b' ')
        })
        && lone("authorization")
        && lone("cookie")
}

fn lower(name: &[u8]) -> String {
    String::from_utf8_lossy(name).trim().to_ascii_lowercase()
}

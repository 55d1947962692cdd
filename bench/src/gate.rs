//! How a decision is asked for. The one place that knows.

use std::time::Duration;

use postern_verify::{Decision, KeyRing, Policy, Request};

use crate::fixtures::NOW;

/// A gate with one policy and its local keys.
pub(crate) struct Gate {
    policy: Policy,
    keys: KeyRing,
}

impl Gate {
    /// A gate that verifies the token of every request anew.
    ///
    /// # Panics
    /// Where the policy is none: there would be nothing to measure.
    pub(crate) fn new(policy: &str) -> Self {
        #[expect(clippy::expect_used, reason = "a benchmark without its policy has no meaning")]
        let policy = Policy::parse(policy.as_bytes()).expect("a policy");
        Self { keys: KeyRing::new(&policy), policy }
    }

    /// A gate that remembers the tokens that it verified; `None` as long as the core has no such
    /// gate.
    pub(crate) fn with_cache(_policy: &str) -> Option<Self> {
        None
    }

    /// Whether a request with this token is allowed.
    pub(crate) fn decide(&mut self, token: &str) -> bool {
        // As long as that of an adapter, which hands over what its host holds.
        let mut authorization = [0; 1024];
        let Some(value) = authorization.get_mut(..7 + token.len()) else { return false };
        let (scheme, rest) = value.split_at_mut(7);
        scheme.copy_from_slice(b"Bearer ");
        rest.copy_from_slice(token.as_bytes());
        let headers: Vec<(&str, &[u8])> = vec![
            ("host", b"api.example.com"),
            ("user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101"),
            ("accept", b"application/json"),
            ("accept-encoding", b"gzip, deflate, br, zstd"),
            ("authorization", value),
            ("x-request-id", b"2f6f1c1e-5b1a-4f0c-9d4e-0b7f2a7c9f55"),
        ];
        let request = Request { method: "GET", target: b"/api/orders/17?page=2", headers };
        let decision = self.policy.decide(&request, &self.keys, Duration::from_secs(NOW));
        matches!(decision, Decision::Allow(_))
    }
}

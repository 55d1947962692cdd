//! How a decision is asked for. The one place that knows.

use std::time::Duration;

use postern_verify::{Decision, Policy, Request};

use crate::fixtures::NOW;

/// A gate, and a request with a token that is shown to it again and again.
pub(crate) struct Gate {
    gate: postern_verify::Gate,
    request: Request<'static>,
}

impl Gate {
    /// A gate that verifies the token of every request anew.
    pub(crate) fn new(policy: &str, token: &str) -> Self {
        let without_cache =
            policy.replacen('{', r#"{"verified_token_cache": {"max_bytes": 0}, "#, 1);
        Self::with_cache(&without_cache, token)
    }

    /// A gate that remembers the tokens that it has verified.
    ///
    /// # Panics
    /// Where the policy is none: there would be nothing to measure.
    pub(crate) fn with_cache(policy: &str, token: &str) -> Self {
        #[expect(clippy::expect_used, reason = "a benchmark without its policy has no meaning")]
        let policy = Policy::parse(policy.as_bytes()).expect("a policy");
        // For as long as the program runs: the request is borrowed, as in an adapter.
        let bearer: &'static str = format!("Bearer {token}").leak();
        let headers: Vec<(&str, &[u8])> = vec![
            ("host", b"api.example.com"),
            ("user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101"),
            ("accept", b"application/json"),
            ("accept-encoding", b"gzip, deflate, br, zstd"),
            ("authorization", bearer.as_bytes()),
            ("x-request-id", b"2f6f1c1e-5b1a-4f0c-9d4e-0b7f2a7c9f55"),
        ];
        let request = Request::new("GET", b"/api/orders/17?page=2", headers);
        Self { gate: postern_verify::Gate::new(policy), request }
    }

    /// Whether the request is allowed.
    pub(crate) fn decide(&mut self) -> bool {
        let decision = self.gate.decide(&self.request, Duration::from_secs(NOW));
        matches!(decision, Decision::Allow(_))
    }
}

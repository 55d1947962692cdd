//! Tokens, keys and a policy, from `fixtures.json`, which `fixtures.mjs` wrote.

use serde_json::{Value, json};

/// The time at which all tokens are valid, in seconds since the Unix epoch.
pub(crate) const NOW: u64 = 1_800_000_001;

/// One token of each algorithm, and the keys that check them.
#[derive(Debug)]
pub struct Fixtures(Value);

impl Fixtures {
    /// Reads them.
    ///
    /// # Panics
    /// Where `fixtures.json` is not JSON.
    #[must_use]
    pub fn load() -> &'static Self {
        #[expect(clippy::expect_used, reason = "a benchmark without its data has no meaning")]
        let value = serde_json::from_str(include_str!("../fixtures.json")).expect("JSON");
        Box::leak(Box::new(Self(value)))
    }

    /// The algorithms that there are tokens of.
    pub fn algorithms(&self) -> impl Iterator<Item = &str> {
        self.keys().iter().filter_map(|key| key.get("kid")?.as_str())
    }

    /// The token of an algorithm.
    #[must_use]
    pub fn token(&self, algorithm: &str) -> &str {
        self.text(&["tokens", algorithm])
    }

    /// The `iss` of all tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.text(&["issuer"])
    }

    /// The `aud` of all tokens.
    #[must_use]
    pub fn audience(&self) -> &str {
        self.text(&["audience"])
    }

    /// The public JWKs, and the secret of HS256.
    #[must_use]
    pub fn keys(&self) -> &[Value] {
        self.0.get("keys").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The keys as a JWK Set document.
    #[must_use]
    pub fn jwk_set(&self) -> String {
        json!({ "keys": self.keys() }).to_string()
    }

    /// A policy with the keys in it, that wants a token for `/api/`.
    #[must_use]
    pub fn policy(&self) -> String {
        let algorithms: Vec<&str> = self.algorithms().collect();
        json!({
            "providers": {"shop": {
                "issuer": self.issuer(),
                "audiences": [self.audience()],
                "algorithms": algorithms,
                "local_jwks": {"inline_string": self.jwk_set()},
                "claim_to_headers": [{"header_name": "x-user-id", "claim_name": "sub"}],
            }},
            "rules": [
                {"match": {"path": "/healthz"}},
                {"match": {"prefix": "/api/"}, "requires": {"provider_name": "shop"}},
            ],
        })
        .to_string()
    }

    fn text(&self, path: &[&str]) -> &str {
        let member = path.iter().try_fold(&self.0, |value, name| value.get(*name));
        member.and_then(Value::as_str).unwrap_or_default()
    }
}

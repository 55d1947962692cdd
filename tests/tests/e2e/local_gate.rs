//! A gate whose keys are ours, so that tokens of any shape can be signed for it.

use postern_tests::{Envoy, EnvoyConfig, ForgedKeys, Key, Upstream, now};
use serde_json::{Value, json};

pub(crate) const ISSUER: &str = "https://issuer.example/api";
pub(crate) const HEADER: &str = r#"{"alg":"ES256","kid":"es","typ":"at+jwt"}"#;

/// An Envoy with `local_jwks`, in front of an upstream.
pub(crate) struct LocalGate {
    pub(crate) envoy: Envoy,
    pub(crate) upstream: Upstream,
    pub(crate) keys: ForgedKeys,
}

impl LocalGate {
    pub(crate) async fn open() -> Self {
        Self::open_with(Ok).await
    }

    /// Opens with a changed configuration.
    pub(crate) async fn open_with(
        change: impl FnOnce(EnvoyConfig) -> Result<EnvoyConfig, postern_tests::Failure>,
    ) -> Self {
        let keys = ForgedKeys::generate().unwrap();
        let upstream = Upstream::start(0).await.unwrap();
        let config = EnvoyConfig::for_test(1, upstream.port()).unwrap();
        let config = config.policy(&policy(&keys)).and_then(change).unwrap();
        let envoy = Envoy::start(&config).await.unwrap();
        Self { envoy, upstream, keys }
    }

    /// A token that the gate accepts.
    pub(crate) fn token(&self) -> String {
        self.keys.sign(Key::Es256, HEADER, claims().to_string())
    }
}

/// Claims that the gate accepts.
pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "sub": "user-1",
        "aud": "api",
        "iat": now(),
        "exp": now() + 300,
        "username": "ada",
    })
}

fn policy(keys: &ForgedKeys) -> Value {
    let provider = |places: Value| {
        let mut provider = json!({
            "issuer": ISSUER,
            "audiences": ["api"],
            "local_jwks": { "inline_string": keys.jwks().to_string() },
            "claim_to_headers": [
                { "header_name": "x-user-id", "claim_name": "sub" },
                { "header_name": "x-user-name", "claim_name": "username" },
            ],
        });
        let members = provider.as_object_mut().unwrap();
        members.extend(places.as_object().unwrap().clone());
        provider
    };
    json!({
        "providers": {
            "bearer": provider(json!({ "forward_payload_header": "x-payload" })),
            "cookie": provider(json!({ "from_cookies": ["session"] })),
            "param": provider(json!({ "from_params": ["token"] })),
            "kept": provider(json!({ "forward": true })),
        },
        "rules": [
            { "match": { "path": "/open" } },
            { "match": { "prefix": "/api/" }, "requires": { "provider_name": "bearer" } },
            { "match": { "prefix": "/cookie/" }, "requires": { "provider_name": "cookie" } },
            { "match": { "prefix": "/param/" }, "requires": { "provider_name": "param" } },
            { "match": { "prefix": "/kept/" }, "requires": { "provider_name": "kept" } },
            {
                "match": { "prefix": "/maybe/" },
                "requires": { "requires_any": { "requirements": [
                    { "provider_name": "bearer" }, { "allow_missing": {} },
                ] } },
            },
            {
                "match": { "safe_regex": { "regex": "/v[0-9]+/.*" }, "methods": ["GET"] },
                "requires": { "provider_name": "bearer" },
            },
        ],
    })
}

//! The tokens that were signed, and the keys that say so.

use std::sync::OnceLock;

use postern_verify::{JwkSet, KeyKinds};
use serde_json::{Value, json};

/// When the tokens are valid, in seconds since the Unix epoch.
pub(crate) const NOW: u64 = 1_800_000_001;

pub(crate) struct Signed {
    pub(crate) tokens: Vec<String>,
    pub(crate) document: String,
    pub(crate) keys: JwkSet,
}

impl Signed {
    /// Those of the benchmarks: one of each algorithm.
    pub(crate) fn get() -> &'static Self {
        static SIGNED: OnceLock<Signed> = OnceLock::new();
        SIGNED.get_or_init(|| {
            let fixtures: Value =
                serde_json::from_str(include_str!("../../bench/fixtures.json")).expect("JSON");
            let tokens = fixtures["tokens"].as_object().expect("tokens").values();
            let document = json!({ "keys": fixtures["keys"] }).to_string();
            let keys = JwkSet::parse(document.as_bytes(), KeyKinds::WithSecrets).expect("keys");
            let tokens = tokens.filter_map(Value::as_str).map(str::to_owned).collect();
            Self { tokens, document, keys }
        })
    }

    pub(crate) fn is_signed(&self, text: &[u8]) -> bool {
        self.tokens.iter().any(|token| token.as_bytes() == text)
    }
}

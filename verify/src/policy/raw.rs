//! The policy as it is written: names and shapes only, nothing judged yet.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// The document. Providers and rules stay raw values, so that an error can name their place.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawPolicy {
    #[serde(default)]
    pub(super) providers: BTreeMap<String, Value>,
    pub(super) rules: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawProvider {
    pub(super) issuer: String,
    pub(super) audiences: Option<Vec<String>>,
    pub(super) algorithms: Option<Vec<String>>,
    pub(super) local_jwks: Option<RawLocalJwks>,
    pub(super) remote_jwks: Option<RawRemoteJwks>,
    #[serde(default)]
    pub(super) from_headers: Vec<RawHeaderSource>,
    #[serde(default)]
    pub(super) from_cookies: Vec<String>,
    #[serde(default)]
    pub(super) from_params: Vec<String>,
    #[serde(default)]
    pub(super) forward: bool,
    pub(super) forward_payload_header: Option<String>,
    #[serde(default)]
    pub(super) claim_to_headers: Vec<RawClaimToHeader>,
    pub(super) clock_skew_seconds: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawLocalJwks {
    pub(super) inline_string: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawRemoteJwks {
    pub(super) http_uri: RawHttpUri,
    pub(super) cache_duration: Option<String>,
    pub(super) max_stale: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawHttpUri {
    pub(super) uri: String,
    pub(super) cluster: Option<String>,
    pub(super) timeout: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawHeaderSource {
    pub(super) name: String,
    #[serde(default)]
    pub(super) value_prefix: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawClaimToHeader {
    pub(super) header_name: String,
    pub(super) claim_name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawRule {
    pub(super) r#match: RawMatch,
    pub(super) requires: Option<RawRequirement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawMatch {
    pub(super) prefix: Option<String>,
    pub(super) path: Option<String>,
    pub(super) safe_regex: Option<RawRegex>,
    pub(super) methods: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawRegex {
    pub(super) regex: String,
}

/// One of Envoy's `requires_type` members; more than one, or none, is an error.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawRequirement {
    pub(super) provider_name: Option<String>,
    pub(super) requires_any: Option<RawRequirementList>,
    pub(super) requires_all: Option<RawRequirementList>,
    pub(super) allow_missing: Option<RawEmpty>,
    pub(super) allow_missing_or_failed: Option<RawEmpty>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawRequirementList {
    pub(super) requirements: Vec<RawRequirement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawEmpty {}

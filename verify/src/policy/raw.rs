//! The policy as it is written: names and shapes only, nothing judged yet.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::duration::RawDuration;

/// The document. Providers and rules stay raw values, so that an error can name their place.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawPolicy {
    #[serde(default)]
    pub(super) providers: BTreeMap<String, Value>,
    pub(super) rules: Vec<Value>,
    #[serde(default)]
    pub(super) requirement_map: BTreeMap<String, RawRequirement>,
    pub(super) filter_state_rules: Option<RawFilterStateRules>,
    #[serde(default)]
    pub(super) bypass_cors_preflight: bool,
    #[serde(default)]
    pub(super) strip_failure_response: bool,
    pub(super) stat_prefix: Option<String>,
    pub(super) verified_token_cache: Option<RawCache>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawFilterStateRules {
    pub(super) name: String,
    #[serde(default)]
    pub(super) requires: BTreeMap<String, RawRequirement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawCache {
    pub(super) max_bytes: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[expect(clippy::struct_excessive_bools, reason = "as many as Envoy's message has, and ours")]
pub(super) struct RawProvider {
    pub(super) issuer: Option<String>,
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
    pub(super) openid_discovery: Option<RawDiscovery>,
    pub(super) domains: Option<RawDomains>,
    pub(super) subjects: Option<RawStringMatcher>,
    pub(super) require_expiration: Option<bool>,
    pub(super) max_lifetime: Option<RawDuration>,
    pub(super) token_types: Option<Vec<String>>,
    #[serde(default)]
    pub(super) pad_forward_payload_header: bool,
    pub(super) payload_in_metadata: Option<String>,
    pub(super) header_in_metadata: Option<String>,
    pub(super) normalize_payload_in_metadata: Option<RawNormalizePayload>,
    pub(super) failed_status_in_metadata: Option<String>,
    #[serde(default)]
    pub(super) clear_route_cache: bool,
    pub(super) jwt_cache_config: Option<RawJwtCacheConfig>,
    #[serde(default)]
    pub(super) dangerous_allow_any_issuer: bool,
    #[serde(default)]
    pub(super) dangerous_allow_missing_expiration: bool,
    #[serde(default)]
    pub(super) dangerous_ignore_key_binding: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawNormalizePayload {
    pub(super) space_delimited_claims: Vec<String>,
}

/// Envoy's bound on the number of tokens is accepted; ours is in bytes and for all providers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawJwtCacheConfig {
    #[serde(rename = "jwt_cache_size")]
    pub(super) _jwt_cache_size: Option<u32>,
    pub(super) jwt_max_token_size: Option<u32>,
}

/// Exactly one of Envoy's `match_pattern` members.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawStringMatcher {
    pub(super) exact: Option<String>,
    pub(super) prefix: Option<String>,
    pub(super) suffix: Option<String>,
    pub(super) contains: Option<String>,
    pub(super) safe_regex: Option<RawRegex>,
    #[serde(default)]
    pub(super) ignore_case: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawLocalJwks {
    pub(super) inline_string: Option<String>,
    pub(super) inline_bytes: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawRemoteJwks {
    pub(super) http_uri: RawHttpUri,
    pub(super) cache_duration: Option<RawDuration>,
    pub(super) max_stale: Option<RawDuration>,
    pub(super) async_fetch: Option<RawAsyncFetch>,
    pub(super) retry_policy: Option<RawRetryPolicy>,
    #[serde(default)]
    pub(super) dangerous_symmetric_keys: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawDiscovery {
    #[serde(default)]
    pub(super) http_uri: RawHttpUri,
    pub(super) jwks_cluster: Option<String>,
    pub(super) cache_duration: Option<RawDuration>,
    pub(super) max_stale: Option<RawDuration>,
    pub(super) async_fetch: Option<RawAsyncFetch>,
    pub(super) retry_policy: Option<RawRetryPolicy>,
    #[serde(default)]
    pub(super) dangerous_symmetric_keys: bool,
}

/// What [`RawRemoteJwks`] and [`RawDiscovery`] have in common.
pub(super) struct RawKeyFetching<'a> {
    pub(super) cache_duration: Option<&'a RawDuration>,
    pub(super) max_stale: Option<&'a RawDuration>,
    pub(super) async_fetch: Option<&'a RawAsyncFetch>,
    pub(super) retry_policy: Option<&'a RawRetryPolicy>,
    pub(super) dangerous_symmetric_keys: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawHttpUri {
    pub(super) uri: Option<String>,
    pub(super) cluster: Option<String>,
    pub(super) timeout: Option<RawDuration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawAsyncFetch {
    #[expect(dead_code, reason = "keys are fetched in the background in any case")]
    pub(super) fast_listener: Option<bool>,
    pub(super) failed_refetch_duration: Option<RawDuration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawRetryPolicy {
    #[expect(dead_code, reason = "retries never end")]
    pub(super) num_retries: Option<u32>,
    pub(super) retry_back_off: Option<RawRetryBackOff>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawRetryBackOff {
    pub(super) base_interval: RawDuration,
    pub(super) max_interval: Option<RawDuration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawDomains {
    pub(super) names: Option<String>,
    pub(super) from_host: Option<String>,
    pub(super) from_path_segment: Option<u32>,
    pub(super) from_header: Option<String>,
    pub(super) max_key_sets: Option<u32>,
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
    pub(super) name: Option<String>,
    pub(super) r#match: RawMatch,
    pub(super) requires: Option<RawRequirement>,
    pub(super) requirement_name: Option<String>,
    pub(super) scopes: Option<Vec<String>>,
    pub(super) claims: Option<Vec<RawClaimCondition>>,
    pub(super) deny_response: Option<RawDenyResponse>,
    #[serde(default)]
    pub(super) report_only: bool,
    pub(super) report_only_header: Option<String>,
}

/// One of Envoy's `path_specifier` members, and what else has to match.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawMatch {
    pub(super) prefix: Option<String>,
    pub(super) path: Option<String>,
    pub(super) safe_regex: Option<RawRegex>,
    pub(super) path_separated_prefix: Option<String>,
    pub(super) path_template: Option<String>,
    pub(super) path_match_policy: Option<RawPathMatchPolicy>,
    pub(super) connect_matcher: Option<RawEmpty>,
    pub(super) case_sensitive: Option<bool>,
    pub(super) methods: Option<Vec<String>>,
    #[serde(default)]
    pub(super) headers: Vec<RawHeaderMatcher>,
    #[serde(default)]
    pub(super) query_parameters: Vec<RawQueryParameterMatcher>,
    pub(super) grpc: Option<RawEmpty>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawRegex {
    pub(super) regex: String,
}

/// Envoy's way to say `path_template`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawPathMatchPolicy {
    #[serde(rename = "name")]
    pub(super) _name: Option<String>,
    pub(super) typed_config: RawUriTemplate,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawUriTemplate {
    #[serde(rename = "@type")]
    pub(super) type_url: String,
    pub(super) path_template: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawHeaderMatcher {
    pub(super) name: String,
    pub(super) exact_match: Option<String>,
    pub(super) prefix_match: Option<String>,
    pub(super) suffix_match: Option<String>,
    pub(super) contains_match: Option<String>,
    pub(super) safe_regex_match: Option<RawRegex>,
    pub(super) range_match: Option<RawRange>,
    pub(super) present_match: Option<bool>,
    pub(super) string_match: Option<RawStringMatcher>,
    #[serde(default)]
    pub(super) invert_match: bool,
    #[serde(default)]
    pub(super) treat_missing_header_as_empty: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawRange {
    pub(super) start: i64,
    pub(super) end: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawQueryParameterMatcher {
    pub(super) name: String,
    pub(super) string_match: Option<RawStringMatcher>,
    pub(super) present_match: Option<bool>,
}

/// One claim and one thing that is asked of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawClaimCondition {
    pub(super) name: Option<String>,
    pub(super) path: Option<Vec<String>>,
    pub(super) exact: Option<Value>,
    pub(super) prefix: Option<String>,
    pub(super) one_of: Option<Vec<Value>>,
    pub(super) contains: Option<Value>,
    pub(super) greater_than: Option<f64>,
    pub(super) at_least: Option<f64>,
    pub(super) less_than: Option<f64>,
    pub(super) at_most: Option<f64>,
    pub(super) present: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawDenyResponse {
    pub(super) status: Option<u16>,
    pub(super) redirect: Option<RawRedirect>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawRedirect {
    pub(super) location: String,
    pub(super) status: Option<u16>,
}

/// One of Envoy's `requires_type` members; more than one, or none, is an error.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawRequirement {
    pub(super) provider_name: Option<String>,
    pub(super) provider_and_audiences: Option<RawProviderAndAudiences>,
    pub(super) requires_any: Option<RawRequirementList>,
    pub(super) requires_all: Option<RawRequirementList>,
    pub(super) allow_missing: Option<RawEmpty>,
    pub(super) allow_missing_or_failed: Option<RawEmpty>,
    pub(super) extract_only_without_validation: Option<RawExtractOnly>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawProviderAndAudiences {
    pub(super) provider_name: String,
    pub(super) audiences: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawRequirementList {
    pub(super) requirements: Vec<RawRequirement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawExtractOnly {
    pub(super) verification_status_header: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RawEmpty {}

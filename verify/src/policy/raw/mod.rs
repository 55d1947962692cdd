//! The policy as it is written: names and shapes only, nothing judged yet. The JSON Schema is made of
//! this, with its comments as descriptions.

mod provider;
mod rule;

use std::collections::BTreeMap;

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

pub(super) use self::{provider::*, rule::*};

/// A policy: which requests need a token of which provider. Names follow Envoy's `jwt_authn`.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawPolicy {
    /// The trusted issuers, by name.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(with = "BTreeMap<String, RawProvider>"))]
    pub(in crate::policy) providers: BTreeMap<String, Value>,
    /// The first rule that matches a request decides what it needs. A request that none matches is
    /// denied, unless `filter_state_rules` say otherwise.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<RawRule>"))]
    pub(in crate::policy) rules: Vec<Value>,
    /// Requirements by name, for `requirement_name` and for a host's configuration of its routes.
    #[serde(default)]
    pub(in crate::policy) requirement_map: BTreeMap<String, RawRequirement>,
    /// Requirements by the value of a filter state of the host; asked when no rule matches.
    pub(in crate::policy) filter_state_rules: Option<RawFilterStateRules>,
    /// Whether CORS-preflight requests are let through, whatever the rules say.
    #[serde(default)]
    pub(in crate::policy) bypass_cors_preflight: bool,
    /// Whether the host's metadata get to know whom a verified token speaks for: provider, issuer,
    /// subject and domain.
    #[serde(default)]
    pub(in crate::policy) identity_in_metadata: bool,
    /// Whether denials have no body and a challenge that says nothing.
    #[serde(default)]
    pub(in crate::policy) strip_failure_response: bool,
    /// What the names of the host's metrics begin with: letters, digits, `-`, `_` and `.`.
    pub(in crate::policy) stat_prefix: Option<String>,
    /// The cache of verified tokens.
    pub(in crate::policy) verified_token_cache: Option<RawCache>,
}

/// Requirements by the value of a filter state of the host.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawFilterStateRules {
    /// The name of the filter state, whose value is a string.
    pub(in crate::policy) name: String,
    /// Requirements by value.
    #[serde(default)]
    pub(in crate::policy) requires: BTreeMap<String, RawRequirement>,
}

/// The cache of verified tokens, of all providers, for each thread of the host.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawCache {
    /// Its bound, in bytes: at most 1073741824 (1 GiB); 0 switches it off. Default 8388608 (8 MiB).
    pub(in crate::policy) max_bytes: u64,
}

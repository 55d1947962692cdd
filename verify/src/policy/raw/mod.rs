//! The policy as it is written: names and shapes only, nothing judged yet. The JSON Schema is made of
//! this, with its comments as descriptions.

mod provider;
mod rule;

use std::collections::BTreeMap;

use serde_json::Value;

pub(super) use self::{provider::*, rule::*};
use crate::read::objects;

objects! {
    /// A policy: which requests need a token of which provider. Names follow Envoy's `jwt_authn`.
    pub(in crate::policy) struct RawPolicy {
        /// The trusted issuers, by name.
        #[cfg_attr(feature = "schema", schemars(with = "BTreeMap<String, RawProvider>"))]
        providers: BTreeMap<String, Value> = default,
        /// The first rule that matches a request decides what it needs. A request that none matches is
        /// denied, unless `filter_state_rules` say otherwise.
        #[cfg_attr(feature = "schema", schemars(with = "Vec<RawRule>"))]
        rules: Vec<Value>,
        /// Requirements by name, for `requirement_name` and for a host's configuration of its routes.
        requirement_map: BTreeMap<String, RawRequirement> = default,
        /// Requirements by the value of a filter state of the host; asked when no rule matches.
        filter_state_rules: Option<RawFilterStateRules>,
        /// Whether CORS-preflight requests are let through, whatever the rules say.
        bypass_cors_preflight: bool = default,
        /// Whether the host's metadata get to know whom a verified token speaks for: provider, issuer,
        /// subject and domain.
        identity_in_metadata: bool = default,
        /// Whether denials have no body and a challenge that says nothing.
        strip_failure_response: bool = default,
        /// What the names of the host's metrics begin with: letters, digits, `-`, `_` and `.`.
        stat_prefix: Option<String>,
        /// The cache of verified tokens.
        verified_token_cache: Option<RawCache>,
    }

    /// Requirements by the value of a filter state of the host.
    pub(in crate::policy) struct RawFilterStateRules {
        /// The name of the filter state, whose value is a string.
        name: String,
        /// Requirements by value.
        requires: BTreeMap<String, RawRequirement> = default,
    }

    /// The cache of verified tokens, of all providers, for each thread of the host.
    pub(in crate::policy) struct RawCache {
        /// Its bound, in bytes: at most 1073741824 (1 GiB); 0 switches it off. Default 8388608 (8 MiB).
        max_bytes: u64,
    }
}

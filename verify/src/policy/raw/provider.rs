//! Providers as they are written.

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use super::{super::duration::RawDuration, RawRegex};

/// A trusted issuer: where its keys come from, where its tokens stand, and what of them goes
/// upstream.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
#[expect(clippy::struct_excessive_bools, reason = "as many as Envoy's message has, and ours")]
pub(in crate::policy) struct RawProvider {
    /// The only `iss` that is accepted; compared byte by byte. With `domains` it holds `{domain}`.
    pub(in crate::policy) issuer: Option<String>,
    /// `aud` has to name one of them. Left out: any audience, and none.
    pub(in crate::policy) audiences: Option<Vec<String>>,
    /// The algorithms that are accepted. Default: all asymmetric ones; an HMAC has to be named.
    pub(in crate::policy) algorithms: Option<Vec<String>>,
    /// The keys, in the policy.
    pub(in crate::policy) local_jwks: Option<RawLocalJwks>,
    /// The keys, at a URI.
    pub(in crate::policy) remote_jwks: Option<RawRemoteJwks>,
    /// Headers that a token may stand in. Where no place is named at all: `Authorization: Bearer`.
    #[serde(default)]
    pub(in crate::policy) from_headers: Vec<RawHeaderSource>,
    /// Cookies that a token may stand in.
    #[serde(default)]
    pub(in crate::policy) from_cookies: Vec<String>,
    /// Query parameters that a token may stand in.
    #[serde(default)]
    pub(in crate::policy) from_params: Vec<String>,
    /// Whether a verified token stays in the request. Default: it is removed.
    #[serde(default)]
    pub(in crate::policy) forward: bool,
    /// A header for all claims, as base64url of JSON.
    pub(in crate::policy) forward_payload_header: Option<String>,
    /// Claims that go upstream as headers. An array of scalars becomes a comma list.
    #[serde(default)]
    pub(in crate::policy) claim_to_headers: Vec<RawClaimToHeader>,
    /// How far the clocks may differ, in seconds: 0 to 3600. Default 60.
    pub(in crate::policy) clock_skew_seconds: Option<u32>,
    /// The keys, at the URI that the issuer's OpenID configuration names.
    pub(in crate::policy) openid_discovery: Option<RawDiscovery>,
    /// Many domains of one issuer, each with its own keys.
    pub(in crate::policy) domains: Option<RawDomains>,
    /// What `sub` has to be. Left out: anything, and nothing.
    pub(in crate::policy) subjects: Option<RawStringMatcher>,
    /// Only `true` may be said, and it is the default.
    pub(in crate::policy) require_expiration: Option<bool>,
    /// How far `exp` may lie ahead: 1 s to 10 years. Left out: no bound.
    pub(in crate::policy) max_lifetime: Option<RawDuration>,
    /// The values of `typ` that are accepted. A token without `typ` counts as `JWT`. Default: `JWT` and
    /// `at+jwt`.
    pub(in crate::policy) token_types: Option<Vec<String>>,
    /// Whether the value of `forward_payload_header` is padded with `=`.
    #[serde(default)]
    pub(in crate::policy) pad_forward_payload_header: bool,
    /// The key under which the claims go to the host's metadata.
    pub(in crate::policy) payload_in_metadata: Option<String>,
    /// The key under which the token's header goes to the host's metadata.
    pub(in crate::policy) header_in_metadata: Option<String>,
    /// What of the claims is spelled otherwise in the metadata.
    pub(in crate::policy) normalize_payload_in_metadata: Option<RawNormalizePayload>,
    /// The key under which the metadata tells why a token failed: `code` and `message`.
    pub(in crate::policy) failed_status_in_metadata: Option<String>,
    /// Whether the host chooses the route anew when a token of this provider sets headers or metadata.
    #[serde(default)]
    pub(in crate::policy) clear_route_cache: bool,
    /// Envoy's bounds of its cache.
    pub(in crate::policy) jwt_cache_config: Option<RawJwtCacheConfig>,
    /// Tokens of any issuer pass, if a key of this provider has signed them. Instead of `issuer`.
    #[serde(default)]
    pub(in crate::policy) dangerous_allow_any_issuer: bool,
    /// Tokens without `exp` pass, for ever.
    #[serde(default)]
    pub(in crate::policy) dangerous_allow_missing_expiration: bool,
    /// Tokens that are bound to a key (`cnf`) pass as bearer tokens.
    #[serde(default)]
    pub(in crate::policy) dangerous_ignore_key_binding: bool,
}

/// What of the claims is spelled otherwise in the metadata.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawNormalizePayload {
    /// Claims whose words become an array.
    pub(in crate::policy) space_delimited_claims: Vec<String>,
}

/// Envoy's bounds of its cache. That on the number of tokens is accepted and has no effect: ours is in
/// bytes and for all providers.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawJwtCacheConfig {
    /// Has no effect; see `verified_token_cache`.
    #[serde(rename = "jwt_cache_size")]
    pub(in crate::policy) _jwt_cache_size: Option<u32>,
    /// Longer tokens, in bytes, are verified each time. Default: 16384.
    pub(in crate::policy) jwt_max_token_size: Option<u32>,
}

/// A text, or texts of one kind: exactly one of the first five members.
#[derive(Deserialize, Default)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawStringMatcher {
    /// The text itself.
    pub(in crate::policy) exact: Option<String>,
    /// What it begins with; not empty.
    pub(in crate::policy) prefix: Option<String>,
    /// What it ends with; not empty.
    pub(in crate::policy) suffix: Option<String>,
    /// A part of it; not empty.
    pub(in crate::policy) contains: Option<String>,
    /// A regular expression that all of it has to match.
    pub(in crate::policy) safe_regex: Option<RawRegex>,
    /// Whether the case of ASCII letters is ignored; not with `safe_regex`.
    #[serde(default)]
    pub(in crate::policy) ignore_case: bool,
}

/// A JWK Set in the policy: one of the two. May hold secrets.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawLocalJwks {
    /// The document.
    pub(in crate::policy) inline_string: Option<String>,
    /// The document, as base64.
    pub(in crate::policy) inline_bytes: Option<String>,
}

/// A JWK Set at a URI.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawRemoteJwks {
    /// Where it is.
    pub(in crate::policy) http_uri: RawHttpUri,
    /// How long it is fresh, unless its `Cache-Control` says less: 1 s to 24 h. Default 300 s.
    pub(in crate::policy) cache_duration: Option<RawDuration>,
    /// How long the last good set is used while it cannot be refreshed: 1 s to 30 days, and not less
    /// than `cache_duration`. Default 86400 s.
    pub(in crate::policy) max_stale: Option<RawDuration>,
    /// Envoy's way to say when to try again after a failure.
    pub(in crate::policy) async_fetch: Option<RawAsyncFetch>,
    /// Envoy's way to say how to wait between failures.
    pub(in crate::policy) retry_policy: Option<RawRetryPolicy>,
    /// The document is itself a secret, and symmetric keys in it are used.
    #[serde(default)]
    pub(in crate::policy) dangerous_symmetric_keys: bool,
}

/// A JWK Set at the URI that an issuer's configuration names (OpenID Connect Discovery 1.0).
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawDiscovery {
    /// Where the configuration is. Default `uri`: the issuer and `/.well-known/openid-configuration`.
    #[serde(default)]
    pub(in crate::policy) http_uri: RawHttpUri,
    /// Envoy's cluster that leads to the JWK Set. Default: that of `http_uri`.
    pub(in crate::policy) jwks_cluster: Option<String>,
    /// As of `remote_jwks`.
    pub(in crate::policy) cache_duration: Option<RawDuration>,
    /// As of `remote_jwks`.
    pub(in crate::policy) max_stale: Option<RawDuration>,
    /// As of `remote_jwks`.
    pub(in crate::policy) async_fetch: Option<RawAsyncFetch>,
    /// As of `remote_jwks`.
    pub(in crate::policy) retry_policy: Option<RawRetryPolicy>,
    /// As of `remote_jwks`.
    #[serde(default)]
    pub(in crate::policy) dangerous_symmetric_keys: bool,
}

/// What [`RawRemoteJwks`] and [`RawDiscovery`] have in common.
pub(in crate::policy) struct RawKeyFetching<'a> {
    pub(in crate::policy) cache_duration: Option<&'a RawDuration>,
    pub(in crate::policy) max_stale: Option<&'a RawDuration>,
    pub(in crate::policy) async_fetch: Option<&'a RawAsyncFetch>,
    pub(in crate::policy) retry_policy: Option<&'a RawRetryPolicy>,
    pub(in crate::policy) dangerous_symmetric_keys: bool,
}

/// A place that something is fetched from.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawHttpUri {
    /// An absolute `https` or `http` URI.
    pub(in crate::policy) uri: Option<String>,
    /// Envoy's cluster that leads there; other hosts do not need it.
    pub(in crate::policy) cluster: Option<String>,
    /// How long one fetch may take: 0.1 s to 60 s. Default 5 s.
    pub(in crate::policy) timeout: Option<RawDuration>,
}

/// Envoy's way to say how keys are fetched in the background, which they are in any case.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawAsyncFetch {
    /// Has no effect: requests wait for the first keys, not the listener.
    #[expect(dead_code, reason = "keys are fetched in the background in any case")]
    pub(in crate::policy) fast_listener: Option<bool>,
    /// The first wait after a failed fetch: 0.1 s to 1 h. Default 1 s.
    pub(in crate::policy) failed_refetch_duration: Option<RawDuration>,
}

/// Envoy's way to say how to wait between failures.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawRetryPolicy {
    /// Has no effect: retries never end.
    #[expect(dead_code, reason = "retries never end")]
    pub(in crate::policy) num_retries: Option<u32>,
    /// The waits.
    pub(in crate::policy) retry_back_off: Option<RawRetryBackOff>,
}

/// The waits after failed fetches, each twice as long as the one before.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawRetryBackOff {
    /// The first: 0.1 s to 1 h.
    pub(in crate::policy) base_interval: RawDuration,
    /// The longest: up to 1 h. Default: ten times the first.
    pub(in crate::policy) max_interval: Option<RawDuration>,
}

/// Many domains of one issuer: which names there may be, and which of them a request is for. One of the
/// three `from_` members.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawDomains {
    /// A regular expression that all of a name has to match. Default `[a-z0-9-]{1,63}`.
    pub(in crate::policy) names: Option<String>,
    /// The host that a request asks for, with `{domain}` in it, such as `{domain}.api.example.com`.
    pub(in crate::policy) from_host: Option<String>,
    /// A segment of the path, counted from 0.
    pub(in crate::policy) from_path_segment: Option<u32>,
    /// A header, of one value.
    pub(in crate::policy) from_header: Option<String>,
    /// Most key sets that are held at once: 1 to 10000. Default 128.
    pub(in crate::policy) max_key_sets: Option<u32>,
}

/// A header that a token may stand in.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawHeaderSource {
    /// Its name.
    pub(in crate::policy) name: String,
    /// What stands before the token, such as `Bearer `.
    #[serde(default)]
    pub(in crate::policy) value_prefix: String,
}

/// A claim that goes upstream as a header.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawClaimToHeader {
    /// The header; what the client sent under its name is removed.
    pub(in crate::policy) header_name: String,
    /// The claim; `a.b` reaches into objects.
    pub(in crate::policy) claim_name: Option<String>,
    /// The claim, as a list of names, for names with dots.
    pub(in crate::policy) claim_path: Option<Vec<String>>,
}

impl RawStringMatcher {
    /// Whether any of its texts holds this one.
    pub(in crate::policy) fn contains(&self, text: &str) -> bool {
        let regex = self.safe_regex.as_ref().map(|raw| &raw.regex);
        let texts = [self.exact.as_ref(), self.prefix.as_ref(), self.suffix.as_ref()];
        texts
            .into_iter()
            .chain([self.contains.as_ref(), regex])
            .flatten()
            .any(|it| it.contains(text))
    }
}

//! Providers as they are written.

use super::{super::duration::RawDuration, RawRegex};
use crate::read::objects;

objects! {
    /// A trusted issuer: where its keys come from, where its tokens stand, and what of them goes
    /// upstream.
    pub(in crate::policy) struct RawProvider {
        /// The only `iss` that is accepted; compared byte by byte. With `domains` it holds `{domain}`.
        issuer: Option<String>,
        /// `aud` has to name one of them. Left out: any audience, and none.
        audiences: Option<Vec<String>>,
        /// The algorithms that are accepted. Default: all asymmetric ones; an HMAC has to be named.
        algorithms: Option<Vec<String>>,
        /// The keys, in the policy.
        local_jwks: Option<RawLocalJwks>,
        /// The keys, at a URI.
        remote_jwks: Option<RawRemoteJwks>,
        /// Headers that a token may stand in. Where no place is named at all: `Authorization: Bearer`.
        from_headers: Vec<RawHeaderSource> = default,
        /// Cookies that a token may stand in.
        from_cookies: Vec<String> = default,
        /// Query parameters that a token may stand in.
        from_params: Vec<String> = default,
        /// Whether a verified token stays in the request. Default: it is removed.
        forward: bool = default,
        /// A header for all claims, as base64url of JSON.
        forward_payload_header: Option<String>,
        /// Claims that go upstream as headers. An array of scalars becomes a comma list.
        claim_to_headers: Vec<RawClaimToHeader> = default,
        /// How far the clocks may differ, in seconds: 0 to 3600. Default 60.
        clock_skew_seconds: Option<u32>,
        /// The keys, at the URI that the issuer's OpenID configuration names.
        openid_discovery: Option<RawDiscovery>,
        /// The keys, in bundles that Postern's issuer makes for an enrolled edge.
        edge_keys: Option<RawEdgeKeys>,
        /// Whether the issuer has revoked a token, by the status list that the token names.
        status_list: Option<RawStatusList>,
        /// Many domains of one issuer, each with its own keys.
        domains: Option<RawDomains>,
        /// What `sub` has to be. Left out: anything, and nothing.
        subjects: Option<RawStringMatcher>,
        /// Only `true` may be said, and it is the default.
        require_expiration: Option<bool>,
        /// How far `exp` may lie ahead: 1 s to 10 years. Left out: no bound.
        max_lifetime: Option<RawDuration>,
        /// The values of `typ` that are accepted. A token without `typ` counts as `JWT`. Default: `JWT` and
        /// `at+jwt`.
        token_types: Option<Vec<String>>,
        /// Whether the value of `forward_payload_header` is padded with `=`.
        pad_forward_payload_header: bool = default,
        /// The key under which the claims go to the host's metadata.
        payload_in_metadata: Option<String>,
        /// The key under which the token's header goes to the host's metadata.
        header_in_metadata: Option<String>,
        /// What of the claims is spelled otherwise in the metadata.
        normalize_payload_in_metadata: Option<RawNormalizePayload>,
        /// The key under which the metadata tells why a token failed: `code` and `message`.
        failed_status_in_metadata: Option<String>,
        /// Whether the host chooses the route anew when a token of this provider sets headers or metadata.
        clear_route_cache: bool = default,
        /// Envoy's bounds of its cache.
        jwt_cache_config: Option<RawJwtCacheConfig>,
        /// Tokens of any issuer pass, if a key of this provider has signed them. Instead of `issuer`.
        dangerous_allow_any_issuer: bool = default,
        /// Tokens without `exp` pass, for ever.
        dangerous_allow_missing_expiration: bool = default,
        /// Tokens that are bound to a key (`cnf`) pass as bearer tokens.
        dangerous_ignore_key_binding: bool = default,
    }

    /// What of the claims is spelled otherwise in the metadata.
    pub(in crate::policy) struct RawNormalizePayload {
        /// Claims whose words become an array.
        space_delimited_claims: Vec<String>,
    }

    /// Envoy's bounds of its cache. That on the number of tokens is accepted and has no effect: ours is in
    /// bytes and for all providers.
    pub(in crate::policy) struct RawJwtCacheConfig {
        /// Has no effect; see `verified_token_cache`.
        _jwt_cache_size: Option<u32> as "jwt_cache_size",
        /// Longer tokens, in bytes, are verified each time. Default: 16384.
        jwt_max_token_size: Option<u32>,
    }

    /// A text, or texts of one kind: exactly one of the first five members.
    pub(in crate::policy) struct RawStringMatcher {
        /// The text itself.
        exact: Option<String>,
        /// What it begins with; not empty.
        prefix: Option<String>,
        /// What it ends with; not empty.
        suffix: Option<String>,
        /// A part of it; not empty.
        contains: Option<String>,
        /// A regular expression that all of it has to match.
        safe_regex: Option<RawRegex>,
        /// Whether the case of ASCII letters is ignored; not with `safe_regex`.
        ignore_case: bool = default,
    }

    /// A JWK Set in the policy: one of the two. May hold secrets.
    pub(in crate::policy) struct RawLocalJwks {
        /// The document.
        inline_string: Option<String>,
        /// The document, as base64.
        inline_bytes: Option<String>,
    }

    /// A JWK Set at a URI.
    pub(in crate::policy) struct RawRemoteJwks {
        /// Where it is.
        http_uri: RawHttpUri,
        /// How long it is fresh, unless its `Cache-Control` says less: 1 s to 24 h. Default 300 s.
        cache_duration: Option<RawDuration>,
        /// How long the last good set is used while it cannot be refreshed: 1 s to 30 days, and not less
        /// than `cache_duration`. Default 86400 s.
        max_stale: Option<RawDuration>,
        /// Envoy's way to say when to try again after a failure.
        async_fetch: Option<RawAsyncFetch>,
        /// Envoy's way to say how to wait between failures.
        retry_policy: Option<RawRetryPolicy>,
        /// The document is itself a secret, and symmetric keys in it are used.
        dangerous_symmetric_keys: bool = default,
    }

    /// Keys in bundles that Postern's issuer signs and encrypts for an enrolled edge. What the enrolment
    /// printed is for the host to have, and never part of a policy.
    pub(in crate::policy) struct RawEdgeKeys {
        /// Where they are. Default `uri`: the issuer and `/edge/keys`.
        http_uri: RawHttpUri = default,
        /// How often they are asked for, unless `Cache-Control` says oftener: 1 s to 24 h. Default 5 s.
        cache_duration: Option<RawDuration>,
        /// As of `remote_jwks`.
        max_stale: Option<RawDuration>,
        /// As of `remote_jwks`.
        async_fetch: Option<RawAsyncFetch>,
        /// As of `remote_jwks`.
        retry_policy: Option<RawRetryPolicy>,
    }

    /// The status lists (draft-ietf-oauth-status-list) that tokens of this issuer name.
    pub(in crate::policy) struct RawStatusList {
        /// What the URI of a list has to begin with. Default: the issuer and `/`.
        uri_prefix: Option<String>,
        /// Envoy's cluster that leads there; other hosts do not need it.
        cluster: Option<String>,
        /// How long one fetch may take: 0.1 s to 60 s. Default 5 s.
        timeout: Option<RawDuration>,
        /// How often a list that is in use is asked for: 1 s to 1 h. Default 5 s.
        max_age: Option<RawDuration>,
        /// For how long a list counts that could not be asked for again: 1 s to 24 h, and not less than
        /// `max_age`. Default 60 s.
        max_stale: Option<RawDuration>,
        /// What becomes of a request whose list is older than that: `deny` (503) or `allow`, which goes by
        /// what the list last said. Default `deny`.
        when_stale: Option<String>,
        /// Whether tokens pass that name no list. Default: they are refused.
        allow_missing: bool = default,
        /// Most lists that are held at once: 1 to 1000. Default 64.
        max_lists: Option<u32>,
    }

    /// A JWK Set at the URI that an issuer's configuration names (OpenID Connect Discovery 1.0).
    pub(in crate::policy) struct RawDiscovery {
        /// Where the configuration is. Default `uri`: the issuer and `/.well-known/openid-configuration`.
        http_uri: RawHttpUri = default,
        /// Envoy's cluster that leads to the JWK Set. Default: that of `http_uri`.
        jwks_cluster: Option<String>,
        /// As of `remote_jwks`.
        cache_duration: Option<RawDuration>,
        /// As of `remote_jwks`.
        max_stale: Option<RawDuration>,
        /// As of `remote_jwks`.
        async_fetch: Option<RawAsyncFetch>,
        /// As of `remote_jwks`.
        retry_policy: Option<RawRetryPolicy>,
        /// As of `remote_jwks`.
        dangerous_symmetric_keys: bool = default,
    }
}

/// What [`RawRemoteJwks`] and [`RawDiscovery`] have in common.
pub(in crate::policy) struct RawKeyFetching<'a> {
    pub(in crate::policy) cache_duration: Option<&'a RawDuration>,
    pub(in crate::policy) default_cache_duration: std::time::Duration,
    pub(in crate::policy) max_stale: Option<&'a RawDuration>,
    pub(in crate::policy) async_fetch: Option<&'a RawAsyncFetch>,
    pub(in crate::policy) retry_policy: Option<&'a RawRetryPolicy>,
    pub(in crate::policy) dangerous_symmetric_keys: bool,
}

objects! {
    /// A place that something is fetched from.
    pub(in crate::policy) struct RawHttpUri {
        /// An absolute `https` or `http` URI.
        uri: Option<String>,
        /// Envoy's cluster that leads there; other hosts do not need it.
        cluster: Option<String>,
        /// How long one fetch may take: 0.1 s to 60 s. Default 5 s.
        timeout: Option<RawDuration>,
    }

    /// Envoy's way to say how keys are fetched in the background, which they are in any case.
    pub(in crate::policy) struct RawAsyncFetch {
        /// Has no effect: requests wait for the first keys, not the listener.
        #[expect(dead_code, reason = "keys are fetched in the background in any case")]
        fast_listener: Option<bool>,
        /// The first wait after a failed fetch: 0.1 s to 1 h. Default 1 s.
        failed_refetch_duration: Option<RawDuration>,
    }

    /// Envoy's way to say how to wait between failures.
    pub(in crate::policy) struct RawRetryPolicy {
        /// Has no effect: retries never end.
        #[expect(dead_code, reason = "retries never end")]
        num_retries: Option<u32>,
        /// The waits.
        retry_back_off: Option<RawRetryBackOff>,
    }

    /// The waits after failed fetches, each twice as long as the one before.
    pub(in crate::policy) struct RawRetryBackOff {
        /// The first: 0.1 s to 1 h.
        base_interval: RawDuration,
        /// The longest: up to 1 h. Default: ten times the first.
        max_interval: Option<RawDuration>,
    }

    /// Many domains of one issuer: which names there may be, and which of them a request is for. One of the
    /// three `from_` members.
    pub(in crate::policy) struct RawDomains {
        /// A regular expression that all of a name has to match. Default `[a-z0-9-]{1,63}`.
        names: Option<String>,
        /// The host that a request asks for, with `{domain}` in it, such as `{domain}.api.example.com`.
        from_host: Option<String>,
        /// A segment of the path, counted from 0.
        from_path_segment: Option<u32>,
        /// A header, of one value.
        from_header: Option<String>,
        /// Most key sets that are held at once: 1 to 10000. Default 128.
        max_key_sets: Option<u32>,
    }

    /// A header that a token may stand in.
    pub(in crate::policy) struct RawHeaderSource {
        /// Its name.
        name: String,
        /// What stands before the token, such as `Bearer `.
        value_prefix: String = default,
    }

    /// A claim that goes upstream as a header.
    pub(in crate::policy) struct RawClaimToHeader {
        /// The header; what the client sent under its name is removed.
        header_name: String,
        /// The claim; `a.b` reaches into objects.
        claim_name: Option<String>,
        /// The claim, as a list of names, for names with dots.
        claim_path: Option<Vec<String>>,
    }
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

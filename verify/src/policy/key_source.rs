//! Where a provider's keys come from, and how they are fetched.

use std::{ops::RangeInclusive, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    domains::{DOMAIN, Domains},
    duration::RawDuration,
    error::PolicyError,
    raw::{
        RawDiscovery, RawEdgeKeys, RawHttpUri, RawKeyFetching, RawLocalJwks, RawProvider,
        RawRemoteJwks,
    },
};
use crate::{algorithm::Algorithm, jwk::KeyKinds, jwk_set::JwkSet};

/// Where Postern's issuer has the bundles for its edges.
const EDGE_KEYS_PATH: &str = "/edge/keys";
/// Where OpenID Connect Discovery 1.0 §4 has the configuration of an issuer.
const CONFIGURATION_PATH: &str = "/.well-known/openid-configuration";
/// The longest URI that is fetched, in bytes.
pub(crate) const MAX_URI_BYTES: usize = 2_048;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
const DEFAULT_CACHE_DURATION: Duration = Duration::from_secs(300);
/// Of bundles for an edge: a withdrawn key is gone that soon.
const DEFAULT_EDGE_CACHE_DURATION: Duration = Duration::from_secs(5);
const DEFAULT_MAX_STALE: Duration = Duration::from_secs(24 * 3_600);
const DEFAULT_FIRST_BACK_OFF: Duration = Duration::from_secs(1);
const DEFAULT_MAX_BACK_OFF: Duration = Duration::from_secs(16);
/// Retries never end here, so they are not as quick as Envoy's can be.
const SHORTEST_BACK_OFF: Duration = Duration::from_millis(100);
const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
const MONTH: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How long one fetch may take.
pub(super) const TIMEOUTS: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(60);

/// Where a provider's keys come from.
#[derive(Debug)]
pub(crate) enum KeySource {
    Local(JwkSet),
    Remote(RemoteJwks),
    Discovered(Discovery),
    Edge(RemoteJwks),
}

/// A JWK Set at a URI that the policy names.
#[derive(Debug, Clone)]
pub(crate) struct RemoteJwks {
    pub(crate) http_uri: HttpUri,
    pub(crate) fetching: KeyFetching,
}

/// A JWK Set at the URI that the issuer's configuration names.
#[derive(Debug, Clone)]
pub(crate) struct Discovery {
    /// The configuration.
    pub(crate) http_uri: HttpUri,
    /// Envoy's cluster that leads to the JWK Set.
    pub(crate) jwks_cluster: Option<String>,
    pub(crate) fetching: KeyFetching,
}

/// A place that something is fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUri {
    /// Host and port of the URI, as the `Host` header wants it.
    pub authority: String,
    /// Path and query of the URI; begins with `/`.
    pub path: String,
    /// `https` or `http`.
    pub scheme: String,
    /// Envoy's cluster that leads there. Other hosts do not need it.
    pub cluster: Option<String>,
    /// How long one fetch may take. Default 5 s, 100 ms to 60 s.
    pub timeout: Duration,
}

/// When a key set is fetched, for how long it is used, and what it may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyFetching {
    /// How long a fetched set counts as fresh, where its `Cache-Control` does not say less.
    /// Default 5 min, 1 s to 24 h.
    pub(crate) cache_duration: Duration,
    /// How long the last good set is used when it cannot be refreshed, counted from its last
    /// good fetch. Default 24 h, 1 s to 30 days; never less than `cache_duration`.
    pub(crate) max_stale: Duration,
    /// The wait after the first failed fetch. Default 1 s, 100 ms to 1 h.
    pub(crate) first_back_off: Duration,
    /// The longest wait after a failed fetch. Default 16 s, up to 1 h; never less than the first.
    pub(crate) max_back_off: Duration,
    pub(crate) key_kinds: KeyKinds,
}

impl KeySource {
    pub(super) fn new(
        raw: &RawProvider,
        issuer: &str,
        algorithms: &[Algorithm],
        domains: Option<&Domains>,
        member: &dyn Fn(&str) -> String,
    ) -> Result<Self, PolicyError> {
        match (&raw.local_jwks, &raw.remote_jwks, &raw.openid_discovery, &raw.edge_keys) {
            (Some(local), None, None, None) => {
                local_jwks(local, algorithms, &member("local_jwks")).map(Self::Local)
            }
            (None, Some(remote), None, None) => {
                let member = member("remote_jwks");
                RemoteJwks::new(remote, algorithms, domains, &member).map(Self::Remote)
            }
            (None, None, None, Some(edge)) => {
                let member = member("edge_keys");
                RemoteJwks::of_edge(edge, issuer, algorithms, domains, &member).map(Self::Edge)
            }
            (None, None, Some(discovery), None) => {
                let member = member("openid_discovery");
                Discovery::new(discovery, issuer, algorithms, domains, &member)
                    .map(Self::Discovered)
            }
            _ => {
                let provider = member("");
                let provider = provider.trim_end_matches('.').to_owned();
                let reason = "it needs one of `local_jwks`, `remote_jwks`, `openid_discovery` and `edge_keys`";
                Err(PolicyError::new(provider, reason))
            }
        }
    }

    /// What of it the policy says to fetch, and the member that says so.
    pub(super) fn http_uri(&self) -> Option<(&'static str, &HttpUri)> {
        match self {
            Self::Local(_) => None,
            Self::Remote(remote) => Some(("remote_jwks.http_uri", &remote.http_uri)),
            Self::Discovered(discovery) => Some(("openid_discovery.http_uri", &discovery.http_uri)),
            Self::Edge(edge) => Some(("edge_keys.http_uri", &edge.http_uri)),
        }
    }
}

impl RemoteJwks {
    fn new(
        raw: &RawRemoteJwks,
        algorithms: &[Algorithm],
        domains: Option<&Domains>,
        member: &str,
    ) -> Result<Self, PolicyError> {
        let place = format!("{member}.http_uri");
        let Some(uri) = &raw.http_uri.uri else {
            return Err(PolicyError::new(place, "missing field `uri`"));
        };
        let http_uri = HttpUri::new(uri, &raw.http_uri, domains, &place)?;
        let raw = RawKeyFetching {
            cache_duration: raw.cache_duration.as_ref(),
            default_cache_duration: DEFAULT_CACHE_DURATION,
            max_stale: raw.max_stale.as_ref(),
            async_fetch: raw.async_fetch.as_ref(),
            retry_policy: raw.retry_policy.as_ref(),
            dangerous_symmetric_keys: raw.dangerous_symmetric_keys,
        };
        Ok(Self { http_uri, fetching: KeyFetching::new(&raw, algorithms, member)? })
    }

    /// The bundles for an edge. What they hold is encrypted for it, so secrets are as good as others.
    fn of_edge(
        raw: &RawEdgeKeys,
        issuer: &str,
        algorithms: &[Algorithm],
        domains: Option<&Domains>,
        member: &str,
    ) -> Result<Self, PolicyError> {
        let default = format!("{}{EDGE_KEYS_PATH}", issuer.trim_end_matches('/'));
        let uri = raw.http_uri.uri.as_deref().unwrap_or(&default);
        let http_uri = HttpUri::new(uri, &raw.http_uri, domains, &format!("{member}.http_uri"))?;
        let has_symmetric = algorithms.iter().any(|algorithm| algorithm.is_symmetric());
        let raw = RawKeyFetching {
            cache_duration: raw.cache_duration.as_ref(),
            default_cache_duration: DEFAULT_EDGE_CACHE_DURATION,
            max_stale: raw.max_stale.as_ref(),
            async_fetch: raw.async_fetch.as_ref(),
            retry_policy: raw.retry_policy.as_ref(),
            dangerous_symmetric_keys: has_symmetric,
        };
        Ok(Self { http_uri, fetching: KeyFetching::new(&raw, algorithms, member)? })
    }
}

impl Discovery {
    fn new(
        raw: &RawDiscovery,
        issuer: &str,
        algorithms: &[Algorithm],
        domains: Option<&Domains>,
        member: &str,
    ) -> Result<Self, PolicyError> {
        let default = format!("{}{CONFIGURATION_PATH}", issuer.trim_end_matches('/'));
        let uri = raw.http_uri.uri.as_deref().unwrap_or(&default);
        let http_uri = HttpUri::new(uri, &raw.http_uri, domains, &format!("{member}.http_uri"))?;
        let jwks_cluster = raw.jwks_cluster.clone().or_else(|| http_uri.cluster.clone());
        let raw = RawKeyFetching {
            cache_duration: raw.cache_duration.as_ref(),
            default_cache_duration: DEFAULT_CACHE_DURATION,
            max_stale: raw.max_stale.as_ref(),
            async_fetch: raw.async_fetch.as_ref(),
            retry_policy: raw.retry_policy.as_ref(),
            dangerous_symmetric_keys: raw.dangerous_symmetric_keys,
        };
        let fetching = KeyFetching::new(&raw, algorithms, member)?;
        Ok(Self { http_uri, jwks_cluster, fetching })
    }
}

impl HttpUri {
    pub(super) fn new(
        uri: &str,
        raw: &RawHttpUri,
        domains: Option<&Domains>,
        member: &str,
    ) -> Result<Self, PolicyError> {
        let timeout = duration(raw.timeout.as_ref(), DEFAULT_TIMEOUT, TIMEOUTS, member, "timeout")?;
        let parsed = Self::parse(uri, raw.cluster.clone(), timeout).and_then(|parsed| {
            match (uri.contains(DOMAIN), domains) {
                (true, None) => Err("it holds `{domain}`, so `domains` is needed"),
                (false, Some(_)) => Err("with `domains` it must hold `{domain}`"),
                _ if !is_ours(&parsed.authority) => {
                    Err("in its host, `{domain}` must be whole labels in front of others")
                }
                _ => Ok(parsed),
            }
        });
        parsed.map_err(|reason| PolicyError::new(format!("{member}.uri"), reason))
    }

    /// An absolute `http` or `https` URI without user information and fragment.
    pub(crate) fn parse(
        uri: &str,
        cluster: Option<String>,
        timeout: Duration,
    ) -> Result<Self, &'static str> {
        let (scheme, rest) = uri.split_once("://").ok_or("it must be an absolute URI")?;
        if !matches!(scheme, "http" | "https") {
            return Err("its scheme must be `https` or `http`");
        }
        if !uri.bytes().all(|byte| byte.is_ascii_graphic()) || uri.contains('#') {
            return Err("it must hold neither a fragment nor anything but visible ASCII");
        }
        if uri.len() > MAX_URI_BYTES {
            return Err("it must not be longer than 2048 bytes");
        }
        let path_start = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) =
            rest.split_at_checked(path_start).ok_or("it must be an absolute URI")?;
        if authority.is_empty() || authority.contains('@') {
            return Err("it must have a host and no user information");
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self {
            authority: authority.to_owned(),
            path: format!("{slash}{path}"),
            scheme: scheme.to_owned(),
            cluster,
            timeout,
        })
    }

    /// The place of one domain's document, where this is a template.
    pub(crate) fn of_domain(&self, domain: &str) -> Self {
        Self {
            authority: self.authority.replace(DOMAIN, domain),
            path: self.path.replace(DOMAIN, domain),
            ..self.clone()
        }
    }
}

/// Whether a host is under a name that the policy writes out, whatever the domain: the request
/// names the domain, and must not choose whose keys are trusted.
fn is_ours(authority: &str) -> bool {
    let Some((before, behind)) = authority.split_once(DOMAIN) else { return true };
    let suffix = behind.strip_prefix('.').unwrap_or_default();
    let is_label_start = before.is_empty() || before.ends_with('.');
    is_label_start && suffix.starts_with(|first: char| first.is_ascii_alphanumeric())
}

impl KeyFetching {
    fn new(
        raw: &RawKeyFetching<'_>,
        algorithms: &[Algorithm],
        member: &str,
    ) -> Result<Self, PolicyError> {
        let cache_duration = duration(
            raw.cache_duration,
            raw.default_cache_duration,
            SECOND..=DAY,
            member,
            "cache_duration",
        )?;
        let max_stale =
            duration(raw.max_stale, DEFAULT_MAX_STALE, SECOND..=MONTH, member, "max_stale")?;
        if max_stale < cache_duration {
            let reason = "it must not be less than `cache_duration`";
            return Err(PolicyError::new(format!("{member}.max_stale"), reason));
        }
        let (first_back_off, max_back_off) = back_off(raw, member)?;
        let key_kinds = key_kinds(raw.dangerous_symmetric_keys, algorithms)
            .map_err(|reason| PolicyError::new(format!("{member}.{SYMMETRIC}"), reason))?;
        Ok(Self { cache_duration, max_stale, first_back_off, max_back_off, key_kinds })
    }
}

const SYMMETRIC: &str = "dangerous_symmetric_keys";

fn key_kinds(symmetric: bool, algorithms: &[Algorithm]) -> Result<KeyKinds, &'static str> {
    match symmetric {
        false => Ok(KeyKinds::PublicOnly),
        true if algorithms.iter().any(|algorithm| algorithm.is_symmetric()) => {
            Ok(KeyKinds::WithSecrets)
        }
        true => Err("it has no effect unless `algorithms` names an HMAC, such as `HS256`"),
    }
}

/// The first and the longest wait after failed fetches. Of the two members that Envoy has for the
/// first, `retry_policy` is the more exact one.
fn back_off(raw: &RawKeyFetching<'_>, member: &str) -> Result<(Duration, Duration), PolicyError> {
    let interval = |raw: Option<&RawDuration>, default, field: &str| {
        let interval = duration(raw, default, MILLISECOND..=HOUR, member, field)?;
        Ok::<Duration, PolicyError>(interval.max(SHORTEST_BACK_OFF))
    };
    let first = interval(
        raw.async_fetch.and_then(|raw| raw.failed_refetch_duration.as_ref()),
        DEFAULT_FIRST_BACK_OFF,
        "async_fetch.failed_refetch_duration",
    )?;
    let retry = raw.retry_policy.and_then(|raw| raw.retry_back_off.as_ref());
    let field = "retry_policy.retry_back_off.base_interval";
    let first = interval(retry.map(|raw| &raw.base_interval), first, field)?;
    let field = "retry_policy.retry_back_off.max_interval";
    let stated = retry.and_then(|raw| raw.max_interval.as_ref());
    let longest = interval(stated, DEFAULT_MAX_BACK_OFF.max(first), field)?;
    if longest < first {
        let reason = "it must not be less than `base_interval`";
        return Err(PolicyError::new(format!("{member}.{field}"), reason));
    }
    Ok((first, longest))
}

pub(super) fn duration(
    raw: Option<&RawDuration>,
    default: Duration,
    bounds: RangeInclusive<Duration>,
    member: &str,
    field: &str,
) -> Result<Duration, PolicyError> {
    let duration = raw.map_or(Ok(default), |raw| raw.within(bounds));
    duration.map_err(|reason| PolicyError::new(format!("{member}.{field}"), reason))
}

fn local_jwks(
    raw: &RawLocalJwks,
    algorithms: &[Algorithm],
    member: &str,
) -> Result<JwkSet, PolicyError> {
    let (field, keys) = match (&raw.inline_string, &raw.inline_bytes) {
        (Some(text), None) => ("inline_string", local_keys(text.as_bytes(), algorithms)),
        (None, Some(bytes)) => {
            let document =
                STANDARD.decode(bytes.as_bytes()).map_err(|_| "it is not base64".to_owned());
            ("inline_bytes", document.and_then(|document| local_keys(&document, algorithms)))
        }
        _ => {
            let reason = "it needs one of `inline_string` and `inline_bytes`";
            return Err(PolicyError::new(member, reason));
        }
    };
    keys.map_err(|reason| PolicyError::new(format!("{member}.{field}"), reason))
}

/// Nobody will mend an inline key set later, so all of it has to be of use now.
fn local_keys(document: &[u8], algorithms: &[Algorithm]) -> Result<JwkSet, String> {
    let keys = JwkSet::parse(document, KeyKinds::WithSecrets).map_err(|error| error.to_string())?;
    if let Some(skipped) = keys.skipped().first() {
        return Err(format!("a key cannot be used; {skipped}"));
    }
    if keys.is_empty() {
        return Err("it holds no key".to_owned());
    }
    let unnamed = keys.algorithms().find(|algorithm| !algorithms.contains(algorithm));
    match unnamed {
        Some(unnamed) => Err(format!("it holds a key for {unnamed}; name it in `algorithms`")),
        None => Ok(keys),
    }
}

#[cfg(test)]
mod tests;

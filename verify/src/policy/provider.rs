//! A provider: a trusted issuer, where its tokens stand, and what of them goes upstream.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    error::PolicyError,
    raw::{RawClaimToHeader, RawHeaderSource, RawProvider, RawRemoteJwks},
};
use crate::{algorithm::Algorithm, claims::ClaimRules, jwk::KeyKinds, jwk_set::JwkSet};

/// Envoy's default for `clock_skew_seconds`.
const DEFAULT_CLOCK_SKEW_SECONDS: u32 = 60;
/// A clock that is further off than an hour needs mending, not tolerance.
const MAX_CLOCK_SKEW_SECONDS: u32 = 3_600;
/// Header fields that frame or route the request; identity must not be written there.
const RESERVED_HEADERS: [&str; 9] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
    "keep-alive",
    "cookie",
];

/// A trusted issuer, as a policy names it.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) name: String,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) claim_rules: ClaimRules,
    pub(crate) keys: KeySource,
    pub(crate) locations: Vec<Location>,
    pub(crate) forward: bool,
    pub(crate) payload_header: Option<String>,
    pub(crate) claim_headers: Vec<ClaimHeader>,
}

/// Where a provider's keys come from.
#[derive(Debug)]
pub(crate) enum KeySource {
    Local(JwkSet),
    Remote(RemoteJwks),
}

/// How a provider's JWK Set is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteJwks {
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
    /// How long a fetched set counts as fresh, where its `Cache-Control` does not say less.
    /// Default 5 min, 1 s to 24 h.
    pub cache_duration: Duration,
    /// How long the last good set is used when it cannot be refreshed, counted from its last
    /// good fetch. Default 24 h, 1 s to 30 days; never less than `cache_duration`.
    pub max_stale: Duration,
}

/// A place where a token may stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    Header { name: String, value_prefix: String },
    Cookie(String),
    Param(String),
}

/// A claim that goes upstream as a header.
#[derive(Debug)]
pub(crate) struct ClaimHeader {
    pub(crate) header_name: String,
    pub(crate) claim_path: Vec<String>,
}

impl Provider {
    pub(super) fn new(name: &str, raw: RawProvider) -> Result<Self, PolicyError> {
        let member = |field: &str| format!("providers.{name}.{field}");
        if raw.issuer.is_empty() {
            return Err(PolicyError::new(member("issuer"), "it must not be empty"));
        }
        let skew = raw.clock_skew_seconds.unwrap_or(DEFAULT_CLOCK_SKEW_SECONDS);
        if skew > MAX_CLOCK_SKEW_SECONDS {
            let reason = format!("it may be at most {MAX_CLOCK_SKEW_SECONDS}");
            return Err(PolicyError::new(member("clock_skew_seconds"), reason));
        }
        if raw.audiences.as_ref().is_some_and(Vec::is_empty) {
            let reason = "it must not be empty; leave it out to accept any audience";
            return Err(PolicyError::new(member("audiences"), reason));
        }
        let algorithms = algorithms(raw.algorithms.as_deref(), &member("algorithms"))?;
        let locations = locations(&raw, &member)?;
        let payload_header = raw
            .forward_payload_header
            .as_deref()
            .map(|header| identity_header(header, &member("forward_payload_header")))
            .transpose()?;
        Ok(Self {
            name: name.to_owned(),
            keys: key_source(&raw, &algorithms, &member)?,
            algorithms,
            locations,
            forward: raw.forward,
            payload_header,
            claim_headers: claim_headers(&raw.claim_to_headers, &member("claim_to_headers"))?,
            claim_rules: ClaimRules {
                issuer: raw.issuer,
                audiences: raw.audiences.unwrap_or_default(),
                clock_skew: Duration::from_secs(skew.into()),
            },
        })
    }

    /// Names of all headers that this provider may set.
    pub(crate) fn identity_headers(&self) -> impl Iterator<Item = &str> {
        let claims = self.claim_headers.iter().map(|header| header.header_name.as_str());
        self.payload_header.as_deref().into_iter().chain(claims)
    }
}

/// Asymmetric algorithms need not be named. A shared secret lets everyone who can check a token
/// make one, so HMACs do.
fn algorithms(names: Option<&[String]>, member: &str) -> Result<Vec<Algorithm>, PolicyError> {
    let Some(names) = names else {
        let asymmetric = |algorithm: &&Algorithm| !algorithm.is_symmetric();
        return Ok(Algorithm::ALL.iter().filter(asymmetric).copied().collect());
    };
    if names.is_empty() {
        let reason = "it must not be empty; leave it out to allow all asymmetric algorithms";
        return Err(PolicyError::new(member, reason));
    }
    let algorithm = |(index, name): (usize, &String)| {
        Algorithm::from_name(name).ok_or_else(|| {
            let reason = format!("`{name}` is not a supported algorithm");
            PolicyError::new(format!("{member}[{index}]"), reason)
        })
    };
    names.iter().enumerate().map(algorithm).collect()
}

/// RFC 6750 §2.1 where the policy names no place. Unlike Envoy, not also the query parameter
/// `access_token`: OAuth 2.1 has dropped it, since URLs end up in logs.
fn default_locations() -> Vec<Location> {
    let value_prefix = "Bearer ".to_owned();
    vec![Location::Header { name: "authorization".to_owned(), value_prefix }]
}

fn locations(
    raw: &RawProvider,
    member: &dyn Fn(&str) -> String,
) -> Result<Vec<Location>, PolicyError> {
    let mut locations = Vec::new();
    for (index, source) in raw.from_headers.iter().enumerate() {
        locations.push(header_location(source, &member(&format!("from_headers[{index}]")))?);
    }
    for (field, names) in [("from_cookies", &raw.from_cookies), ("from_params", &raw.from_params)] {
        for (index, name) in names.iter().enumerate() {
            if name.is_empty() || !name.bytes().all(is_token_byte) {
                let place = member(&format!("{field}[{index}]"));
                return Err(PolicyError::new(place, format!("`{name}` is not a valid name")));
            }
            locations.push(match field {
                "from_cookies" => Location::Cookie(name.clone()),
                _ => Location::Param(name.clone()),
            });
        }
    }
    if locations.is_empty() {
        locations = default_locations();
    }
    Ok(locations)
}

fn header_location(source: &RawHeaderSource, member: &str) -> Result<Location, PolicyError> {
    let name = header_name(&source.name, &format!("{member}.name"))?;
    if name == "cookie" {
        return Err(PolicyError::new(format!("{member}.name"), "use `from_cookies` for cookies"));
    }
    let prefix = &source.value_prefix;
    let is_visible = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    if prefix.contains(',') || prefix.starts_with(' ') || !prefix.bytes().all(is_visible) {
        return Err(PolicyError::new(
            format!("{member}.value_prefix"),
            "it must be visible ASCII without a comma, and not begin with a space",
        ));
    }
    Ok(Location::Header { name, value_prefix: source.value_prefix.clone() })
}

fn claim_headers(raw: &[RawClaimToHeader], member: &str) -> Result<Vec<ClaimHeader>, PolicyError> {
    let mut headers: Vec<ClaimHeader> = Vec::new();
    for (index, item) in raw.iter().enumerate() {
        let header_name =
            identity_header(&item.header_name, &format!("{member}[{index}].header_name"))?;
        let claim_path: Vec<String> = item.claim_name.split('.').map(str::to_owned).collect();
        if claim_path.iter().any(String::is_empty) {
            let place = format!("{member}[{index}].claim_name");
            return Err(PolicyError::new(place, "it must name a claim, such as `sub` or `a.b`"));
        }
        if headers.iter().any(|header| header.header_name == header_name) {
            let place = format!("{member}[{index}].header_name");
            return Err(PolicyError::new(place, format!("`{header_name}` is set twice")));
        }
        headers.push(ClaimHeader { header_name, claim_path });
    }
    Ok(headers)
}

fn key_source(
    raw: &RawProvider,
    algorithms: &[Algorithm],
    member: &dyn Fn(&str) -> String,
) -> Result<KeySource, PolicyError> {
    match (&raw.local_jwks, &raw.remote_jwks) {
        (Some(local), None) => local_keys(&local.inline_string, algorithms)
            .map(KeySource::Local)
            .map_err(|reason| PolicyError::new(member("local_jwks.inline_string"), reason)),
        (None, Some(remote)) => {
            RemoteJwks::new(remote, &member("remote_jwks")).map(KeySource::Remote)
        }
        _ => {
            let provider = member("");
            let provider = provider.trim_end_matches('.').to_owned();
            Err(PolicyError::new(provider, "it needs one of `local_jwks` and `remote_jwks`"))
        }
    }
}

/// Nobody will mend an inline key set later, so all of it has to be of use now.
fn local_keys(document: &str, algorithms: &[Algorithm]) -> Result<JwkSet, String> {
    let keys = JwkSet::parse(document.as_bytes(), KeyKinds::WithSecrets)
        .map_err(|error| error.to_string())?;
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

impl RemoteJwks {
    fn new(raw: &RawRemoteJwks, member: &str) -> Result<Self, PolicyError> {
        let (scheme, authority, path) = split_uri(&raw.http_uri.uri)
            .map_err(|reason| PolicyError::new(format!("{member}.http_uri.uri"), reason))?;
        let duration = |field: &str, text: &Option<String>, default: &str, bounds| {
            parse_duration(text.as_deref().unwrap_or(default), bounds)
                .map_err(|reason| PolicyError::new(format!("{member}.{field}"), reason))
        };
        let day = 24 * 3_600;
        let timeout = duration("http_uri.timeout", &raw.http_uri.timeout, "5s", 0.1..=60.0)?;
        let cache_duration =
            duration("cache_duration", &raw.cache_duration, "300s", 1.0..=f64::from(day))?;
        let max_stale = duration("max_stale", &raw.max_stale, "86400s", 1.0..=f64::from(30 * day))?;
        if max_stale < cache_duration {
            let reason = "it must not be less than `cache_duration`";
            return Err(PolicyError::new(format!("{member}.max_stale"), reason));
        }
        let cluster = raw.http_uri.cluster.clone();
        Ok(Self { authority, path, scheme, cluster, timeout, cache_duration, max_stale })
    }
}

/// An absolute `http` or `https` URI without user information and fragment.
fn split_uri(uri: &str) -> Result<(String, String, String), &'static str> {
    let (scheme, rest) = uri.split_once("://").ok_or("it must be an absolute URI")?;
    if !matches!(scheme, "http" | "https") {
        return Err("its scheme must be `https` or `http`");
    }
    if !uri.bytes().all(|byte| byte.is_ascii_graphic()) || uri.contains('#') {
        return Err("it must hold neither a fragment nor anything but visible ASCII");
    }
    let path_start = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) =
        rest.split_at_checked(path_start).ok_or("it must be an absolute URI")?;
    if authority.is_empty() || authority.contains('@') {
        return Err("it must have a host and no user information");
    }
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok((scheme.to_owned(), authority.to_owned(), format!("{slash}{path}")))
}

/// A duration as protobuf's JSON spells it: decimal seconds and an `s`.
fn parse_duration(text: &str, bounds: RangeInclusive<f64>) -> Result<Duration, String> {
    text.strip_suffix('s')
        .filter(|number| number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
        .and_then(|number| number.parse::<f64>().ok())
        .filter(|seconds| bounds.contains(seconds))
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| {
            let (least, most) = (bounds.start(), bounds.end());
            format!("`{text}` is not a duration from `{least}s` to `{most}s`")
        })
}

fn identity_header(name: &str, member: &str) -> Result<String, PolicyError> {
    let name = header_name(name, member)?;
    if RESERVED_HEADERS.contains(&name.as_str()) {
        return Err(PolicyError::new(member, format!("`{name}` must not be overwritten")));
    }
    Ok(name)
}

/// A field name (RFC 9110 §5.1), in lower case.
fn header_name(name: &str, member: &str) -> Result<String, PolicyError> {
    if name.is_empty() || !name.bytes().all(is_token_byte) {
        return Err(PolicyError::new(member, format!("`{name}` is not a header name")));
    }
    Ok(name.to_ascii_lowercase())
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

//! A provider: a trusted issuer, where its tokens stand, and what of them goes upstream.

use std::{borrow::Cow, sync::Arc, time::Duration};

use super::{
    conditions::claim_path,
    domains::{self, DOMAIN, Domains},
    duration::RawDuration,
    error::PolicyError,
    key_source::KeySource,
    raw::{RawClaimToHeader, RawHeaderSource, RawProvider},
    status_list::StatusLists,
    string_matcher::StringMatcher,
};
use crate::{
    algorithm::Algorithm,
    claims::ClaimRules,
    denial::Denial,
    jws::media_type,
    request::{Request, is_copy},
    token::MAX_TOKEN_BYTES,
};

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
    pub(crate) payload_header: Option<PayloadHeader>,
    pub(crate) claim_headers: Vec<ClaimHeader>,
    pub(crate) metadata: MetadataKeys,
    pub(crate) clear_route_cache: bool,
    /// Longer tokens are verified each time.
    pub(crate) max_cached_token_bytes: usize,
    /// Where `issuer` is a template: the names that may stand in it.
    pub(crate) domains: Option<Domains>,
    /// Where it is told which of its tokens are revoked, if anywhere.
    pub(crate) status_lists: Option<StatusLists>,
}

/// The header that all claims go upstream in.
#[derive(Debug)]
pub(crate) struct PayloadHeader {
    pub(crate) name: Arc<str>,
    /// Whether its base64url is padded.
    pub(crate) padded: bool,
}

/// What goes into the host's metadata, and under which keys.
#[derive(Debug, Default)]
pub(crate) struct MetadataKeys {
    pub(crate) payload: Option<String>,
    pub(crate) header: Option<String>,
    pub(crate) failed_status: Option<String>,
    /// Claims whose words become an array in the payload's metadata.
    pub(crate) space_delimited_claims: Vec<String>,
}

impl MetadataKeys {
    /// All keys under which something is told.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        [&self.payload, &self.header, &self.failed_status].into_iter().flatten().map(String::as_str)
    }
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
    pub(crate) header_name: Arc<str>,
    pub(crate) claim_path: Vec<String>,
}

impl Provider {
    pub(super) fn new(name: &str, raw: RawProvider) -> Result<Self, PolicyError> {
        let member = |field: &str| format!("providers.{name}.{field}");
        let algorithms = algorithms(raw.algorithms.as_deref(), &member("algorithms"))?;
        let locations = locations(&raw, &member)?;
        let domains = raw.domains.as_ref().map(|raw| Domains::new(raw, &member("domains")));
        let domains = domains.transpose()?;
        let issuer = raw.issuer.as_deref().unwrap_or_default();
        if raw.edge_keys.is_some() && issuer.is_empty() {
            let reason = "it is of one issuer, so `issuer` is needed";
            return Err(PolicyError::new(member("edge_keys"), reason));
        }
        if raw.status_list.is_some() && issuer.is_empty() {
            let reason = "it is of one issuer, so `issuer` is needed";
            return Err(PolicyError::new(member("status_list"), reason));
        }
        if raw.openid_discovery.is_some() && issuer.is_empty() {
            let reason = "it is the configuration of one issuer, so `issuer` is needed";
            return Err(PolicyError::new(member("openid_discovery"), reason));
        }
        domains::check_issuer(issuer, domains.as_ref())
            .map_err(|reason| PolicyError::new(member("issuer"), reason))?;
        let payload_header = payload_header(&raw, &member)?;
        let claim_headers = claim_headers(&raw.claim_to_headers, &member("claim_to_headers"))?;
        if let Some(payload) = &payload_header
            && claim_headers
                .iter()
                .any(|claim| is_copy(claim.header_name.as_bytes(), &payload.name))
        {
            let reason = format!("`{}` is one of `claim_to_headers`, too", payload.name);
            return Err(PolicyError::new(member("forward_payload_header"), reason));
        }
        Ok(Self {
            name: name.to_owned(),
            status_lists: raw
                .status_list
                .as_ref()
                .map(|raw| StatusLists::new(raw, issuer, domains.as_ref(), &member("status_list")))
                .transpose()?,
            keys: KeySource::new(&raw, issuer, &algorithms, domains.as_ref(), &member)?,
            domains,
            algorithms,
            locations,
            forward: raw.forward,
            payload_header,
            claim_headers,
            metadata: metadata_keys(&raw, &member)?,
            clear_route_cache: raw.clear_route_cache,
            max_cached_token_bytes: max_cached_token_bytes(&raw),
            claim_rules: claim_rules(raw, &member)?,
        })
    }

    /// The `iss` of its tokens, of this domain where it has domains.
    pub(crate) fn issuer(&self, domain: Option<&str>) -> Option<Cow<'_, str>> {
        let issuer = self.claim_rules.issuer.as_deref()?;
        Some(match domain {
            Some(domain) => Cow::Owned(issuer.replace(DOMAIN, domain)),
            None => Cow::Borrowed(issuer),
        })
    }

    /// The domain that a request with this decoded path is for; `None` where the provider has no
    /// domains.
    pub(crate) fn domain_of<'r>(
        &self,
        request: &Request<'r>,
        path: &'r str,
    ) -> Result<Option<Cow<'r, str>>, Denial> {
        let Some(domains) = &self.domains else { return Ok(None) };
        let values = |name: &str| request.values_of_copies(name).collect();
        let domain = domains.domain_of(request.authority, path, values);
        domain.map(Some).ok_or(Denial::DomainUnknown)
    }

    /// The domain that a token is to be of, where a host names it.
    pub(crate) fn named_domain<'d>(
        &self,
        name: Option<&'d str>,
    ) -> Result<Option<&'d str>, Denial> {
        let Some(domains) = &self.domains else { return Ok(None) };
        name.filter(|name| domains.allows(name)).map(Some).ok_or(Denial::DomainUnknown)
    }

    /// Names of all headers that this provider may set.
    pub(crate) fn identity_headers(&self) -> impl Iterator<Item = &str> {
        let claims = self.claim_headers.iter().map(|header| &*header.header_name);
        self.payload_header.iter().map(|header| &*header.name).chain(claims)
    }
}

fn claim_rules(
    raw: RawProvider,
    member: &dyn Fn(&str) -> String,
) -> Result<ClaimRules, PolicyError> {
    let skew = raw.clock_skew_seconds.unwrap_or(DEFAULT_CLOCK_SKEW_SECONDS);
    if skew > MAX_CLOCK_SKEW_SECONDS {
        let reason = format!("it may be at most {MAX_CLOCK_SKEW_SECONDS}");
        return Err(PolicyError::new(member("clock_skew_seconds"), reason));
    }
    if raw.audiences.as_ref().is_some_and(Vec::is_empty) {
        let reason = "it must not be empty; leave it out to accept any audience";
        return Err(PolicyError::new(member("audiences"), reason));
    }
    check_audiences(
        raw.audiences.as_deref().unwrap_or_default(),
        raw.domains.is_some(),
        &member("audiences"),
    )?;
    let max_lifetime = max_lifetime(&raw, member)?;
    if raw.require_expiration == Some(false) {
        let reason = "a token without `exp` never ends; if it has to be, say \
                      `dangerous_allow_missing_expiration`";
        return Err(PolicyError::new(member("require_expiration"), reason));
    }
    if raw.dangerous_allow_missing_expiration
        && (max_lifetime.is_some() || raw.require_expiration.is_some())
    {
        let reason = "`require_expiration` and `max_lifetime` say the contrary";
        return Err(PolicyError::new(member("dangerous_allow_missing_expiration"), reason));
    }
    let subjects = raw.subjects.as_ref();
    if raw.subjects.as_ref().is_some_and(|subjects| subjects.contains(DOMAIN)) {
        let reason = "`{domain}` is not replaced in it";
        return Err(PolicyError::new(member("subjects"), reason));
    }
    let subjects = subjects.map(|subjects| StringMatcher::new(subjects, &member("subjects")));
    Ok(ClaimRules {
        subjects: subjects.transpose()?,
        token_types: token_types(raw.token_types.as_deref(), &member("token_types"))?,
        issuer: issuer(raw.issuer, raw.dangerous_allow_any_issuer, &member("issuer"))?,
        audiences: raw.audiences.unwrap_or_default(),
        clock_skew: Duration::from_secs(skew.into()),
        require_expiration: !raw.dangerous_allow_missing_expiration,
        max_lifetime,
        ignore_key_binding: raw.dangerous_ignore_key_binding,
    })
}

/// An audience that no token names, for a placeholder that nothing fills, would be one that is
/// never seen to be wrong.
pub(super) fn check_audiences(
    audiences: &[String],
    has_domains: bool,
    member: &str,
) -> Result<(), PolicyError> {
    for (index, audience) in audiences.iter().enumerate() {
        let place = || format!("{member}[{index}]");
        if audience.is_empty() {
            return Err(PolicyError::new(place(), "it must not be empty"));
        }
        if audience.contains(DOMAIN) && !has_domains {
            return Err(PolicyError::new(place(), "it holds `{domain}`, so `domains` is needed"));
        }
    }
    Ok(())
}

fn issuer(issuer: Option<String>, any: bool, member: &str) -> Result<Option<String>, PolicyError> {
    match issuer {
        Some(_) if any => {
            Err(PolicyError::new(member, "`dangerous_allow_any_issuer` says the contrary"))
        }
        Some(issuer) if issuer.is_empty() => Err(PolicyError::new(member, "it must not be empty")),
        None if !any => Err(PolicyError::new(
            member,
            "it is missing; if tokens of any issuer have to pass, say `dangerous_allow_any_issuer`",
        )),
        issuer => Ok(issuer),
    }
}

fn token_types(names: Option<&[String]>, member: &str) -> Result<Vec<String>, PolicyError> {
    let Some(names) = names else { return Ok(ClaimRules::default_token_types()) };
    let is_plain =
        |name: &String| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    if names.is_empty() || !names.iter().all(is_plain) {
        let reason = "it must list media types, such as `JWT` or `at+jwt`";
        return Err(PolicyError::new(member, reason));
    }
    Ok(names.iter().map(|name| media_type(name)).collect())
}

fn max_lifetime(
    raw: &RawProvider,
    member: &dyn Fn(&str) -> String,
) -> Result<Option<Duration>, PolicyError> {
    let (second, ten_years) = (Duration::from_secs(1), Duration::from_secs(10 * 366 * 86_400));
    let within = |duration: &RawDuration| {
        let error = |reason| PolicyError::new(member("max_lifetime"), reason);
        duration.within(second..=ten_years).map_err(error)
    };
    raw.max_lifetime.as_ref().map(within).transpose()
}

fn payload_header(
    raw: &RawProvider,
    member: &dyn Fn(&str) -> String,
) -> Result<Option<PayloadHeader>, PolicyError> {
    let padded = raw.pad_forward_payload_header;
    match &raw.forward_payload_header {
        None if padded => {
            let reason = "it has no effect without `forward_payload_header`";
            Err(PolicyError::new(member("pad_forward_payload_header"), reason))
        }
        None => Ok(None),
        Some(name) => {
            let name = identity_header(name, &member("forward_payload_header"))?;
            Ok(Some(PayloadHeader { name: name.into(), padded }))
        }
    }
}

fn metadata_keys(
    raw: &RawProvider,
    member: &dyn Fn(&str) -> String,
) -> Result<MetadataKeys, PolicyError> {
    for (field, key) in [
        ("payload_in_metadata", &raw.payload_in_metadata),
        ("header_in_metadata", &raw.header_in_metadata),
        ("failed_status_in_metadata", &raw.failed_status_in_metadata),
    ] {
        if key.as_ref().is_some_and(String::is_empty) {
            return Err(PolicyError::new(member(field), "it must not be empty"));
        }
    }
    if raw.normalize_payload_in_metadata.is_some() && raw.payload_in_metadata.is_none() {
        let reason = "it has no effect without `payload_in_metadata`";
        return Err(PolicyError::new(member("normalize_payload_in_metadata"), reason));
    }
    let normalize = raw.normalize_payload_in_metadata.as_ref();
    Ok(MetadataKeys {
        payload: raw.payload_in_metadata.clone(),
        header: raw.header_in_metadata.clone(),
        failed_status: raw.failed_status_in_metadata.clone(),
        space_delimited_claims: normalize
            .map(|normalize| normalize.space_delimited_claims.clone())
            .unwrap_or_default(),
    })
}

fn max_cached_token_bytes(raw: &RawProvider) -> usize {
    let bound = raw.jwt_cache_config.as_ref().and_then(|config| config.jwt_max_token_size);
    bound.and_then(|bound| usize::try_from(bound).ok()).unwrap_or(MAX_TOKEN_BYTES)
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
        let claim_path = claim_path(
            item.claim_name.as_deref(),
            item.claim_path.as_deref(),
            ("claim_name", "claim_path"),
            &format!("{member}[{index}]"),
        )?;
        if headers.iter().any(|header| is_copy(header.header_name.as_bytes(), &header_name)) {
            let place = format!("{member}[{index}].header_name");
            return Err(PolicyError::new(place, format!("`{header_name}` is set twice")));
        }
        headers.push(ClaimHeader { header_name: header_name.into(), claim_path });
    }
    Ok(headers)
}

pub(super) fn identity_header(name: &str, member: &str) -> Result<String, PolicyError> {
    let name = header_name(name, member)?;
    if RESERVED_HEADERS.iter().any(|reserved| is_copy(name.as_bytes(), reserved)) {
        return Err(PolicyError::new(member, format!("`{name}` must not be overwritten")));
    }
    Ok(name)
}

/// A field name (RFC 9110 §5.1), in lower case.
pub(super) fn header_name(name: &str, member: &str) -> Result<String, PolicyError> {
    if name.is_empty() || !name.bytes().all(is_token_byte) {
        return Err(PolicyError::new(member, format!("`{name}` is not a header name")));
    }
    Ok(name.to_ascii_lowercase())
}

pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

//! Where a key set is fetched from: the URI that the policy names, or the one that the issuer's
//! configuration names (OpenID Connect Discovery 1.0), which is then fetched first.

use std::time::Duration;

use serde_json::Value;

use super::{
    fetch::{ConfigurationError, FetchError, Fetched},
    freshness,
    slot::CLOCK_TOLERANCE,
};
use crate::{
    json,
    policy::{Discovery, HttpUri},
};

/// Largest configuration that is read, in bytes.
const MAX_CONFIGURATION_BYTES: usize = 64 * 1024;
/// A configuration is fetched anew after a day, or what is left of its `max-age` if that is less,
const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 3_600);
/// but not sooner than this, which is also the wait before another try where the old one serves.
const SHORTEST_LIFETIME: Duration = Duration::from_secs(300);

/// Where a key set is fetched from.
#[derive(Debug)]
pub(super) enum Source {
    Named(HttpUri),
    Discovered(Box<Discovered>),
}

/// The place of a key set, as the issuer's configuration names it.
#[derive(Debug)]
pub(super) struct Discovered {
    discovery: Discovery,
    /// What the configuration has to name as its `issuer`.
    issuer: String,
    configuration: Option<Configuration>,
    /// Whether the fetch that is under way is one of the configuration.
    asking: bool,
}

#[derive(Debug)]
struct Configuration {
    jwks: HttpUri,
    etag: Option<Vec<u8>>,
    /// When it was last found to be current,
    confirmed: Duration,
    /// and when it is to be fetched anew.
    refresh: Duration,
}

/// What is next to be fetched.
pub(super) enum Step<'a> {
    Configuration { source: &'a HttpUri, etag: Option<Vec<u8>> },
    Keys(&'a HttpUri),
}

impl Source {
    pub(super) fn discovered(discovery: Discovery, issuer: String) -> Self {
        let discovered = Discovered { discovery, issuer, configuration: None, asking: false };
        Self::Discovered(Box::new(discovered))
    }

    /// What is to be fetched now. It counts as under way.
    pub(super) fn begin(&mut self, now: Duration) -> Step<'_> {
        match self {
            Self::Named(source) => Step::Keys(source),
            Self::Discovered(discovered) => discovered.begin(now),
        }
    }

    /// The configuration that is being asked for, if that is what is under way.
    pub(super) fn asking(&mut self) -> Option<&mut Discovered> {
        match self {
            Self::Discovered(discovered) if discovered.asking => Some(discovered),
            _ => None,
        }
    }

    /// The place that the configuration named has nothing any more: it may name another by now.
    pub(super) fn is_gone(&mut self) {
        if let Self::Discovered(discovered) = self
            && let Some(configuration) = &mut discovered.configuration
        {
            configuration.refresh = Duration::ZERO;
        }
    }

    /// How long one fetch may take.
    pub(super) fn timeout(&self) -> Duration {
        match self {
            Self::Named(source) => source.timeout,
            Self::Discovered(discovered) => discovered.discovery.http_uri.timeout,
        }
    }
}

impl Discovered {
    fn begin(&mut self, now: Duration) -> Step<'_> {
        let source = &self.discovery.http_uri;
        match &self.configuration {
            Some(known) if known.is_fresh(now) => {
                self.asking = false;
                Step::Keys(&known.jwks)
            }
            known => {
                self.asking = true;
                let etag = known.as_ref().and_then(|known| known.etag.clone());
                Step::Configuration { source, etag }
            }
        }
    }

    /// Takes the answer to the question for the configuration. Says whether it names a place for
    /// the keys that it did not before.
    pub(super) fn take(&mut self, fetched: Fetched<'_>, now: Duration) -> Result<bool, FetchError> {
        self.asking = false;
        match (fetched, &mut self.configuration) {
            (Fetched::Failed, _) => Err(FetchError::NoAnswer),
            (Fetched::Response { status: 304, cache_control, age, .. }, Some(known)) => {
                (known.confirmed, known.refresh) = (now, now + lifetime(cache_control, age));
                Ok(false)
            }
            (Fetched::Response { status: 200, etag, cache_control, age, body }, known) => {
                let jwks = jwks_uri(&self.discovery, &self.issuer, body)
                    .map_err(FetchError::Configuration)?;
                let moved = known.as_ref().is_none_or(|known| known.jwks != jwks);
                let refresh = now + lifetime(cache_control, age);
                let etag = etag.map(<[u8]>::to_vec);
                *known = Some(Configuration { jwks, etag, confirmed: now, refresh });
                Ok(moved)
            }
            (Fetched::Response { status, .. }, _) => Err(FetchError::Status(status)),
        }
    }

    /// Whether the last good configuration may serve where a new one could not be had; if so, it
    /// does for a while.
    pub(super) fn make_do(&mut self, now: Duration) -> bool {
        let max_stale = self.discovery.fetching.max_stale;
        let old = self.configuration.as_mut();
        let usable = old.filter(|old| now.saturating_sub(old.confirmed) <= max_stale);
        let serve = |old: &mut Configuration| {
            // Also where the clock went back: what is never fresh would be asked for without end.
            (old.confirmed, old.refresh) = (old.confirmed.min(now), now + SHORTEST_LIFETIME);
        };
        usable.map(serve).is_some()
    }
}

impl Configuration {
    fn is_fresh(&self, now: Duration) -> bool {
        now < self.refresh && self.confirmed <= now + CLOCK_TOLERANCE
    }
}

fn lifetime(cache_control: Option<&[u8]>, age: Option<&[u8]>) -> Duration {
    freshness::remaining(cache_control.and_then(freshness::max_age), age)
        .unwrap_or(LONGEST_LIFETIME)
        .clamp(SHORTEST_LIFETIME, LONGEST_LIFETIME)
}

/// The place that a configuration names for the keys of `issuer`.
fn jwks_uri(
    discovery: &Discovery,
    issuer: &str,
    document: &[u8],
) -> Result<HttpUri, ConfigurationError> {
    if document.len() > MAX_CONFIGURATION_BYTES {
        return Err(ConfigurationError::TooLarge { bytes: document.len() });
    }
    let members =
        json::parse_object(document).ok().flatten().ok_or(ConfigurationError::NotAnObject)?;
    if members.get("issuer").and_then(Value::as_str) != Some(issuer) {
        return Err(ConfigurationError::IssuerMismatch);
    }
    let uri = members.get("jwks_uri").and_then(Value::as_str).unwrap_or_default();
    let cluster = discovery.jwks_cluster.clone();
    let jwks = HttpUri::parse(uri, cluster, discovery.http_uri.timeout)
        .map_err(ConfigurationError::JwksUri)?;
    // No way down from `https`: who can change what is on the wire would choose the keys.
    if jwks.scheme != "https" && jwks.scheme != discovery.http_uri.scheme {
        return Err(ConfigurationError::JwksUri("its scheme must be `https`"));
    }
    Ok(jwks)
}

//! What the adapter is to fetch, and what came of it.

use std::fmt;

use zeroize::Zeroizing;

use crate::{
    edge::BundleError, jwk_set::JwkSetError, policy::HttpUri, status_list::StatusListError,
};

/// What a fetch of keys accepts.
pub(super) const ACCEPT_KEYS: &str = "application/jwk-set+json, application/json";

/// What a fetch of an edge's bundle accepts.
pub(super) const ACCEPT_BUNDLE: &str = "application/jose";

/// What a fetch of a status list accepts.
pub(super) const ACCEPT_LIST: &str = "application/statuslist+jwt";

/// Which key set, or which of the status lists that are checked with it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeySetId {
    /// Whose: the index counts [`crate::Policy::provider_names`].
    pub provider: usize,
    /// Which of the provider's domains, where it has several.
    pub domain: Option<Box<str>>,
    /// The URI of the status list, where it is one.
    pub status_list: Option<Box<str>>,
}

impl KeySetId {
    /// The key set of a provider, or of one of its domains.
    #[must_use]
    pub fn new(provider: usize, domain: Option<&str>) -> Self {
        Self { provider, domain: domain.map(Into::into), status_list: None }
    }
}

/// A fetch that the adapter is to make: a `GET`.
#[derive(Clone, PartialEq, Eq)]
pub struct Fetch {
    /// For which keys.
    pub key_set: KeySetId,
    /// Which one it is of this key set's, counted from 1.
    pub attempt: u64,
    /// Where from, and how long it may take.
    pub source: HttpUri,
    /// Value for `Accept`.
    pub accept: &'static str,
    /// Value for `Authorization`, where an edge has to say who it is. A secret: not for logs.
    pub authorization: Option<Zeroizing<String>>,
    /// Value for `If-None-Match`: the `ETag` of what is held.
    pub if_none_match: Option<Vec<u8>>,
    /// Whether the answer may hold secrets (`dangerous_symmetric_keys`): it must not be kept where
    /// others can read it.
    pub may_hold_secrets: bool,
    /// The longest body that is looked at, in bytes: of a longer one, one byte more will do.
    pub max_bytes: usize,
}

/// Without what says who the edge is.
impl fmt::Debug for Fetch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Fetch")
            .field("key_set", &self.key_set)
            .field("attempt", &self.attempt)
            .field("source", &self.source)
            .field("if_none_match", &self.if_none_match)
            .finish_non_exhaustive()
    }
}

impl Fetch {
    /// Whether it is for a key set: not for the configuration that says where that is, nor for a
    /// status list.
    #[must_use]
    pub fn is_for_keys(&self) -> bool {
        self.accept == ACCEPT_KEYS || self.accept == ACCEPT_BUNDLE
    }
}

/// How a fetch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetched<'a> {
    /// No answer: it timed out, or the issuer could not be reached.
    Failed,
    /// An answer of the issuer.
    Response {
        /// HTTP status code.
        status: u16,
        /// `ETag` header, if there was one.
        etag: Option<&'a [u8]>,
        /// `Cache-Control` header, if there was one; `max-age`, `no-store` and `no-cache` count.
        cache_control: Option<&'a [u8]>,
        /// `Age` header, if there was one: how long the answer has been in a cache on the way.
        age: Option<&'a [u8]>,
        /// The whole body.
        body: &'a [u8],
    },
}

/// Why a fetch brought no keys. The set that was held before stays, but for [`FetchError::Withdrawn`].
#[derive(Debug)]
#[non_exhaustive]
pub enum FetchError {
    /// There was no answer.
    NoAnswer,
    /// The answer's status is neither 200 nor, where something is held, 304.
    Status(u16),
    /// The issuer says that there are no keys any more (410). The set that was held before is gone.
    Withdrawn,
    /// The body is not a JWK Set.
    JwkSet(JwkSetError),
    /// The body is not the issuer's configuration.
    Configuration(ConfigurationError),
    /// The body is not a bundle for this edge.
    Bundle(BundleError),
    /// The body is not the status list.
    StatusList(StatusListError),
}

/// Why a document is not the configuration of an issuer (OpenID Connect Discovery 1.0 §4).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// Longer than 64 KiB.
    TooLarge {
        /// Length of the document, in bytes.
        bytes: usize,
    },
    /// Not a strict JSON object: malformed, or an object names a member twice.
    NotAnObject,
    /// Its `issuer` is missing, or is not exactly the provider's (§4.3).
    IssuerMismatch,
    /// Its `jwks_uri` is missing, or cannot be used.
    JwksUri(&'static str),
}

/// What a good fetch brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyUpdate {
    /// The set that is held is still current.
    Unchanged,
    /// The fetch had been given up since, or made anew: what it brought was not looked at.
    Ignored,
    /// The issuer's configuration says where the keys are; they are to be fetched at once.
    Discovered,
    /// A new set took the place of the old one.
    Replaced {
        /// Number of usable keys; of a status list, of the tokens that it refuses.
        keys: usize,
        /// Why other keys were left out; for the log.
        skipped: Vec<String>,
    },
}

impl fmt::Display for FetchError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer => formatter.write_str("no answer"),
            Self::Status(status) => write!(formatter, "status {status}"),
            Self::Withdrawn => formatter.write_str("status 410: there are no keys any more"),
            Self::JwkSet(error) => error.fmt(formatter),
            Self::Configuration(error) => error.fmt(formatter),
            Self::Bundle(error) => error.fmt(formatter),
            Self::StatusList(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for FetchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::JwkSet(error) => Some(error),
            Self::Configuration(error) => Some(error),
            Self::Bundle(error) => Some(error),
            Self::StatusList(error) => Some(error),
            Self::NoAnswer | Self::Status(_) | Self::Withdrawn => None,
        }
    }
}

impl fmt::Display for ConfigurationError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the configuration of the issuer ")?;
        match self {
            Self::TooLarge { bytes } => write!(formatter, "has {bytes} bytes, at most 65536"),
            Self::NotAnObject => formatter.write_str("is not a JSON object of distinct members"),
            Self::IssuerMismatch => {
                formatter.write_str("is another issuer's: its `issuer` differs")
            }
            Self::JwksUri(reason) => write!(formatter, "has a bad `jwks_uri`: {reason}"),
        }
    }
}

impl std::error::Error for ConfigurationError {}

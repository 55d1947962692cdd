//! A domain: one project, with its own issuer URL, users and signing keys.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, vault::KeySetId};

/// The first path segments that the issuer's own routes take.
const RESERVED_NAMES: [&str; 7] =
    ["login", "refresh", "status", "auth", "logout", "healthz", "readyz"];

const TOKEN_LIFETIME_SECONDS: std::ops::RangeInclusive<u64> = 10..=24 * 60 * 60;
const SESSION_LIFETIME_MAX_SECONDS: u64 = 400 * 24 * 60 * 60;
const JWKS_MAX_AGE_SECONDS: std::ops::RangeInclusive<u64> = 1..=24 * 60 * 60;
const AUDIENCE_MAX_BYTES: usize = 256;

/// The name of a domain: one DNS label in lower case, 1 to 63 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct DomainName(String);

impl DomainName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for DomainName {
    type Error = DomainError;

    fn try_from(name: String) -> Result<Self, DomainError> {
        if !is_label(&name) {
            return Err(DomainError::Name(name));
        }
        if RESERVED_NAMES.contains(&name.as_str()) {
            return Err(DomainError::Reserved(name));
        }
        Ok(Self(name))
    }
}

impl FromStr for DomainName {
    type Err = DomainError;

    fn from_str(name: &str) -> Result<Self, DomainError> {
        name.to_owned().try_into()
    }
}

/// A domain as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// Unique among all domains.
    pub name: DomainName,
    /// Where its keys are in the vault.
    pub key_set: KeySetId,
    /// What its tokens say in `aud` and how long they live.
    pub settings: DomainSettings,
    /// When it was created.
    pub created_at: Timestamp,
    /// The generation that its key set has reached at least: an older one that some cache holds is
    /// not to be used.
    pub least_generation: u64,
}

/// What an operator chooses for a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainSettings {
    /// The `aud` of its tokens: 1 to 256 bytes without control characters.
    pub audience: String,
    /// Seconds from a token's `iat` to its `exp`: 10 seconds to 24 hours.
    pub token_lifetime: u64,
    /// Seconds from a login to the end of its session: the token lifetime to 400 days.
    pub session_lifetime: u64,
    /// Seconds that caches may keep the published key set: 1 second to 24 hours.
    pub jwks_max_age: u64,
}

impl DomainSettings {
    /// The token lifetime where the operator chooses none.
    pub const TOKEN_LIFETIME: u64 = 300;
    /// The session lifetime where the operator chooses none.
    pub const SESSION_LIFETIME: u64 = 604_800;
    /// The JWKS max-age where the operator chooses none.
    pub const JWKS_MAX_AGE: u64 = 300;

    /// Checks every bound.
    ///
    /// # Errors
    ///
    /// A [`DomainError`] that names the first setting out of its bounds.
    pub fn validate(&self) -> Result<(), DomainError> {
        let session_lifetimes = self.token_lifetime..=SESSION_LIFETIME_MAX_SECONDS;
        check_audience(&self.audience)?;
        check_seconds("token lifetime", self.token_lifetime, &TOKEN_LIFETIME_SECONDS)?;
        check_seconds("session lifetime", self.session_lifetime, &session_lifetimes)?;
        check_seconds("JWKS max-age", self.jwks_max_age, &JWKS_MAX_AGE_SECONDS)
    }
}

/// Why a domain's name or settings are refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DomainError {
    /// The name is no DNS label in lower case.
    #[error(
        "invalid domain name `{0}`: use 1 to 63 of a-z, 0-9 and `-`, with no `-` at either end"
    )]
    Name(String),
    /// The name is a path of the issuer itself.
    #[error("domain name `{0}` is reserved")]
    Reserved(String),
    /// The audience is empty, too long or has control characters.
    #[error("invalid audience: use 1 to 256 bytes without control characters")]
    Audience,
    /// A time is out of its bounds.
    #[error("{setting} of `{actual}` seconds is not within {minimum} to {maximum}")]
    Seconds {
        /// What the time is for.
        setting: &'static str,
        /// What was asked for, in seconds.
        actual: u64,
        /// The least allowed, in seconds.
        minimum: u64,
        /// The most allowed, in seconds.
        maximum: u64,
    },
}

fn is_label(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let no_dash_at_ends = !name.starts_with('-') && !name.ends_with('-');
    (1..=63).contains(&name.len()) && no_dash_at_ends && name.bytes().all(allowed)
}

fn check_audience(audience: &str) -> Result<(), DomainError> {
    let length_fits = (1..=AUDIENCE_MAX_BYTES).contains(&audience.len());
    if length_fits && !audience.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(DomainError::Audience)
    }
}

fn check_seconds(
    setting: &'static str,
    actual: u64,
    bounds: &std::ops::RangeInclusive<u64>,
) -> Result<(), DomainError> {
    if bounds.contains(&actual) {
        return Ok(());
    }
    let (minimum, maximum) = (*bounds.start(), *bounds.end());
    Err(DomainError::Seconds { setting, actual, minimum, maximum })
}

#[cfg(any(test, feature = "contract"))]
impl DomainSettings {
    /// Settings for tests in which only the session's lifetime matters.
    pub(crate) fn sample(session_lifetime: u64) -> Self {
        Self {
            audience: "api".to_owned(),
            token_lifetime: 300,
            session_lifetime,
            jwks_max_age: 120,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels() {
        let longest = "a".repeat(63);
        for name in ["a", "0", "shop-1", "a--b", &longest] {
            assert!(name.parse::<DomainName>().is_ok(), "{name}");
        }
        let too_long = "a".repeat(64);
        for name in ["", "-a", "a-", "A", "a.b", "a/b", "a b", "ä", "..", &too_long] {
            assert!(matches!(name.parse::<DomainName>(), Err(DomainError::Name(_))), "{name}");
        }
    }

    #[test]
    fn the_issuers_own_paths_are_reserved() {
        for name in RESERVED_NAMES {
            assert_eq!(name.parse::<DomainName>(), Err(DomainError::Reserved(name.to_owned())));
        }
    }

    #[test]
    fn settings_are_bounded() {
        let settings = |token_lifetime, session_lifetime, jwks_max_age| DomainSettings {
            audience: "api".to_owned(),
            token_lifetime,
            session_lifetime,
            jwks_max_age,
        };
        assert_eq!(settings(10, 10, 1).validate(), Ok(()));
        assert_eq!(settings(86_400, 34_560_000, 86_400).validate(), Ok(()));
        for (token, session, max_age) in
            [(9, 100, 300), (86_401, 100_000, 300), (300, 299, 300), (300, 34_560_001, 300)]
        {
            assert!(settings(token, session, max_age).validate().is_err());
        }
        assert!(settings(300, 300, 0).validate().is_err());
        assert!(settings(300, 300, 86_401).validate().is_err());
    }

    #[test]
    fn audiences_are_printable() {
        let audience = |audience: &str| check_audience(audience);
        assert_eq!(audience("https://api.example.com"), Ok(()));
        assert_eq!(audience(""), Err(DomainError::Audience));
        assert_eq!(audience("a\nb"), Err(DomainError::Audience));
        assert_eq!(audience(&"a".repeat(257)), Err(DomainError::Audience));
    }
}

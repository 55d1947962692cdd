//! The URL that the issuer is known by.

use std::{fmt, str::FromStr};

use axum::http::Uri;

use crate::domain::DomainName;

/// An `http` or `https` URL with a host and without user, query, fragment or trailing slash.
/// A domain's issuer is this URL, a slash and the domain's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerUrl(String);

impl IssuerUrl {
    /// The `iss` of a domain's tokens.
    #[must_use]
    pub fn of_domain(&self, domain: &DomainName) -> String {
        format!("{}/{domain}", self.0)
    }

    /// The domain whose tokens have this `iss`, if it can be one of ours.
    #[must_use]
    pub fn domain_of(&self, issuer: &str) -> Option<DomainName> {
        issuer.strip_prefix(&self.0)?.strip_prefix('/')?.parse().ok()
    }
}

impl fmt::Display for IssuerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for IssuerUrl {
    type Err = IssuerUrlError;

    fn from_str(text: &str) -> Result<Self, IssuerUrlError> {
        let url = text.strip_suffix('/').unwrap_or(text);
        let uri: Uri = url.parse().map_err(|_| IssuerUrlError::NotAUrl)?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(IssuerUrlError::Scheme);
        }
        if uri.host().is_none_or(str::is_empty) {
            return Err(IssuerUrlError::NotAUrl);
        }
        // Not left to `Uri`: it drops fragments, and keeps user names.
        if url.contains(['?', '#', '@']) || url.ends_with('/') {
            return Err(IssuerUrlError::Extra);
        }
        Ok(Self(url.to_owned()))
    }
}

/// Why an issuer URL is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerUrlError {
    /// No URL with a host.
    #[error("not an absolute URL with a host")]
    NotAUrl,
    /// Neither `http` nor `https`.
    #[error("the URL must begin with `http://` or `https://`")]
    Scheme,
    /// More than an issuer identifier may have (RFC 8414, section 2).
    #[error("the URL must have no user, query, fragment or double trailing slash")]
    Extra,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_trailing_slash_is_dropped() {
        for text in ["http://127.0.0.1:8080", "http://127.0.0.1:8080/"] {
            assert_eq!(text.parse::<IssuerUrl>().unwrap().to_string(), "http://127.0.0.1:8080");
        }
        assert!("https://example.com/auth".parse::<IssuerUrl>().is_ok());
    }

    #[test]
    fn anything_more_or_less_is_refused() {
        for text in [
            "",
            "/",
            "x",
            "127.0.0.1:8080",
            "ftp://a",
            "http://",
            "http:///",
            "http://a//",
            "http://a?b",
            "http://a#b",
            "http://u@a",
            "http://a b",
        ] {
            assert!(text.parse::<IssuerUrl>().is_err(), "{text}");
        }
    }

    #[test]
    fn domains_are_found_in_issuers() {
        let url: IssuerUrl = "https://auth.example.com".parse().unwrap();
        let shop: DomainName = "shop".parse().unwrap();
        assert_eq!(url.domain_of(&url.of_domain(&shop)), Some(shop));
        for issuer in [
            "https://auth.example.com",
            "https://auth.example.com/",
            "https://auth.example.com/shop/",
            "https://auth.example.com/Shop",
            "https://auth.example.com.evil.com/shop",
            "http://auth.example.com/shop",
        ] {
            assert_eq!(url.domain_of(issuer), None, "{issuer}");
        }
    }
}

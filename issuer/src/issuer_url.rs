//! The URL that the issuer is known by.

use std::{fmt, net::Ipv6Addr, num::NonZeroU16, str::FromStr};

use crate::domain::DomainName;

/// An `http` or `https` URL with a host and without user, query, fragment or trailing slash.
/// A domain's issuer is this URL, a slash and the domain's name.
///
/// Issuers are compared byte by byte (RFC 8414, section 3.3), so there is one spelling: scheme
/// and host in lower case, and a path of plain segments that nobody decodes or normalizes.
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
        let (scheme, rest) = url.split_once("://").ok_or(IssuerUrlError::NotAUrl)?;
        if !matches!(scheme, "http" | "https") {
            return Err(IssuerUrlError::Scheme);
        }
        if rest.contains(['?', '#', '@']) {
            return Err(IssuerUrlError::Extra);
        }
        let (authority, path) = rest.split_once('/').map_or((rest, None), |(a, p)| (a, Some(p)));
        check_authority(authority)?;
        if path.is_none_or(|path| path.split('/').all(is_plain_segment)) {
            Ok(Self(url.to_owned()))
        } else {
            Err(IssuerUrlError::Path)
        }
    }
}

/// A host, and a port where there is one.
pub(crate) fn check_authority(authority: &str) -> Result<(), IssuerUrlError> {
    // An IPv6 address has colons of its own, in brackets.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if !is_host(host) {
        return Err(IssuerUrlError::Host);
    }
    if port.is_none_or(is_port) { Ok(()) } else { Err(IssuerUrlError::Port) }
}

/// A name or an address in the one spelling that nobody on the way would change.
fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok_and(|parsed| parsed.to_string() == address);
    }
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    host.split('.').all(|label| !label.is_empty() && label.bytes().all(allowed))
}

fn is_port(port: &str) -> bool {
    port.parse::<NonZeroU16>().is_ok_and(|parsed| parsed.to_string() == port)
}

/// Unreserved characters (RFC 3986, section 2.3), but no `.` and `..`.
fn is_plain_segment(segment: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    !matches!(segment, "" | "." | "..") && segment.bytes().all(allowed)
}

/// Why an issuer URL is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerUrlError {
    /// No URL.
    #[error("not an absolute URL")]
    NotAUrl,
    /// Neither `http` nor `https`.
    #[error("the URL must begin with `http://` or `https://`")]
    Scheme,
    /// The host is missing, or would be changed on the way.
    #[error("the host must be a name in lower case, or an address in its shortest form")]
    Host,
    /// Not a port.
    #[error("the port must be 1 to 65535")]
    Port,
    /// The path would be changed on the way.
    #[error("the path must be plain: of a-z, A-Z, 0-9, `-`, `.`, `_`, `~`, without empty parts")]
    Path,
    /// More than an issuer identifier may have (RFC 8414, section 2).
    #[error("the URL must have no user, query or fragment")]
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
    fn there_is_one_spelling() {
        for text in [
            "https://auth.example.com:8443/v1.0/Auth_~-",
            "http://[::1]:8080",
            "http://[::1]",
            "http://localhost:65535",
        ] {
            assert!(text.parse::<IssuerUrl>().is_ok(), "{text}");
        }
        for (text, error) in [
            ("HTTP://a", IssuerUrlError::Scheme),
            ("https:/a", IssuerUrlError::NotAUrl),
            ("https://A.example.com", IssuerUrlError::Host),
            ("https://\u{fc}.example.com", IssuerUrlError::Host),
            ("https://a..b", IssuerUrlError::Host),
            ("https://a.", IssuerUrlError::Host),
            ("https://a%2eb", IssuerUrlError::Host),
            ("https://:80", IssuerUrlError::Host),
            ("http://[::0001]", IssuerUrlError::Host),
            ("http://[::A]", IssuerUrlError::Host),
            ("http://::1", IssuerUrlError::Host),
            ("https://a:", IssuerUrlError::Port),
            ("https://a:0", IssuerUrlError::Port),
            ("https://a:080", IssuerUrlError::Port),
            ("https://a:65536", IssuerUrlError::Port),
            ("https://a:x", IssuerUrlError::Port),
            ("https://a/b/../c", IssuerUrlError::Path),
            ("https://a/.", IssuerUrlError::Path),
            ("https://a/b//c", IssuerUrlError::Path),
            ("https://a/b//", IssuerUrlError::Path),
            ("https://a/%62", IssuerUrlError::Path),
            ("https://a/\u{fc}", IssuerUrlError::Path),
            ("https://a/b;c", IssuerUrlError::Path),
        ] {
            assert_eq!(text.parse::<IssuerUrl>(), Err(error), "{text}");
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

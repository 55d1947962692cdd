//! The origin of a web page.

use std::{fmt, str::FromStr};

use crate::issuer_url::{IssuerUrlError, check_authority};

/// Where a page comes from, as browsers write it into `Origin` (RFC 6454, section 6.2): `http` or
/// `https`, a host in lower case, and a port unless it is the scheme's own.
///
/// Origins are compared byte by byte, so what no browser would write is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// The origin as it stands in a header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        if text == "null" || text.contains('*') {
            return Err(OriginError::NotOne);
        }
        let (scheme, authority) = text.split_once("://").ok_or(OriginError::Scheme)?;
        let own_port = match scheme {
            "http" => ":80",
            "https" => ":443",
            _ => return Err(OriginError::Scheme),
        };
        if authority.contains(['/', '?', '#', '@']) {
            return Err(OriginError::Extra);
        }
        if authority.ends_with(own_port) {
            return Err(OriginError::OwnPort);
        }
        check_authority(authority)?;
        Ok(Self(text.to_owned()))
    }
}

/// Why an origin is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OriginError {
    /// A wildcard, or the origin of pages that have none.
    #[error("origins are named one by one: `*` and `null` are none")]
    NotOne,
    /// Neither `http` nor `https`.
    #[error("an origin must begin with `http://` or `https://`")]
    Scheme,
    /// More than a scheme, a host and a port.
    #[error("an origin has no user, no path, no query and no slash at its end")]
    Extra,
    /// The port that browsers leave out.
    #[error("browsers leave out the scheme's own port: leave it out here, too")]
    OwnPort,
    /// Host or port.
    #[error(transparent)]
    Authority(#[from] IssuerUrlError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_browsers_write_is_an_origin() {
        for text in [
            "https://app.example.com",
            "http://localhost:3000",
            "http://127.0.0.1",
            "http://[::1]:8080",
            "http://a:443",
        ] {
            assert_eq!(text.parse::<Origin>().map(|origin| origin.to_string()), Ok(text.into()));
        }
    }

    #[test]
    fn what_no_browser_writes_is_refused() {
        for (text, error) in [
            ("*", OriginError::NotOne),
            ("https://*.example.com", OriginError::NotOne),
            ("null", OriginError::NotOne),
            ("", OriginError::Scheme),
            ("app.example.com", OriginError::Scheme),
            ("ftp://a", OriginError::Scheme),
            ("HTTPS://a", OriginError::Scheme),
            ("https://a/", OriginError::Extra),
            ("https://a/app", OriginError::Extra),
            ("https://a?b", OriginError::Extra),
            ("https://u@a", OriginError::Extra),
            ("https://a:443", OriginError::OwnPort),
            ("http://a:80", OriginError::OwnPort),
            ("https://", OriginError::Authority(IssuerUrlError::Host)),
            ("https://A", OriginError::Authority(IssuerUrlError::Host)),
            ("https://a, https://b", OriginError::Extra),
            ("https://a b", OriginError::Authority(IssuerUrlError::Host)),
            ("https://a:0", OriginError::Authority(IssuerUrlError::Port)),
        ] {
            assert_eq!(text.parse::<Origin>(), Err(error), "{text}");
        }
    }
}

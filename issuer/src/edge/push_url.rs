//! Where an edge is told that something has changed.

use std::{fmt, net::IpAddr, str::FromStr};

use axum::http::Uri;

const MAX_BYTES: usize = 2048;

/// An `https` URL without user and fragment; or an `http` one of this very machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushUrl(Uri);

impl PushUrl {
    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }
}

impl fmt::Display for PushUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for PushUrl {
    type Err = PushUrlError;

    fn from_str(text: &str) -> Result<Self, PushUrlError> {
        if text.len() > MAX_BYTES || text.contains('#') {
            return Err(PushUrlError::NotAUrl);
        }
        let uri: Uri = text.parse().map_err(|_| PushUrlError::NotAUrl)?;
        let authority = uri.authority().ok_or(PushUrlError::NotAUrl)?.as_str();
        if authority.contains('@') {
            return Err(PushUrlError::NotAUrl);
        }
        match uri.scheme_str() {
            Some("https") => Ok(Self(uri)),
            Some("http") if is_loopback(authority) => Ok(Self(uri)),
            _ => Err(PushUrlError::InClear),
        }
    }
}

/// Why a push URL is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushUrlError {
    /// No URL, or one with more than a push URL may have.
    #[error("not an absolute URL without user and fragment")]
    NotAUrl,
    /// Whoever is on the way could read and hold back what is sent.
    #[error("the URL must begin with `https://`, or with `http://` for this machine alone")]
    InClear,
}

/// Whether a host, with or without a port, is this machine.
pub(crate) fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_leaves_this_machine() {
        for url in [
            "https://worker.example.com/.well-known/postern/push",
            "https://10.0.0.1:8443/push?a=b",
            "http://127.0.0.1:8080/push",
            "http://[::1]/push",
            "http://localhost:1/",
        ] {
            assert_eq!(url.parse::<PushUrl>().map(|url| url.to_string()).as_deref(), Ok(url));
        }
        for (url, error) in [
            ("", PushUrlError::NotAUrl),
            ("/push", PushUrlError::NotAUrl),
            ("https://u:p@a/push", PushUrlError::NotAUrl),
            ("https://a/push#x", PushUrlError::NotAUrl),
            ("https://a/a b", PushUrlError::NotAUrl),
            ("http://example.com/push", PushUrlError::InClear),
            ("http://127.0.0.1.example.com/push", PushUrlError::InClear),
            ("http://localhost.example.com/push", PushUrlError::InClear),
            ("http://169.254.169.254/push", PushUrlError::InClear),
            ("ftp://127.0.0.1/push", PushUrlError::InClear),
        ] {
            assert_eq!(url.parse::<PushUrl>(), Err(error), "{url}");
        }
    }
}

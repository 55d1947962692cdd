//! What the enrolment of an edge printed.

use std::{fmt, time::Duration};

use crate::denial::Denial;

/// What an edge has from its enrolment (`postern edge enrol`): its own keys, the issuer's, and which
/// issuers it may fetch keys of. A secret.
#[derive(Clone)]
pub struct EdgeCredential {
    id: String,
    issuers: Vec<String>,
}

/// Why a document is no credential. Never quotes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialError {
    /// Such as `keys[0].d`; empty for the whole.
    pub member: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl EdgeCredential {
    /// Reads what `postern edge enrol` printed.
    ///
    /// # Errors
    ///
    /// [`CredentialError`] names the member that is missing or cannot be used.
    pub fn parse(document: &[u8]) -> Result<Self, CredentialError> {
        let _ = document;
        Err(CredentialError { member: String::new(), reason: "not yet" })
    }

    /// Whether the edge may fetch the keys of this issuer.
    #[must_use]
    pub fn covers(&self, issuer: &str) -> bool {
        self.issuers.iter().any(|covered| covered == issuer)
    }

    /// The issuers of whose news a push speaks, where it is the issuer's, for this edge, and of now.
    ///
    /// # Errors
    ///
    /// [`Denial`] where it is not.
    pub fn check_push(&self, token: &[u8], now: Duration) -> Result<Vec<String>, Denial> {
        let _ = (token, now);
        Err(Denial::SignatureInvalid)
    }
}

/// Without the keys.
impl fmt::Debug for EdgeCredential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EdgeCredential")
            .field("id", &self.id)
            .field("issuers", &self.issuers)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for CredentialError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.member.is_empty() {
            return formatter.write_str(self.reason);
        }
        write!(formatter, "{}: {}", self.member, self.reason)
    }
}

impl std::error::Error for CredentialError {}

//! Whose password is being tried, whether there is such a user or not.

use crate::{domain::DomainName, secret::sha256};

/// A username in a domain, as a login names it. Of the name only a hash is kept: it may be
/// anything, and of any length.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Account {
    pub(crate) domain: DomainName,
    name_hash: [u8; 32],
}

impl Account {
    /// The account that a login names.
    #[must_use]
    pub fn new(domain: DomainName, username: &str) -> Self {
        Self { domain, name_hash: sha256(username.as_bytes()) }
    }

    /// SHA-256 of the name.
    #[must_use]
    pub fn name_hash(&self) -> &[u8; 32] {
        &self.name_hash
    }
}

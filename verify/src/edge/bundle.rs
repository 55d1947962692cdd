//! Bundles of keys: signed by the issuer for one edge, in an order that cannot go back.

use std::fmt;

/// Why a bundle is refused. The keys that were held before stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BundleError {
    /// Not a bundle that the issuer signed for this edge and domain.
    NotOurs(&'static str),
    /// Its time is over.
    Expired,
    /// It is older than the one that is held.
    RolledBack,
    /// What it holds cannot be decrypted, or is no key set.
    Unreadable(&'static str),
}

impl fmt::Display for BundleError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOurs(reason) => write!(formatter, "the bundle is not the issuer's: {reason}"),
            Self::Expired => formatter.write_str("the bundle's time is over"),
            Self::RolledBack => {
                formatter.write_str("the bundle is older than the one that is held")
            }
            Self::Unreadable(reason) => write!(formatter, "the bundle cannot be read: {reason}"),
        }
    }
}

impl std::error::Error for BundleError {}

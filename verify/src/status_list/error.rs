//! Why a status list is refused.

use std::fmt;

use crate::denial::Denial;

/// Why a document is not the status list that was asked for. The list that was held before stays.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum StatusListError {
    /// Longer than a list may be.
    TooLarge {
        /// Length of the document, in bytes.
        bytes: usize,
    },
    /// Not a token of the issuer.
    Token(Denial),
    /// A token of the issuer, and no status list; or another one.
    NotTheList(&'static str),
    /// Its time is over.
    Expired,
    /// It is older than the one that is held.
    RolledBack,
}

impl fmt::Display for StatusListError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes } => write!(formatter, "the status list has {bytes} bytes"),
            Self::Token(denial) => write!(formatter, "the status list is refused: {denial}"),
            Self::NotTheList(reason) => write!(formatter, "not the status list: {reason}"),
            Self::Expired => formatter.write_str("the status list's time is over"),
            Self::RolledBack => formatter.write_str("the status list is older than the one held"),
        }
    }
}

impl std::error::Error for StatusListError {}

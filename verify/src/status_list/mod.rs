//! Status lists (draft-ietf-oauth-status-list-20): which tokens an issuer has revoked before their time.
//!
//! - [`mod@reference`] is what a token says of its list, and what is kept of that with the token.
//! - [`document`] is the list as the issuer signs it.
//! - [`inflate`] unpacks it, and not more than it may be.
//! - [`places`] is what is held of it: which places do not say that their token is valid.
//! - [`not_before`] is what Postern's issuer adds: from when on a domain's or a user's tokens count.

mod document;
mod error;
mod inflate;
mod not_before;
mod places;
mod reference;

pub use self::error::StatusListError;
pub(crate) use self::{
    document::{MAX_LIST_BYTES, StatusList, Terms, UnverifiedList},
    not_before::NotBefore,
    places::Places,
    reference::Reference,
};

#[cfg(test)]
mod of_the_draft;
#[cfg(test)]
pub(crate) mod signing;

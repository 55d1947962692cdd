//! An enrolled edge: who it is to the issuer, and the bundles of keys that the issuer makes for it.
//!
//! - [`credential`] is what the enrolment printed: the edge's keys, and the issuer's.
//! - [`credentials`] reads several of them.
//! - [`private_key`] reads the edge's keys.
//! - [`enrolment`] is the edge before one issuer: it says who asks, and takes what is answered.
//! - [`bundle`] is what the issuer signs for one edge: a key set, encrypted, with a sequence number.
//! - [`jwe`] decrypts it, with what [`key_agreement`] derives.

mod bundle;
mod credential;
mod credentials;
mod enrolment;
mod jwe;
mod key_agreement;
mod private_key;

pub use self::{
    bundle::BundleError,
    credential::{CredentialError, EdgeCredential},
};
pub(crate) use self::{bundle::MAX_BUNDLE_BYTES, enrolment::Enrolment};

#[cfg(test)]
pub(crate) mod forged;
#[cfg(test)]
mod tests;

//! An enrolled edge: who it is to the issuer, and the bundles of keys that the issuer makes for it.
//!
//! - [`credential`] is what the enrolment printed: the edge's keys, and the issuer's.
//! - [`bundle`] is what the issuer signs for one edge: a key set, encrypted, with a sequence number.

mod bundle;
mod credential;
mod credentials;

pub use self::{
    bundle::BundleError,
    credential::{CredentialError, EdgeCredential},
};

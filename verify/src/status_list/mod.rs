//! Status lists (draft-ietf-oauth-status-list): which tokens an issuer has revoked before their time.

mod error;

pub use self::error::StatusListError;

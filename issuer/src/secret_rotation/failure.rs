//! Why a rotation stops.

use crate::{
    clock::Timestamp,
    domain::DomainName,
    key_set::{RotationError, Unpromotable},
    store::StoreError,
};

/// Why a step of a rotation is refused or fails. The texts end up in the function's log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotationFailure {
    /// There is no such secret.
    #[error("unknown secret `{0}`")]
    UnknownSecret(String),
    /// The secret's name does not begin with the prefix, or goes on with what names no domain.
    #[error("secret `{0}` is not one of a domain")]
    ForeignSecret(String),
    /// The store knows no domain whose keys are in the secret.
    #[error("unknown domain `{0}`")]
    UnknownDomain(DomainName),
    /// Rotation is not turned on for the secret.
    #[error("secret `{0}` is not enabled for rotation")]
    Disabled(String),
    /// The secret has no version of that id, or none that is labelled.
    #[error("secret `{0}` has no such version")]
    UnknownVersion(String),
    /// The version is neither the pending nor the current one.
    #[error("the version of secret `{0}` is not the pending one")]
    WrongVersion(String),
    /// The secret, or the pending version, has no value yet.
    #[error("secret `{secret}` has no {version} value yet")]
    NoValue {
        /// The name of the secret.
        secret: String,
        /// Which version.
        version: &'static str,
    },
    /// The pending key set does not follow on the current one. The rotation is over.
    #[error("the pending key set is refused: {0}")]
    Misfit(&'static str),
    /// It was prepared too long ago. The rotation is over.
    #[error("the pending key set had to be promoted until {until}: the rotation has to start anew")]
    Late {
        /// The last moment.
        until: Timestamp,
    },
    /// A cache may still hold a key set without the key that is to sign.
    #[error("the next key is not known everywhere yet: wait `{seconds_left}` seconds")]
    TooSoon {
        /// Seconds until the last such cache has run out.
        seconds_left: u64,
    },
    /// A new key set cannot be made.
    #[error(transparent)]
    Rotation(#[from] RotationError),
    /// Secrets Manager or the store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RotationFailure {
    /// Whether the pending version can never be promoted.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Misfit(_) | Self::Late { .. } | Self::Store(StoreError::Conflict))
    }
}

impl From<Unpromotable> for RotationFailure {
    fn from(reason: Unpromotable) -> Self {
        match reason {
            Unpromotable::Misfit(text) => Self::Misfit(text),
            Unpromotable::Late { until } => Self::Late { until },
            Unpromotable::TooSoon { seconds_left } => Self::TooSoon { seconds_left },
        }
    }
}

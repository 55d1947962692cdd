//! Bundles of keys: signed by the issuer for one edge, in an order that cannot go back.

use std::{fmt, time::Duration};

use zeroize::Zeroizing;

use super::{credential::EdgeCredential, jwe::Jwe};
use crate::{
    claims::ClaimRules, denial::Denial, jwk_set::MAX_JWK_SET_BYTES, signature::SignatureVerifier,
    token::UnverifiedToken,
};

/// Largest bundle that is read, in bytes: the largest key set, which becomes longer by a third when
/// it is encrypted, and once more when that is signed.
pub(crate) const MAX_BUNDLE_BYTES: usize = 2 * MAX_JWK_SET_BYTES;

const BUNDLE_TYPE: &str = "postern-bundle+jwt";
const CONTENT_TYPE: &str = "jwk-set+json";

/// A bundle that is the issuer's, for this edge, and not of the past.
pub(super) struct Bundle {
    /// The generation of the key set.
    pub(super) sequence: u64,
    /// From when on it is not to be used.
    pub(super) end: Duration,
    /// A JWK Set. Where there are symmetric keys, a secret.
    pub(super) document: Zeroizing<Vec<u8>>,
}

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

impl Bundle {
    /// Opens what claims to be a bundle of this issuer, whose clock may differ by `clock_skew`.
    pub(super) fn open(
        text: &[u8],
        credential: &EdgeCredential,
        issuer: &str,
        clock_skew: Duration,
        signatures: &dyn SignatureVerifier,
        now: Duration,
    ) -> Result<Self, BundleError> {
        let mut rules = ClaimRules::new(issuer);
        rules.audiences = vec![credential.id().to_owned()];
        rules.clock_skew = clock_skew;
        rules.token_types = vec![BUNDLE_TYPE.to_owned()];
        let bundle = UnverifiedToken::parse(text, MAX_BUNDLE_BYTES).map_err(refusal)?;
        if bundle.key_id().is_none() {
            return Err(BundleError::NotOurs("it names no key"));
        }
        let bundle = bundle.verify_by(signatures, credential.issuer_keys()).map_err(refusal)?;
        let bundle = bundle.check(&rules, now).map_err(refusal)?;
        let claims = bundle.claims();
        let sequence = claims.value(&["seq"]).and_then(serde_json::Value::as_u64);
        let sequence = sequence.ok_or(BundleError::NotOurs("its `seq` is missing"))?;
        let end = claims.ends(&rules).ok_or(BundleError::NotOurs("its `exp` is missing"))?;
        let encrypted = claims.string("jwks").ok_or(BundleError::NotOurs("its `jwks` is missing"));
        let document = decrypt(encrypted?, credential).map_err(BundleError::Unreadable)?;
        Ok(Self { sequence, end, document })
    }
}

fn decrypt(text: &str, credential: &EdgeCredential) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let encrypted = Jwe::parse(text)?;
    let key = credential.receiving_key();
    if encrypted.key_id.as_deref() != Some(key.id.as_str()) {
        return Err("it is encrypted for another key");
    }
    if encrypted.content_type.as_deref() != Some(CONTENT_TYPE) {
        return Err("its `cty` is not `jwk-set+json`");
    }
    encrypted.decrypt(&key.key)
}

/// The codes of tokens tell what is wrong with a bundle, too.
fn refusal(denial: Denial) -> BundleError {
    match denial {
        Denial::TokenExpired { .. } => BundleError::Expired,
        denial => BundleError::NotOurs(denial.code()),
    }
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

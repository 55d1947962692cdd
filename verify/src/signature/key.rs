//! Keys that check signatures of one algorithm each.

use std::fmt;

#[cfg(feature = "es256k")]
use jwt_compact::alg::Es256k;
use jwt_compact::{
    AlgorithmSignature,
    alg::{Ed25519, Hs256, Hs256Key, Hs384, Hs384Key, Hs512, Hs512Key, Rsa, RsaPublicKey},
};
use serde_json::{Map, Value};

use super::{
    SignatureVerifier,
    curves::{ES256, ES384, ES512},
};
use crate::algorithm::Algorithm;

type VerifyingKeyOf<A> = <A as jwt_compact::Algorithm>::VerifyingKey;
pub(crate) type P256Key = p256::ecdsa::VerifyingKey;
pub(crate) type P384Key = p384::ecdsa::VerifyingKey;
pub(crate) type P521Key = p521::ecdsa::VerifyingKey;
#[cfg(feature = "es256k")]
pub(crate) type Secp256k1Key = VerifyingKeyOf<Es256k>;
pub(crate) type Ed25519Key = VerifyingKeyOf<Ed25519>;

/// A key that checks signatures of the one algorithm that it names.
#[derive(Clone)]
pub(crate) enum VerifyingKey {
    /// A shared secret. It is never shown to the host.
    Secret(Secret),
    /// A public key, for the core and for the host.
    Public(Box<(PublicKey, Native)>),
}

/// The secret of an HMAC. The variant is the algorithm, so none can be asked for another.
#[derive(Clone)]
pub(crate) enum Secret {
    Hs256(Hs256Key),
    Hs384(Hs384Key),
    Hs512(Hs512Key),
}

/// A public key in the form that the core's own code wants.
#[derive(Clone)]
pub(crate) enum Native {
    Rsa(RsaKey),
    P256(P256Key),
    P384(P384Key),
    P521(P521Key),
    #[cfg(feature = "es256k")]
    Secp256k1(Secp256k1Key),
    Ed25519(Ed25519Key),
}

/// An RSA key for one algorithm.
#[derive(Clone)]
pub(crate) struct RsaKey {
    pub(crate) algorithm: Rsa,
    pub(crate) key: RsaPublicKey,
    /// Big-endian, without leading zeros.
    pub(crate) modulus: Vec<u8>,
}

/// A public key as a [`SignatureVerifier`] sees it. It has passed every check of a JWK Set: a
/// host need not judge it again.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    pub(crate) algorithm: Algorithm,
    pub(crate) members: Map<String, Value>,
}

impl PublicKey {
    /// The one algorithm that the key is for.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The members of the JWK that make up the key (RFC 7638 §3.2), for example `kty`, `crv`, `x`
    /// and `y`.
    #[must_use]
    pub fn jwk(&self) -> &Map<String, Value> {
        &self.members
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PublicKey({})", self.algorithm)
    }
}

impl VerifyingKey {
    pub(crate) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Secret(Secret::Hs256(_)) => Algorithm::Hs256,
            Self::Secret(Secret::Hs384(_)) => Algorithm::Hs384,
            Self::Secret(Secret::Hs512(_)) => Algorithm::Hs512,
            Self::Public(key) => key.0.algorithm,
        }
    }

    /// Whether `signature` is this key's signature of `message`. Total: a signature of the
    /// wrong length or shape is simply not one.
    pub(crate) fn verify(
        &self,
        host: &dyn SignatureVerifier,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        match self {
            Self::Secret(Secret::Hs256(key)) => check(&Hs256, key, message, signature),
            Self::Secret(Secret::Hs384(key)) => check(&Hs384, key, message, signature),
            Self::Secret(Secret::Hs512(key)) => check(&Hs512, key, message, signature),
            Self::Public(key) => host
                .verify(&key.0, message, signature)
                .unwrap_or_else(|| key.1.verify(message, signature)),
        }
    }
}

impl Native {
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rsa(key) => key.verify(message, signature),
            Self::P256(key) => check(&ES256, key, message, signature),
            Self::P384(key) => check(&ES384, key, message, signature),
            Self::P521(key) => check(&ES512, key, message, signature),
            #[cfg(feature = "es256k")]
            Self::Secp256k1(key) => check(&<Es256k>::default(), key, message, signature),
            Self::Ed25519(key) => check(&Ed25519, key, message, signature),
        }
    }
}

impl RsaKey {
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        // RFC 8017 §8.1.2, §8.2.2. For PSS the `rsa` crate does not look whether the signature is
        // below the modulus; with the modulus added it would be a second spelling of the same.
        let in_range = signature.len() == self.modulus.len() && signature < self.modulus.as_slice();
        in_range && check(&self.algorithm, &self.key, message, signature)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "VerifyingKey({}, [redacted])", self.algorithm())
    }
}

fn check<A: jwt_compact::Algorithm>(
    algorithm: &A,
    key: &A::VerifyingKey,
    message: &[u8],
    signature: &[u8],
) -> bool {
    // `try_from_slice` may take the length for granted where the algorithm fixes one.
    let length_fits = A::Signature::LENGTH.is_none_or(|length| length.get() == signature.len());
    length_fits
        && A::Signature::try_from_slice(signature)
            .is_ok_and(|signature| algorithm.verify_signature(&signature, key, message))
}

//! The signature algorithms, and keys that can do exactly one of them.

use std::fmt;

use jwt_compact::{
    AlgorithmSignature,
    alg::{Ed25519, Es256, Hs256, Hs256Key, Rsa, RsaPublicKey},
};

/// A JWS signature algorithm (RFC 7518 §3.1, RFC 8037 §3.1) that Postern can check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// HMAC with SHA-256 and a shared secret.
    Hs256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// EdDSA on Curve25519. Its RFC 9864 name `Ed25519` names the same algorithm.
    EdDsa,
}

impl Algorithm {
    /// Looks up the registered `alg` name, which is case-sensitive (RFC 7515 §4.1.1).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "HS256" => Some(Self::Hs256),
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }

    /// The registered `alg` name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

type VerifyingKeyOf<A> = <A as jwt_compact::Algorithm>::VerifyingKey;
pub(crate) type Ed25519Key = VerifyingKeyOf<Ed25519>;

/// A key that checks signatures of the one algorithm that it names.
///
/// The variant is the algorithm, so there is no way to ask an RSA key for an HMAC.
#[derive(Clone)]
pub(crate) enum VerifyingKey {
    Hs256(Hs256Key),
    Rs256(Box<RsaPublicKey>),
    Es256(Box<VerifyingKeyOf<Es256>>),
    EdDsa(Ed25519Key),
}

impl VerifyingKey {
    pub(crate) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Hs256(_) => Algorithm::Hs256,
            Self::Rs256(_) => Algorithm::Rs256,
            Self::Es256(_) => Algorithm::Es256,
            Self::EdDsa(_) => Algorithm::EdDsa,
        }
    }

    /// Whether `signature` is this key's signature of `message`. Total: a signature of the
    /// wrong length or shape is simply not one.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Hs256(key) => check(&Hs256, key, message, signature),
            Self::Rs256(key) => check(&Rsa::rs256(), key, message, signature),
            Self::Es256(key) => check(&Es256, key, message, signature),
            Self::EdDsa(key) => check(&Ed25519, key, message, signature),
        }
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

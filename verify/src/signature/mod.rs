//! Checking signatures: the core's own code, and the port through which a host offers its own.

mod contract;
mod curves;
mod key;

#[cfg(feature = "es256k")]
pub(crate) use self::key::Secp256k1Key;
pub(crate) use self::key::{
    Ed25519Key, Native, P256Key, P384Key, P521Key, RsaKey, Secret, VerifyingKey,
};
pub use self::{
    contract::{check_signature_algorithm, check_signature_verifier},
    key::PublicKey,
};

/// The port to a host's own cryptography, which is often many times faster than Wasm.
///
/// It is synchronous, and it never sees a shared secret: HMACs are computed by the core.
/// [`check_signature_verifier`] holds an implementation to this contract.
pub trait SignatureVerifier {
    /// Whether `signature`, in the form that JWS gives it (RFC 7518 §3), is `key`'s signature of
    /// `message` by the key's one algorithm; `None` where the host does not check this algorithm,
    /// which leaves the answer to the core. A host that fails must say `None` or `false`.
    ///
    /// ECDSA's form is `r` and `s` of the curve's length, never DER; `s` may be high or low, as
    /// JOSE has no rule for it.
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Option<bool>;
}

/// No host cryptography: the core checks every signature itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct CoreSignatures;

impl SignatureVerifier for CoreSignatures {
    fn verify(&self, _key: &PublicKey, _message: &[u8], _signature: &[u8]) -> Option<bool> {
        None
    }
}

#[cfg(test)]
mod wycheproof;

//! RS256 signing on ring.
//!
//! The `rsa` crate, which jwt-compact would use, leaks private-key bits through timing
//! (RUSTSEC-2023-0071); ring's private-key operations take constant time. Keys are still
//! generated with `rsa`, offline, where there is nobody to measure.

use std::borrow::Cow;

use jwt_compact::{Algorithm, AlgorithmSignature};
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey},
};

/// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518, section 3.3).
pub(crate) struct Rs256;

/// An RSA signature. Empty when signing failed, which no verifier accepts.
pub(crate) struct Rs256Signature(Vec<u8>);

impl AlgorithmSignature for Rs256Signature {
    fn try_from_slice(slice: &[u8]) -> Result<Self, anyhow::Error> {
        Ok(Self(slice.to_vec()))
    }

    fn as_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.0)
    }
}

impl Algorithm for Rs256 {
    type SigningKey = RsaKeyPair;
    type VerifyingKey = UnparsedPublicKey<Vec<u8>>;
    type Signature = Rs256Signature;

    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("RS256")
    }

    fn sign(&self, signing_key: &RsaKeyPair, message: &[u8]) -> Rs256Signature {
        let mut signature = vec![0; signing_key.public().modulus_len()];
        let random = SystemRandom::new();
        match signing_key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature) {
            Ok(()) => Rs256Signature(signature),
            Err(_) => Rs256Signature(Vec::new()),
        }
    }

    fn verify_signature(
        &self,
        signature: &Rs256Signature,
        verifying_key: &UnparsedPublicKey<Vec<u8>>,
        message: &[u8],
    ) -> bool {
        verifying_key.verify(message, &signature.0).is_ok()
    }
}

//! ES384 and ES512 (RFC 7518 §3.4), which `jwt-compact` leaves to others, over the curves of
//! the `p384` and `p521` crates. The core only verifies: there is no value of their signing key's type.

use std::{borrow::Cow, convert::Infallible, num::NonZeroUsize};

use jwt_compact::{Algorithm, AlgorithmSignature};
use p384::ecdsa::signature::{SignatureEncoding, Verifier};

/// ECDSA on P-384 with SHA-384.
pub(super) struct Es384;

/// ECDSA on P-521 with SHA-512.
pub(super) struct Es512;

/// `R` and `S` as `N` bytes, one behind the other.
pub(super) struct FixedSignature<S, const N: usize>(S);

impl<S, const N: usize> AlgorithmSignature for FixedSignature<S, N>
where
    S: SignatureEncoding,
{
    const LENGTH: Option<NonZeroUsize> = NonZeroUsize::new(N);

    fn try_from_slice(slice: &[u8]) -> anyhow::Result<Self> {
        S::try_from(slice).map(Self).map_err(|_| anyhow::anyhow!("not an ECDSA signature"))
    }

    fn as_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.0.to_vec())
    }
}

impl Algorithm for Es384 {
    type SigningKey = Infallible;
    type VerifyingKey = p384::ecdsa::VerifyingKey;
    type Signature = FixedSignature<p384::ecdsa::Signature, 96>;

    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("ES384")
    }

    fn sign(&self, signing_key: &Infallible, _message: &[u8]) -> Self::Signature {
        match *signing_key {}
    }

    fn verify_signature(
        &self,
        signature: &Self::Signature,
        verifying_key: &Self::VerifyingKey,
        message: &[u8],
    ) -> bool {
        verifying_key.verify(message, &signature.0).is_ok()
    }
}

impl Algorithm for Es512 {
    type SigningKey = Infallible;
    type VerifyingKey = p521::ecdsa::VerifyingKey;
    type Signature = FixedSignature<p521::ecdsa::Signature, 132>;

    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("ES512")
    }

    fn sign(&self, signing_key: &Infallible, _message: &[u8]) -> Self::Signature {
        match *signing_key {}
    }

    fn verify_signature(
        &self,
        signature: &Self::Signature,
        verifying_key: &Self::VerifyingKey,
        message: &[u8],
    ) -> bool {
        verifying_key.verify(message, &signature.0).is_ok()
    }
}

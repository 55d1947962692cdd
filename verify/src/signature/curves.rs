//! ES384 and ES512 (RFC 7518 §3.4), which `jwt-compact` leaves to others, over the curves of
//! the `p384` and `p521` crates.

use std::{borrow::Cow, convert::Infallible, marker::PhantomData, num::NonZeroUsize};

use jwt_compact::{Algorithm, AlgorithmSignature};
use p384::ecdsa::signature::{SignatureEncoding, Verifier};

/// ECDSA on P-384 with SHA-384.
pub(super) const ES384: Ecdsa<p384::ecdsa::VerifyingKey, p384::ecdsa::Signature, 96> =
    Ecdsa { name: "ES384", key: PhantomData };

/// ECDSA on P-521 with SHA-512.
pub(super) const ES512: Ecdsa<p521::ecdsa::VerifyingKey, p521::ecdsa::Signature, 132> =
    Ecdsa { name: "ES512", key: PhantomData };

/// ECDSA with the hash that belongs to the curve of the key `K`.
pub(super) struct Ecdsa<K, S, const N: usize> {
    name: &'static str,
    key: PhantomData<fn() -> (K, S)>,
}

/// `R` and `S` as `N` bytes, one behind the other.
pub(super) struct FixedSignature<S, const N: usize>(S);

impl<S: SignatureEncoding, const N: usize> AlgorithmSignature for FixedSignature<S, N> {
    const LENGTH: Option<NonZeroUsize> = NonZeroUsize::new(N);

    fn try_from_slice(slice: &[u8]) -> anyhow::Result<Self> {
        S::try_from(slice).map(Self).map_err(|_| anyhow::anyhow!("not an ECDSA signature"))
    }

    fn as_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.0.to_bytes().as_ref().to_vec())
    }
}

impl<K, S, const N: usize> Algorithm for Ecdsa<K, S, N>
where
    K: Verifier<S>,
    S: SignatureEncoding,
{
    /// The core only verifies: there is no value of this type.
    type SigningKey = Infallible;
    type VerifyingKey = K;
    type Signature = FixedSignature<S, N>;

    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(self.name)
    }

    fn sign(&self, signing_key: &Infallible, _message: &[u8]) -> Self::Signature {
        match *signing_key {}
    }

    fn verify_signature(&self, signature: &Self::Signature, key: &K, message: &[u8]) -> bool {
        key.verify(message, &signature.0).is_ok()
    }
}

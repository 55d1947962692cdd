//! ECDSA with SHA-2 (RFC 7518 §3.4) over the curves of the `p256`, `p384` and `p521` crates.
//! `jwt-compact` has ES256 of its own, over an older `p256`: a second stack, and slower in Wasm.

use std::{borrow::Cow, convert::Infallible, marker::PhantomData, num::NonZeroUsize};

use jwt_compact::{Algorithm, AlgorithmSignature};
use p256::ecdsa::signature::{SignatureEncoding, hazmat::PrehashVerifier};
use sha2::{Digest, Sha256, Sha384, Sha512};

/// ECDSA on P-256 with SHA-256.
pub(super) const ES256: Ecdsa<p256::ecdsa::VerifyingKey, p256::ecdsa::Signature, Sha256, 64> =
    Ecdsa::new("ES256");

/// ECDSA on P-384 with SHA-384.
pub(super) const ES384: Ecdsa<p384::ecdsa::VerifyingKey, p384::ecdsa::Signature, Sha384, 96> =
    Ecdsa::new("ES384");

/// ECDSA on P-521 with SHA-512.
pub(super) const ES512: Ecdsa<p521::ecdsa::VerifyingKey, p521::ecdsa::Signature, Sha512, 132> =
    Ecdsa::new("ES512");

/// ECDSA with keys `K`, signatures `S` of `N` bytes and the hash `H`.
///
/// The hash is that of the other algorithms. Each of the keys' crates has it, too, in a version
/// that nothing else here needs: a second copy of SHA-2.
pub(super) struct Ecdsa<K, S, H, const N: usize> {
    name: &'static str,
    key: PhantomData<fn() -> K>,
    signature: PhantomData<fn() -> S>,
    hash: PhantomData<fn() -> H>,
}

impl<K, S, H, const N: usize> Ecdsa<K, S, H, N> {
    const fn new(name: &'static str) -> Self {
        Self { name, key: PhantomData, signature: PhantomData, hash: PhantomData }
    }
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

impl<K, S, H, const N: usize> Algorithm for Ecdsa<K, S, H, N>
where
    K: PrehashVerifier<S>,
    S: SignatureEncoding,
    H: Digest,
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
        key.verify_prehash(&H::digest(message), &signature.0).is_ok()
    }
}

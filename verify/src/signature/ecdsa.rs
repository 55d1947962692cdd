//! ECDSA on the NIST curves, each with its hash (RFC 7518 §3.4).
//!
//! P-256, the curve of most tokens, comes from `crrl`: there a check takes a quarter of the time
//! that it takes in the `p256` crate, natively and in Wasm. A test holds the two to each other.

use crrl::p256;
use p384::ecdsa::signature::hazmat::PrehashVerifier;
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::algorithm::Algorithm;

/// A public key: a point on the curve that belongs to the algorithm, and not the one at infinity.
#[derive(Clone)]
pub(crate) enum EcKey {
    P256(p256::PublicKey),
    P384(p384::ecdsa::VerifyingKey),
    P521(p521::ecdsa::VerifyingKey),
}

impl EcKey {
    /// A key of an uncompressed point (SEC 1 §2.3.3); `None` where the point is not on the curve
    /// or `algorithm` is not ECDSA on a NIST curve.
    pub(crate) fn new(algorithm: Algorithm, point: &[u8]) -> Option<Self> {
        match algorithm {
            Algorithm::Es256 => p256::PublicKey::decode(point).map(Self::P256),
            Algorithm::Es384 => {
                p384::ecdsa::VerifyingKey::from_sec1_bytes(point).ok().map(Self::P384)
            }
            Algorithm::Es512 => {
                p521::ecdsa::VerifyingKey::from_sec1_bytes(point).ok().map(Self::P521)
            }
            _ => None,
        }
    }

    /// Whether `signature`, `R` and `S` one behind the other, is one of `message`.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            // `crrl` takes other lengths too.
            Self::P256(key) => {
                signature.len() == 64 && key.verify_hash(signature, &Sha256::digest(message))
            }
            Self::P384(key) => p384::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|it| key.verify_prehash(&Sha384::digest(message), &it).is_ok()),
            Self::P521(key) => p521::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|it| key.verify_prehash(&Sha512::digest(message), &it).is_ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use jwt_compact::{
        Algorithm as _, AlgorithmSignature,
        alg::{Es256, SigningKey},
    };

    use super::*;

    type P256SigningKey = <Es256 as jwt_compact::Algorithm>::SigningKey;

    /// The ends of the range that `R` and `S` are in, and the field's, big-endian.
    fn corner_numbers() -> Vec<[u8; 32]> {
        let number = |high: u128, low: u128| -> [u8; 32] {
            [high.to_be_bytes(), low.to_be_bytes()].concat().try_into().unwrap()
        };
        let order = number(
            0xffff_ffff_0000_0000_ffff_ffff_ffff_ffff,
            0xbce6_faad_a717_9e84_f3b9_cac2_fc63_2551,
        );
        let field = number(
            0xffff_ffff_0000_0001_0000_0000_0000_0000,
            0x0000_0000_ffff_ffff_ffff_ffff_ffff_ffff,
        );
        let near = |number: [u8; 32], step: i8| {
            let mut near = number;
            near[31] = near[31].wrapping_add_signed(step);
            near
        };
        let one = number(0, 1);
        vec![
            [0; 32],
            one,
            near(order, -1),
            order,
            near(order, 1),
            near(field, -1),
            field,
            [0xff; 32],
        ]
    }

    /// Both crates' answers to one question; they have to be the same.
    fn verdict(key: &P256SigningKey, message: &[u8], signature: &[u8; 64]) -> bool {
        let public = key.verifying_key();
        let point = public.to_encoded_point(false);
        let ours = EcKey::new(Algorithm::Es256, point.as_bytes()).unwrap();
        let ours = ours.verify(message, signature);
        let theirs = <Es256 as jwt_compact::Algorithm>::Signature::try_from_slice(signature)
            .is_ok_and(|it| Es256.verify_signature(&it, public, message));
        assert_eq!(ours, theirs, "{key:?} {message:?} {signature:?}");
        ours
    }

    #[test]
    fn the_two_implementations_of_p256_agree() {
        let mut accepted = 0;
        for seed in 1..=40_u8 {
            let scalar: [u8; 32] = if seed % 8 == 0 {
                let mut small = [0; 32];
                small[31] = seed / 8;
                small
            } else {
                Sha256::digest([seed]).into()
            };
            let key = <P256SigningKey as SigningKey<Es256>>::from_slice(&scalar).unwrap();
            let message = vec![seed; usize::from(seed) * 7];
            let signature: [u8; 64] = Es256.sign(&key, &message).as_bytes()[..].try_into().unwrap();
            accepted += usize::from(verdict(&key, &message, &signature));
            accepted += usize::from(verdict(&key, b"another", &signature));
            for place in [0, 31, 32, 63, usize::from(seed)] {
                let mut changed = signature;
                changed[place] ^= 1 << (seed % 8);
                accepted += usize::from(verdict(&key, &message, &changed));
            }
        }
        assert_eq!(accepted, 40);
    }

    #[test]
    fn the_two_implementations_of_p256_agree_in_the_corners() {
        let key = <P256SigningKey as SigningKey<Es256>>::from_slice(&[7; 32]).unwrap();
        let signature: [u8; 64] = Es256.sign(&key, b"message").as_bytes()[..].try_into().unwrap();
        for number in corner_numbers() {
            for (r, s) in [(&number[..], &signature[32..]), (&signature[..32], &number[..])] {
                let changed = [r, s].concat().try_into().unwrap();
                assert!(!verdict(&key, b"message", &changed));
            }
            for other in corner_numbers() {
                assert!(!verdict(&key, b"message", &[number, other].concat().try_into().unwrap()));
            }
        }
    }

    #[test]
    fn a_point_is_on_its_curve_and_uncompressed() {
        let key = <P256SigningKey as SigningKey<Es256>>::from_slice(&[7; 32]).unwrap();
        let point = key.verifying_key().to_encoded_point(false);
        let good = point.as_bytes();
        assert!(EcKey::new(Algorithm::Es256, good).is_some());
        let mut off = good.to_vec();
        off[64] ^= 1;
        for bad in [&off[..], &[0], &[], &good[1..], &[good, &[0]].concat()] {
            assert!(EcKey::new(Algorithm::Es256, bad).is_none(), "{bad:?}");
        }
        for other in [Algorithm::Es384, Algorithm::Es512, Algorithm::Rs256] {
            assert!(EcKey::new(other, good).is_none());
        }
    }
}

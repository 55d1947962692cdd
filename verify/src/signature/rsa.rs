//! RSA signatures (RFC 8017 §8), of which the core only checks.
//!
//! A check raises a public number to a public exponent, so it needs neither randomness nor
//! constant time, and its encodings fit on a page. Crates that can also decrypt and sign bring a
//! random generator into the module, and take three to five times as long for the same answer.

use crypto_bigint::{
    BoxedUint, Odd,
    modular::{BoxedMontyForm, BoxedMontyParams},
};
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::algorithm::Algorithm;

/// Largest public exponent, as other implementations have it. The exponent is the issuer's, but a
/// long one would make each check slow.
const MAX_EXPONENT_BITS: usize = 33;

/// DER of a `DigestInfo` up to the digest (RFC 8017 §9.2, note 1).
const SHA256_INFO: [u8; 19] = digest_info(1, 32);
const SHA384_INFO: [u8; 19] = digest_info(2, 48);
const SHA512_INFO: [u8; 19] = digest_info(3, 64);

/// A public key for one of the six RSA algorithms.
#[derive(Clone)]
pub(crate) struct RsaKey {
    encoding: Encoding,
    hash: Hash,
    modulus: BoxedMontyParams,
    modulus_bits: usize,
    exponent: u64,
}

#[derive(Clone, Copy)]
enum Encoding {
    /// RSASSA-PKCS1-v1_5.
    Pkcs1,
    /// RSASSA-PSS, with MGF1 and a salt as long as the hash (RFC 7518 §3.5).
    Pss,
}

#[derive(Clone, Copy)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl RsaKey {
    /// A key of big-endian `modulus` and `exponent`; `None` where these are no RSA key or
    /// `algorithm` is not RSA's.
    pub(crate) fn new(algorithm: Algorithm, modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let (encoding, hash) = match algorithm {
            Algorithm::Rs256 => (Encoding::Pkcs1, Hash::Sha256),
            Algorithm::Rs384 => (Encoding::Pkcs1, Hash::Sha384),
            Algorithm::Rs512 => (Encoding::Pkcs1, Hash::Sha512),
            Algorithm::Ps256 => (Encoding::Pss, Hash::Sha256),
            Algorithm::Ps384 => (Encoding::Pss, Hash::Sha384),
            Algorithm::Ps512 => (Encoding::Pss, Hash::Sha512),
            _ => return None,
        };
        let (modulus, exponent) = (without_zeros(modulus), without_zeros(exponent));
        let exponent = exponent.iter().try_fold(0_u64, |value, byte| {
            Some(value.checked_mul(256)? + u64::from(*byte)).filter(|v| v >> MAX_EXPONENT_BITS == 0)
        })?;
        let modulus_bits = modulus.len() * 8 - modulus.first()?.leading_zeros() as usize;
        let modulus = Odd::new(BoxedUint::from_be_slice_vartime(modulus)).into_option()?;
        let fits = exponent >= 3 && exponent % 2 == 1 && modulus_bits > MAX_EXPONENT_BITS;
        let modulus = BoxedMontyParams::new_vartime(modulus);
        fits.then_some(Self { encoding, hash, modulus, modulus_bits, exponent })
    }

    /// RFC 8017 §8.1.2 and §8.2.2.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let Some(encoded) = self.recover(signature) else { return false };
        let digest = self.hash.digest(&[message]);
        match self.encoding {
            Encoding::Pkcs1 => pkcs1(self.hash, &digest, encoded.len()).as_ref() == Some(&encoded),
            Encoding::Pss => {
                pss_fits(self.hash, &digest, &encoded, self.modulus_bits - 1) == Some(true)
            }
        }
    }

    /// The message representative, as long as the modulus (RSAVP1, RFC 8017 §5.2.2).
    fn recover(&self, signature: &[u8]) -> Option<Vec<u8>> {
        let length = self.modulus_bits.div_ceil(8);
        if signature.len() != length {
            return None;
        }
        let modulus = self.modulus.modulus();
        let signature = BoxedUint::from_be_slice(signature, modulus.bits_precision()).ok()?;
        if signature >= *modulus.as_ref() {
            return None;
        }
        let base = BoxedMontyForm::new(signature, &self.modulus);
        let mut power = base.clone();
        for bit in (0..self.exponent.ilog2()).rev() {
            power = power.square();
            if self.exponent >> bit & 1 == 1 {
                power = power.mul(&base);
            }
        }
        let bytes = power.retrieve().to_be_bytes();
        bytes.get(bytes.len().checked_sub(length)?..).map(<[u8]>::to_vec)
    }
}

/// EMSA-PKCS1-v1_5 of a digest (RFC 8017 §9.2). Comparing whole encodings leaves nothing to parse,
/// and so nothing to forge in.
fn pkcs1(hash: Hash, digest: &[u8], length: usize) -> Option<Vec<u8>> {
    let info = match hash {
        Hash::Sha256 => &SHA256_INFO,
        Hash::Sha384 => &SHA384_INFO,
        Hash::Sha512 => &SHA512_INFO,
    };
    let padding =
        length.checked_sub(3 + info.len() + digest.len()).filter(|length| *length >= 8)?;
    Some([&[0, 1], vec![0xff; padding].as_slice(), &[0], info, digest].concat())
}

/// EMSA-PSS of a digest (RFC 8017 §9.1.2); `None`, too, is no.
fn pss_fits(hash: Hash, digest: &[u8], encoded: &[u8], bits: usize) -> Option<bool> {
    // Where the bits fill whole bytes, the encoding is a byte shorter than the modulus.
    let (surplus, encoded) =
        encoded.split_at_checked(encoded.len().checked_sub(bits.div_ceil(8))?)?;
    let (rest, trailer) = encoded.split_at_checked(encoded.len().checked_sub(1)?)?;
    let (masked, seed) = rest.split_at_checked(rest.len().checked_sub(digest.len())?)?;
    let unused = !(0xff_u8 >> ((8 - bits % 8) % 8));
    let clear = surplus.iter().all(|byte| *byte == 0) && masked.first()? & unused == 0;
    let mut block: Vec<u8> =
        masked.iter().zip(hash.mask(seed)).map(|(byte, mask)| byte ^ mask).collect();
    *block.first_mut()? &= !unused;
    let (padding, salt) = block.split_at_checked(block.len().checked_sub(digest.len())?)?;
    let (one, zeros) = padding.split_last()?;
    let padded = *one == 1 && zeros.iter().all(|byte| *byte == 0);
    let fits = hash.digest(&[&[0; 8], digest, salt]) == seed;
    Some(clear && trailer == [0xbc] && padded && fits)
}

impl Hash {
    fn digest(self, parts: &[&[u8]]) -> Vec<u8> {
        fn of<D: Digest>(parts: &[&[u8]]) -> Vec<u8> {
            parts.iter().fold(D::new(), D::chain_update).finalize().to_vec()
        }
        match self {
            Self::Sha256 => of::<Sha256>(parts),
            Self::Sha384 => of::<Sha384>(parts),
            Self::Sha512 => of::<Sha512>(parts),
        }
    }

    /// MGF1 (RFC 8017 §B.2.1), without end.
    fn mask(self, seed: &[u8]) -> impl Iterator<Item = u8> {
        (0_u32..).flat_map(move |counter| self.digest(&[seed, &counter.to_be_bytes()]))
    }
}

/// Object identifier 2.16.840.1.101.3.4.2.`hash`, and the digest's length.
const fn digest_info(hash: u8, length: u8) -> [u8; 19] {
    let total = length + 17;
    [0x30, total, 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, hash, 5, 0, 4, length]
}

fn without_zeros(integer: &[u8]) -> &[u8] {
    let zeros = integer.iter().take_while(|byte| **byte == 0).count();
    integer.get(zeros..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::base64url;

    /// A key and its signatures of [`MESSAGE`], made by OpenSSL.
    #[derive(Deserialize)]
    struct Known {
        bits: usize,
        n: String,
        e: String,
        rs256: String,
        ps512: String,
    }

    const MESSAGE: &[u8] = b"postern";

    fn known() -> Vec<Known> {
        serde_json::from_str(include_str!("rsa_known.json")).unwrap()
    }

    fn bytes(text: &str) -> Vec<u8> {
        base64url::decode(text).unwrap()
    }

    fn key(known: &Known, algorithm: Algorithm) -> RsaKey {
        RsaKey::new(algorithm, &bytes(&known.n), &bytes(&known.e)).unwrap()
    }

    /// Where the bits of a modulus do not fill its bytes, the encodings of PSS are shorter.
    #[test]
    fn every_size_of_a_modulus_is_read() {
        for known in known() {
            for (algorithm, signature) in
                [(Algorithm::Rs256, &known.rs256), (Algorithm::Ps512, &known.ps512)]
            {
                let (key, good) = (key(&known, algorithm), bytes(signature));
                assert_eq!(key.modulus_bits, known.bits);
                assert!(key.verify(MESSAGE, &good), "{algorithm} {}", known.bits);
                assert!(!key.verify(b"another", &good));
                assert!(!key.verify(MESSAGE, &[&[0], &good[..]].concat()));
                assert!(!key.verify(MESSAGE, &good[1..]));
                for place in [0, good.len() / 2, good.len() - 1] {
                    let mut changed = good.clone();
                    changed[place] ^= 1;
                    assert!(!key.verify(MESSAGE, &changed), "{algorithm} {}", known.bits);
                }
            }
        }
    }

    /// A signature plus the modulus is the same number modulo the modulus, and another text.
    #[test]
    fn a_signature_is_less_than_the_modulus() {
        let known = known().into_iter().find(|known| known.bits == 2049).unwrap();
        let key = key(&known, Algorithm::Rs256);
        let (mut sum, modulus) = (bytes(&known.rs256), bytes(&known.n));
        let mut carry = 0;
        for (byte, other) in sum.iter_mut().zip(&modulus).rev() {
            let total = u16::from(*byte) + u16::from(*other) + carry;
            (*byte, carry) = (total.to_le_bytes()[0], total >> 8);
        }
        assert_eq!(carry, 0);
        assert!(key.recover(&bytes(&known.rs256)).is_some());
        assert_eq!(key.recover(&sum), None);
        assert_eq!(key.recover(&modulus), None);
    }

    #[test]
    fn a_scheme_and_a_hash_are_not_exchanged() {
        use Algorithm::{Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        let known = &known()[0];
        for (signature, own) in [(&known.rs256, Rs256), (&known.ps512, Ps512)] {
            for algorithm in [Rs256, Rs384, Rs512, Ps256, Ps384, Ps512] {
                let accepted = key(known, algorithm).verify(MESSAGE, &bytes(signature));
                assert_eq!(accepted, algorithm == own, "{algorithm}");
            }
        }
    }

    #[test]
    fn a_salt_has_the_length_of_the_hash() {
        let digest = Hash::Sha256.digest(&[MESSAGE]);
        let encode = |salt: &[u8], bits: usize| {
            let length = bits.div_ceil(8);
            let seed = Hash::Sha256.digest(&[&[0; 8], &digest, salt]);
            let padding = vec![0; length - salt.len() - seed.len() - 2];
            let block = [&padding[..], &[1], salt].concat();
            let mask = Hash::Sha256.mask(&seed);
            let mut masked: Vec<u8> =
                block.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect();
            masked[0] &= 0xff >> (length * 8 - bits);
            [&masked[..], &seed, &[0xbc]].concat()
        };
        let fits = |encoded: &[u8], bits| pss_fits(Hash::Sha256, &digest, encoded, bits);
        for bits in 2040..2056 {
            let good = encode(&[5; 32], bits);
            assert_eq!(fits(&good, bits), Some(true), "{bits}");
            assert_eq!(fits(&[&[0], &good[..]].concat(), bits), Some(true));
            assert_eq!(fits(&[&[1], &good[..]].concat(), bits), Some(false));
            for place in [0, 1, good.len() - 34, good.len() - 2, good.len() - 1] {
                let mut changed = good.clone();
                changed[place] ^= 0x80;
                assert_eq!(fits(&changed, bits), Some(false), "{bits} {place}");
            }
            for salt in [0, 20, 31, 33, 64] {
                assert_ne!(fits(&encode(&vec![5; salt], bits), bits), Some(true), "{bits} {salt}");
            }
        }
        for length in 0..70 {
            assert_ne!(fits(&vec![0xbc; length], length * 8), Some(true));
        }
    }

    #[test]
    fn what_is_no_rsa_key_is_none() {
        let n = bytes(&known()[0].n);
        let fits = |n: &[u8], e: &[u8]| RsaKey::new(Algorithm::Rs256, n, e).is_some();
        assert!(fits(&n, &[3]) && fits(&n, &[0, 1, 0, 1]) && fits(&n, &[1, 255, 255, 255, 255]));
        for e in [&[][..], &[0], &[1], &[2], &[1, 0], &[2, 0, 0, 0, 1], &[0xff; 9]] {
            assert!(!fits(&n, e), "{e:?}");
        }
        let even = [&n[..n.len() - 1], &[2]].concat();
        for n in [&[][..], &[0], &[1], &[0xff; 4], &even] {
            assert!(!fits(n, &[3]), "{n:?}");
        }
        assert!(RsaKey::new(Algorithm::Es256, &n, &[3]).is_none());
    }
}

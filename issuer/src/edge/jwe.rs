//! Encrypting to an edge: JWE in compact form (RFC 7516) with `ECDH-ES+A256KW` (RFC 7518, section
//! 4.6) and `A256GCM` (section 5.3).

use aes_kw::{KeyInit, KwAes256};
use base64ct::{Base64UrlUnpadded, Encoding};
use p256::{
    PublicKey as Point, SecretKey, ecdh::diffie_hellman, elliptic_curve::sec1::ToSec1Point,
};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::Serialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::EdgeKey;
use crate::{key::PublicKey, secret::SecretBytes};

const ALGORITHM: &str = "ECDH-ES+A256KW";
const KEY_BYTES: usize = 32;
/// AES Key Wrap adds 64 bits (RFC 3394).
const WRAPPED_KEY_BYTES: usize = KEY_BYTES + 8;
const GENERATION_ATTEMPTS: usize = 64;
const UNCOMPRESSED_POINT: u8 = 4;

/// Nothing came of it. Says nothing about keys or content.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("encrypting to an edge failed")]
pub(crate) struct EncryptionError;

/// What is fresh for every message.
struct Fresh {
    ephemeral: SecretKey,
    content_key: SecretBytes,
    nonce: [u8; NONCE_LEN],
}

#[derive(Serialize)]
struct Header<'h> {
    alg: &'static str,
    enc: &'static str,
    cty: &'h str,
    kid: &'h str,
    epk: EphemeralKey,
}

#[derive(Serialize)]
struct EphemeralKey {
    kty: &'static str,
    crv: &'static str,
    x: String,
    y: String,
}

/// Encrypts `plaintext`, of the media type `content_type`, to whoever has the private half of
/// `recipient`.
pub(crate) fn encrypt(
    recipient: &EdgeKey,
    content_type: &str,
    plaintext: &SecretBytes,
) -> Result<String, EncryptionError> {
    let fresh = Fresh {
        ephemeral: random_scalar()?,
        content_key: SecretBytes::random(KEY_BYTES),
        nonce: SecretBytes::random(NONCE_LEN).expose().try_into().map_err(|_| EncryptionError)?,
    };
    encrypt_with(&fresh, recipient, content_type, plaintext)
}

fn encrypt_with(
    fresh: &Fresh,
    recipient: &EdgeKey,
    content_type: &str,
    plaintext: &SecretBytes,
) -> Result<String, EncryptionError> {
    let header = Header {
        alg: ALGORITHM,
        enc: "A256GCM",
        cty: content_type,
        kid: &recipient.id,
        epk: EphemeralKey::of(&fresh.ephemeral)?,
    };
    let header = serde_json::to_vec(&header).map_err(|_| EncryptionError)?;
    let header = Base64UrlUnpadded::encode_string(&header);
    let wrapped = wrap(&fresh.content_key, &*wrapping_key(&fresh.ephemeral, recipient)?)?;
    let mut content = Zeroizing::new(plaintext.expose().to_vec());
    let tag = seal(fresh, &header, &mut content)?;
    let [wrapped, nonce, content, tag] =
        [&wrapped[..], &fresh.nonce, &content, &tag].map(Base64UrlUnpadded::encode_string);
    Ok(format!("{header}.{wrapped}.{nonce}.{content}.{tag}"))
}

/// Encrypts in place; the header is authenticated along (RFC 7516, section 5.1, step 14).
fn seal(fresh: &Fresh, header: &str, content: &mut [u8]) -> Result<Vec<u8>, EncryptionError> {
    let key = UnboundKey::new(&AES_256_GCM, fresh.content_key.expose());
    let key = LessSafeKey::new(key.map_err(|_| EncryptionError)?);
    let nonce = Nonce::assume_unique_for_key(fresh.nonce);
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(header.as_bytes()), content);
    tag.map(|tag| tag.as_ref().to_vec()).map_err(|_| EncryptionError)
}

fn wrap(
    key: &SecretBytes,
    wrapping_key: &[u8; KEY_BYTES],
) -> Result<[u8; WRAPPED_KEY_BYTES], EncryptionError> {
    let mut wrapped = [0; WRAPPED_KEY_BYTES];
    let cipher = KwAes256::new(wrapping_key.into());
    cipher.wrap_key(key.expose(), &mut wrapped).map_err(|_| EncryptionError)?;
    Ok(wrapped)
}

fn wrapping_key(
    ephemeral: &SecretKey,
    recipient: &EdgeKey,
) -> Result<Zeroizing<[u8; KEY_BYTES]>, EncryptionError> {
    let shared = diffie_hellman(ephemeral.to_nonzero_scalar(), point(recipient)?.as_affine());
    Ok(concat_kdf(shared.raw_secret_bytes(), ALGORITHM, [b"", b""], 256))
}

/// One round of the Concat KDF (RFC 7518, section 4.6.2; NIST SP 800-56A, section 5.8.1), of which
/// the first `bits` count: at most 256.
fn concat_kdf(
    shared: &[u8],
    algorithm: &str,
    [party_u, party_v]: [&[u8]; 2],
    bits: u32,
) -> Zeroizing<[u8; KEY_BYTES]> {
    let mut hash = Sha256::new_with_prefix(1_u32.to_be_bytes());
    hash.update(shared);
    for part in [algorithm.as_bytes(), party_u, party_v] {
        hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.update(bits.to_be_bytes());
    Zeroizing::new(hash.finalize().into())
}

/// The recipient's key: a point of the curve, or nothing.
fn point(key: &EdgeKey) -> Result<Point, EncryptionError> {
    let PublicKey::EllipticCurve { crv, x, y } = &key.public else {
        return Err(EncryptionError);
    };
    let mut encoded = vec![UNCOMPRESSED_POINT];
    for coordinate in [x, y] {
        let bytes = Base64UrlUnpadded::decode_vec(coordinate).map_err(|_| EncryptionError)?;
        if crv != "P-256" || bytes.len() != KEY_BYTES {
            return Err(EncryptionError);
        }
        encoded.extend(bytes);
    }
    Point::from_sec1_bytes(&encoded).map_err(|_| EncryptionError)
}

impl EphemeralKey {
    fn of(key: &SecretKey) -> Result<Self, EncryptionError> {
        let point = key.public_key().to_sec1_point(false);
        let text = |coordinate: Option<&[u8]>| {
            coordinate.map(Base64UrlUnpadded::encode_string).ok_or(EncryptionError)
        };
        let x = text(point.x().map(|x| &x[..]))?;
        let y = text(point.y().map(|y| &y[..]))?;
        Ok(Self { kty: "EC", crv: "P-256", x, y })
    }
}

/// A random string of 32 bytes is a valid scalar with all but certainty.
fn random_scalar() -> Result<SecretKey, EncryptionError> {
    let mut tries = (0..GENERATION_ATTEMPTS).map(|_| SecretBytes::random(KEY_BYTES));
    tries.find_map(|bytes| SecretKey::from_slice(bytes.expose()).ok()).ok_or(EncryptionError)
}

#[cfg(test)]
pub(crate) mod tests {
    use aes_kw::KwAes128;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        clock::Timestamp,
        key::{Key, SigningAlgorithm},
    };

    /// What an edge does. Answers with the header and the plaintext, or nothing.
    pub(crate) fn decrypt(jwe: &str, private_key: &[u8]) -> Option<(Value, Vec<u8>)> {
        let parts: Vec<_> = jwe.split('.').collect();
        let [header_text, wrapped, nonce, content, tag] = parts.try_into().ok()?;
        let decode = |text: &str| Base64UrlUnpadded::decode_vec(text).ok();
        let header: Value = serde_json::from_slice(&decode(header_text)?).ok()?;
        let coordinate = |name: &str| header["epk"][name].as_str().map(str::to_owned);
        let ephemeral = EdgeKey {
            id: String::new(),
            public: PublicKey::EllipticCurve {
                crv: coordinate("crv")?,
                x: coordinate("x")?,
                y: coordinate("y")?,
            },
        };
        let wrapping = wrapping_key(&SecretKey::from_slice(private_key).ok()?, &ephemeral).ok()?;
        let mut key = [0; KEY_BYTES];
        KwAes256::new((&*wrapping).into()).unwrap_key(&decode(wrapped)?, &mut key).ok()?;
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).ok()?);
        let nonce = Nonce::try_assume_unique_for_key(&decode(nonce)?).ok()?;
        let mut content = [decode(content)?, decode(tag)?].concat();
        let plain = key.open_in_place(nonce, Aad::from(header_text.as_bytes()), &mut content);
        Some((header, plain.ok()?.to_vec()))
    }

    fn recipient() -> (EdgeKey, Vec<u8>) {
        let key = Key::generate(SigningAlgorithm::Es256, Timestamp(1), 1).unwrap();
        (EdgeKey::of(&key).unwrap(), key.secret.unwrap().expose().to_vec())
    }

    fn bytes(text: &str) -> Vec<u8> {
        Base64UrlUnpadded::decode_vec(text).unwrap()
    }

    /// RFC 7518, appendix C: Alice's ephemeral key and Bob's key on P-256.
    #[test]
    fn keys_are_agreed_on_as_in_rfc_7518() {
        let alice = SecretKey::from_slice(&bytes("0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo"));
        let bob = EdgeKey {
            id: "bob".to_owned(),
            public: PublicKey::EllipticCurve {
                crv: "P-256".to_owned(),
                x: "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ".to_owned(),
                y: "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck".to_owned(),
            },
        };
        let alice = alice.unwrap();
        let shared = diffie_hellman(alice.to_nonzero_scalar(), point(&bob).unwrap().as_affine());
        let derived = concat_kdf(shared.raw_secret_bytes(), "A128GCM", [b"Alice", b"Bob"], 128);
        assert_eq!(Base64UrlUnpadded::encode_string(&derived[..16]), "VqqN6vgjbSBcIijNcacQGg");
        let ephemeral = serde_json::to_value(EphemeralKey::of(&alice).unwrap()).unwrap();
        let published = json!({
            "kty": "EC",
            "crv": "P-256",
            "x": "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
            "y": "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps",
        });
        assert_eq!(ephemeral, published);
    }

    /// RFC 7520, section 5.4, from the shared secret on: its keys are on P-384, and it wraps with 128
    /// bits.
    #[test]
    fn keys_are_wrapped_as_in_rfc_7520() {
        let shared = bytes("nfir6YQyOetWUfXqxU4vU2UIJJlA9BsuQkssEac-ahk9Nd5XNEWzIMsb3HwPRK5-");
        let wrapping = concat_kdf(&shared, "ECDH-ES+A128KW", [b"", b""], 128);
        let wrapping: [u8; 16] = wrapping[..16].try_into().unwrap();
        let mut wrapped = [0; 24];
        let key = bytes("Nou2ueKlP70ZXDbq9UrRwg");
        KwAes128::new(&wrapping.into()).wrap_key(&key, &mut wrapped).unwrap();
        let wrapped = Base64UrlUnpadded::encode_string(&wrapped);
        assert_eq!(wrapped, "0DJjBXri_kBcC46IkU5_Jk9BqaQeHdv2");
    }

    #[test]
    fn only_the_recipient_reads_it_and_only_as_it_was_sent() {
        let ((to, private), (_, foreign)) = (recipient(), recipient());
        let plaintext = SecretBytes::new(b"{\"keys\": []}".to_vec());
        let jwe = encrypt(&to, "jwk-set+json", &plaintext).unwrap();
        let (header, plain) = decrypt(&jwe, &private).unwrap();
        assert_eq!(plain, plaintext.expose());
        let expected = json!({
            "alg": "ECDH-ES+A256KW",
            "enc": "A256GCM",
            "cty": "jwk-set+json",
            "kid": to.id,
            "epk": header["epk"],
        });
        assert_eq!(header, expected);
        assert!(decrypt(&jwe, &foreign).is_none());
        for (index, _) in jwe.match_indices('.').skip(1) {
            let mut tampered = jwe.clone().into_bytes();
            let place = &mut tampered[index - 3];
            *place = if *place == b'A' { b'B' } else { b'A' };
            assert!(decrypt(&String::from_utf8(tampered).unwrap(), &private).is_none());
        }
    }

    #[test]
    fn nothing_repeats_from_one_message_to_the_next() {
        let (to, _) = recipient();
        let plaintext = SecretBytes::new(b"{}".to_vec());
        let [first, second] = [(); 2].map(|()| encrypt(&to, "jwk-set+json", &plaintext).unwrap());
        for (one, other) in first.split('.').zip(second.split('.')) {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn what_is_no_key_of_the_curve_is_not_encrypted_to() {
        let (good, _) = recipient();
        let PublicKey::EllipticCurve { x, y, .. } = &good.public else { panic!() };
        let key = |crv: &str, x: &str, y: &str| PublicKey::EllipticCurve {
            crv: crv.to_owned(),
            x: x.to_owned(),
            y: y.to_owned(),
        };
        let okp = PublicKey::OctetKeyPair { crv: "X25519".to_owned(), x: x.clone() };
        for public in [key("P-384", x, y), key("P-256", y, x), key("P-256", x, ""), okp] {
            let bad = EdgeKey { public, ..good.clone() };
            let refused = encrypt(&bad, "jwk-set+json", &SecretBytes::new(Vec::new()));
            assert_eq!(refused, Err(EncryptionError));
        }
    }
}

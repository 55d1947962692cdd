//! Tokens of any shape, signed by keys of our own.

use std::time::{SystemTime, UNIX_EPOCH};

use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_compact::alg::{Ed25519, Es256, Hs256, Hs256Key, ModulusBits, Rsa, SigningKey};
use jwt_compact::jwk::JsonWebKey;
use jwt_compact::{Algorithm, AlgorithmSignature};
use rand_core::OsRng;
use serde_json::{Value, json};

use crate::Failure;

type EsKey = <Es256 as Algorithm>::SigningKey;
type EdKey = <Ed25519 as Algorithm>::SigningKey;
type RsaKey = <Rsa as Algorithm>::SigningKey;

/// One key for each algorithm that a key set can hold, under the `kid`s `es`, `rs` and `ed`.
pub struct ForgedKeys {
    es: EsKey,
    rs: RsaKey,
    ed: EdKey,
}

/// With which key to sign.
#[derive(Clone, Copy, Debug)]
pub enum Key<'a> {
    /// ES256, with the key `es`
    Es256,
    /// RS256, with the key `rs`
    Rs256,
    /// `EdDSA`, with the key `ed`
    EdDsa,
    /// HS256, with any secret
    Hs256(&'a [u8]),
    /// The signature is these bytes
    Bytes(&'a [u8]),
}

impl ForgedKeys {
    /// Fresh keys.
    ///
    /// # Errors
    /// When no RSA key can be made.
    pub fn generate() -> Result<Self, Failure> {
        let mut seed = [0; 32];
        rand_core::RngCore::fill_bytes(&mut OsRng, &mut seed);
        let es = <EsKey as SigningKey<Es256>>::from_slice(&seed);
        let ed = SigningKey::<Ed25519>::from_slice(&seed);
        let rs = Rsa::generate(&mut OsRng, ModulusBits::TwoKibibytes);
        Ok(Self {
            es: es.map_err(Failure::while_doing("an EC key"))?,
            rs: rs.map_err(Failure::while_doing("an RSA key"))?.0.into_inner(),
            ed: ed.map_err(Failure::while_doing("an Ed25519 key"))?,
        })
    }

    /// The public keys, as a JWK Set.
    #[must_use]
    pub fn jwks(&self) -> Value {
        let es = self.es.verifying_key();
        let rs = self.rs.to_public_key();
        let ed = SigningKey::<Ed25519>::to_verifying_key(&self.ed);
        json!({ "keys": [
            public(&JsonWebKey::from(es), "es", "ES256"),
            public(&JsonWebKey::from(&rs), "rs", "RS256"),
            public(&JsonWebKey::from(&ed), "ed", "EdDSA"),
        ]})
    }

    /// One of the public keys, as a JWK.
    #[must_use]
    pub fn jwk(&self, kid: &str) -> Value {
        let set = self.jwks();
        let keys = set.get("keys").and_then(Value::as_array).cloned().unwrap_or_default();
        keys.into_iter().find(|key| key.get("kid").is_some_and(|id| id == kid)).unwrap_or_default()
    }

    /// The uncompressed point of the key `es`.
    #[must_use]
    pub fn es_point(&self) -> Vec<u8> {
        self.es.verifying_key().to_encoded_point(false).as_bytes().to_vec()
    }

    /// A token of these bytes, whatever they are.
    #[must_use]
    pub fn sign(&self, key: Key<'_>, header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
        let message = format!("{}.{}", base64url(header), base64url(claims));
        let signature = self.signature(key, message.as_bytes());
        format!("{message}.{}", base64url(signature))
    }

    /// The signature of any bytes.
    #[must_use]
    pub fn signature(&self, key: Key<'_>, message: &[u8]) -> Vec<u8> {
        match key {
            Key::Es256 => Es256.sign(&self.es, message).as_bytes().into_owned(),
            Key::Rs256 => Rsa::rs256().sign(&self.rs, message).as_bytes().into_owned(),
            Key::EdDsa => Ed25519.sign(&self.ed, message).as_bytes().into_owned(),
            Key::Hs256(secret) => {
                Hs256.sign(&Hs256Key::new(secret), message).as_bytes().into_owned()
            }
            Key::Bytes(bytes) => bytes.to_vec(),
        }
    }
}

fn public(key: &JsonWebKey<'_>, kid: &str, alg: &str) -> Value {
    let mut key = serde_json::to_value(key).unwrap_or_default();
    if let Some(members) = key.as_object_mut() {
        members.extend([
            ("kid".to_owned(), kid.into()),
            ("alg".to_owned(), alg.into()),
            ("use".to_owned(), "sig".into()),
        ]);
    }
    key
}

/// Unpadded base64url.
#[must_use]
pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    Base64UrlUnpadded::encode_string(bytes.as_ref())
}

/// The claims of a token, unchecked; `null` when it has none.
#[must_use]
pub fn claims_of(token: &str) -> Value {
    part_of(token, 1)
}

/// The header of a token, unchecked; `null` when it has none.
#[must_use]
pub fn header_of(token: &str) -> Value {
    part_of(token, 0)
}

fn part_of(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap_or_default();
    let bytes = Base64UrlUnpadded::decode_vec(part).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// Seconds since the Unix epoch.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs())
}

//! Keys on P-256 as JWKs: an edge's own, with their private halves, and those of others.

use p256::{PublicKey, SecretKey};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    base64url,
    read::{FromValue, Members, ReadError},
};

/// A text that is wiped from memory.
#[derive(Default)]
pub(super) struct SecretText(pub(super) Zeroizing<String>);

impl FromValue for SecretText {
    fn from_value(value: &Value) -> Result<Self, ReadError> {
        String::from_value(value).map(|text| Self(Zeroizing::new(text)))
    }
}

/// A private JWK on P-256 (RFC 7518 §6.2), as a credential has them.
#[derive(Default)]
pub(super) struct RawPrivateKey {
    key_type: String,
    curve: String,
    usage: String,
    algorithm: String,
    key_id: String,
    x: String,
    y: String,
    d: SecretText,
}

impl FromValue for RawPrivateKey {
    fn from_value(value: &Value) -> Result<Self, ReadError> {
        let mut members = Members::of(value)?;
        let key = Self {
            key_type: members.read("kty"),
            curve: members.read("crv"),
            usage: members.read("use"),
            algorithm: members.read("alg"),
            key_id: members.read("kid"),
            x: members.read("x"),
            y: members.read("y"),
            d: members.read("d"),
        };
        members.end(key)
    }
}

/// A private key, and the thumbprint of its public half.
#[derive(Clone)]
pub(super) struct PrivateKey {
    pub(super) key: SecretKey,
    pub(super) id: String,
}

impl RawPrivateKey {
    /// The key, if it is one for this use alone; otherwise the member that is wrong, and why.
    pub(super) fn key(
        &self,
        usage: &str,
        algorithm: &str,
    ) -> Result<PrivateKey, (&'static str, &'static str)> {
        if self.key_type != "EC" {
            return Err(("kty", "it must be `EC`"));
        }
        if self.curve != "P-256" {
            return Err(("crv", "it must be `P-256`"));
        }
        if self.usage != usage {
            return Err(("use", "the first key is for `sig`, the second for `enc`"));
        }
        if self.algorithm != algorithm {
            return Err(("alg", "the first key's is `ES256`, the second's `ECDH-ES+A256KW`"));
        }
        let decoded = base64url::decode(&self.d.0).map(Zeroizing::new);
        let decoded = decoded.filter(|scalar| scalar.len() == 32); // RFC 7518 §6.2.2.1
        let key = decoded.and_then(|scalar| SecretKey::from_slice(&scalar).ok());
        let key = key.ok_or(("d", "it is no private key on P-256"))?;
        let point = point(&self.x, &self.y).ok_or(("x", "a coordinate is not of P-256"))?;
        if PublicKey::from_sec1_bytes(&point).ok() != Some(key.public_key()) {
            return Err(("d", "it does not belong to `x` and `y`"));
        }
        if self.key_id != thumbprint(&self.x, &self.y) {
            return Err(("kid", "it is not the key's thumbprint"));
        }
        Ok(PrivateKey { key, id: self.key_id.clone() })
    }
}

/// The public key that a JWK's `x` and `y` are; `None` where the point is not on P-256, which tells
/// who sent it something of the key that it is multiplied with.
pub(super) fn public_key(members: &Map<String, Value>) -> Option<PublicKey> {
    let coordinate = |name| members.get(name).and_then(Value::as_str);
    PublicKey::from_sec1_bytes(&point(coordinate("x")?, coordinate("y")?)?).ok()
}

/// The uncompressed point (SEC 1 §2.3.3).
fn point(x: &str, y: &str) -> Option<Vec<u8>> {
    let (x, y) = (base64url::decode(x)?, base64url::decode(y)?);
    let fits = x.len() == 32 && y.len() == 32; // RFC 7518 §6.2.1.2
    fits.then(|| [&[4], x.as_slice(), y.as_slice()].concat())
}

/// RFC 7638 §3. The coordinates hold nothing that JSON would escape: they have been decoded.
pub(super) fn thumbprint(x: &str, y: &str) -> String {
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    base64url::encode(Sha256::digest(members))
}

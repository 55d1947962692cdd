//! JWK Sets (RFC 7517 §5): from a document to the keys that can check a signature.

use std::fmt;

use jwt_compact::{
    alg::{Hs256Key, RsaPublicKey},
    jwk::JsonWebKey,
};
use serde_json::{Map, Value};

use crate::{
    algorithm::{Algorithm, VerifyingKey},
    base64url, json,
};

/// Largest JWK Set document that is read, in bytes.
pub const MAX_JWK_SET_BYTES: usize = 256 * 1024;
/// Most keys that a document may hold.
const MAX_KEYS: usize = 256;
/// Members of a JWK that only the holder of a private key has (RFC 7518 §6.2.2, §6.3.2).
const PRIVATE_MEMBERS: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

/// Which kinds of keys a document may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKinds {
    /// Public keys only: for a document that anyone can fetch. A symmetric key there would be
    /// known to all, so it is skipped.
    PublicOnly,
    /// Symmetric keys too: for a document that is itself kept secret.
    WithSecrets,
}

/// The usable keys of a JWK Set, and what was left out.
#[derive(Debug, Clone)]
pub struct JwkSet {
    keys: Vec<Key>,
    skipped: Vec<SkippedKey>,
}

/// One usable key. Its algorithm is its own; a token cannot choose another.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) id: Option<String>,
    pub(crate) verifying: VerifyingKey,
}

/// A key that was left out of a [`JwkSet`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedKey {
    /// Place in the document's `keys` array, from 0.
    pub index: usize,
    /// The key's `kid`, if it has one.
    pub key_id: Option<String>,
    /// Why it cannot be used. Never quotes key material.
    pub reason: &'static str,
}

/// Why a document is not a JWK Set.
#[derive(Debug)]
#[non_exhaustive]
pub enum JwkSetError {
    /// Longer than [`MAX_JWK_SET_BYTES`].
    TooLarge {
        /// Length of the document, in bytes.
        bytes: usize,
    },
    /// Not strict JSON: malformed, or an object names a member twice.
    NotJson {
        /// What the parser says; places only, no content.
        message: String,
    },
    /// No object with a `keys` array of objects (RFC 7517 §5).
    NotAJwkSet,
    /// More keys than a set may hold (256).
    TooManyKeys,
    /// The set has keys, and none of them can be used. The first reason is given.
    NoUsableKey {
        /// The first key that was left out.
        first: SkippedKey,
    },
}

impl JwkSet {
    /// Parses a JWK Set document. Keys that cannot be used are left out and listed by
    /// [`JwkSet::skipped`]. An empty `keys` array is a valid set that knows no key.
    ///
    /// # Errors
    ///
    /// [`JwkSetError`] where the document is no JWK Set, or none of its keys can be used.
    pub fn parse(document: &[u8], kinds: KeyKinds) -> Result<Self, JwkSetError> {
        let mut set = Self { keys: Vec::new(), skipped: Vec::new() };
        for (index, value) in key_values(document)?.iter().enumerate() {
            let members = value.as_object().ok_or(JwkSetError::NotAJwkSet)?;
            let key_id = members.get("kid").and_then(Value::as_str).map(str::to_owned);
            match parse_key(members, kinds) {
                Ok(verifying) => set.keys.push(Key { id: key_id, verifying }),
                Err(reason) => set.skipped.push(SkippedKey { index, key_id, reason }),
            }
        }
        match set.skipped.first() {
            Some(first) if set.keys.is_empty() => {
                Err(JwkSetError::NoUsableKey { first: first.clone() })
            }
            _ => Ok(set),
        }
    }

    /// The keys that were left out, and why.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }

    /// Number of usable keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key is usable.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether a usable key has this `kid`.
    #[must_use]
    pub fn contains(&self, key_id: &str) -> bool {
        self.keys.iter().any(|key| key.id.as_deref() == Some(key_id))
    }

    /// The keys that a token with this `kid` may mean. A token without `kid` may mean any key.
    pub(crate) fn candidates<'a>(
        &'a self,
        key_id: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Key> {
        self.keys.iter().filter(move |key| key_id.is_none() || key.id.as_deref() == key_id)
    }
}

fn key_values(document: &[u8]) -> Result<Vec<Value>, JwkSetError> {
    if document.len() > MAX_JWK_SET_BYTES {
        return Err(JwkSetError::TooLarge { bytes: document.len() });
    }
    let members = json::parse_object(document)
        .map_err(|error| JwkSetError::NotJson { message: error.to_string() })?
        .ok_or(JwkSetError::NotAJwkSet)?;
    let Some(Value::Array(keys)) = members.get("keys") else {
        return Err(JwkSetError::NotAJwkSet);
    };
    if keys.len() > MAX_KEYS {
        return Err(JwkSetError::TooManyKeys);
    }
    Ok(keys.clone())
}

fn parse_key(members: &Map<String, Value>, kinds: KeyKinds) -> Result<VerifyingKey, &'static str> {
    let key_type = members.get("kty").and_then(Value::as_str).ok_or("`kty` is missing")?;
    if members.get("kid").is_some_and(|kid| !kid.is_string()) {
        return Err("`kid` is not a string");
    }
    if PRIVATE_MEMBERS.iter().any(|name| members.contains_key(*name)) {
        return Err("it holds private members");
    }
    allows_verifying(members)?;
    let key = match key_type {
        "oct" if kinds == KeyKinds::PublicOnly => Err("a symmetric key cannot be public"),
        "oct" => symmetric_key(members),
        "RSA" => rsa_key(members),
        "EC" => elliptic_curve_key(members),
        "OKP" => edwards_key(members),
        _ => Err("`kty` is not supported"),
    }?;
    match members.get("alg") {
        None => Ok(key),
        Some(Value::String(name)) if Algorithm::from_name(name) == Some(key.algorithm()) => Ok(key),
        Some(_) => Err("`alg` is not supported for this `kty`"),
    }
}

/// RFC 7517 §4.2, §4.3: `use` and `key_ops`, where given, must allow verifying.
fn allows_verifying(members: &Map<String, Value>) -> Result<(), &'static str> {
    if members.get("use").is_some_and(|usage| usage != "sig") {
        return Err("`use` is not `sig`");
    }
    match members.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(operations)) if operations.iter().any(|name| name == "verify") => Ok(()),
        Some(_) => Err("`key_ops` does not allow `verify`"),
    }
}

fn symmetric_key(members: &Map<String, Value>) -> Result<VerifyingKey, &'static str> {
    let secret = bytes(members, "k")?;
    if secret.len() < 32 {
        return Err("an HS256 secret must have at least 256 bits"); // RFC 7518 §3.2
    }
    Ok(VerifyingKey::Hs256(Hs256Key::new(secret)))
}

fn rsa_key(members: &Map<String, Value>) -> Result<VerifyingKey, &'static str> {
    let modulus = bytes(members, "n")?;
    let public_exponent = bytes(members, "e")?;
    match bit_length(&modulus) {
        0..2048 => return Err("an RSA modulus must have at least 2048 bits"), // RFC 7518 §3.3
        2048..=4096 => {}
        _ => return Err("an RSA modulus may have at most 4096 bits"),
    }
    if bit_length(&public_exponent) < 2 || public_exponent.last().is_none_or(|byte| byte % 2 == 0) {
        return Err("an RSA exponent must be odd and at least 3");
    }
    let jwk = JsonWebKey::Rsa {
        modulus: modulus.into(),
        public_exponent: public_exponent.into(),
        private_parts: None,
    };
    let key = RsaPublicKey::try_from(&jwk).map_err(|_| "`n` and `e` are not an RSA key")?;
    Ok(VerifyingKey::Rs256(Box::new(key)))
}

fn elliptic_curve_key(members: &Map<String, Value>) -> Result<VerifyingKey, &'static str> {
    if members.get("crv").is_none_or(|curve| curve != "P-256") {
        return Err("`crv` is not supported");
    }
    let (x, y) = (bytes(members, "x")?, bytes(members, "y")?);
    if x.len() != 32 || y.len() != 32 {
        return Err("a P-256 coordinate must have 32 bytes"); // RFC 7518 §6.2.1.2
    }
    let point = [&[4], x.as_slice(), y.as_slice()].concat(); // SEC 1: uncompressed
    let key = jwt_compact::alg::VerifyingKey::from_slice(&point)
        .map_err(|_| "the point is not on the curve")?;
    Ok(VerifyingKey::Es256(Box::new(key)))
}

fn edwards_key(members: &Map<String, Value>) -> Result<VerifyingKey, &'static str> {
    if members.get("crv").is_none_or(|curve| curve != "Ed25519") {
        return Err("`crv` is not supported");
    }
    let key = jwt_compact::alg::VerifyingKey::from_slice(&bytes(members, "x")?)
        .map_err(|_| "an Ed25519 key must have 32 bytes")?; // RFC 8037 §2
    Ok(VerifyingKey::EdDsa(key))
}

fn bytes(members: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, &'static str> {
    members
        .get(name)
        .and_then(Value::as_str)
        .and_then(base64url::decode)
        .ok_or("a key member is missing or is not base64url")
}

/// Number of bits of a big-endian integer.
fn bit_length(integer: &[u8]) -> usize {
    let significant = integer.iter().skip_while(|byte| **byte == 0);
    let leading = integer.iter().find(|byte| **byte != 0).map_or(0, |byte| byte.leading_zeros());
    (significant.count() * 8).saturating_sub(leading as usize)
}

impl fmt::Display for SkippedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "keys[{}]", self.index)?;
        if let Some(key_id) = &self.key_id {
            write!(formatter, " (`{key_id}`)")?;
        }
        write!(formatter, ": {}", self.reason)
    }
}

impl fmt::Display for JwkSetError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes } => {
                write!(formatter, "the JWK Set has {bytes} bytes, at most {MAX_JWK_SET_BYTES}")
            }
            Self::NotJson { message } => write!(formatter, "the JWK Set is not JSON: {message}"),
            Self::NotAJwkSet => formatter.write_str("a JWK Set is an object with an array `keys`"),
            Self::TooManyKeys => write!(formatter, "the JWK Set has more than {MAX_KEYS} keys"),
            Self::NoUsableKey { first } => {
                write!(formatter, "the JWK Set has no usable key; {first}")
            }
        }
    }
}

impl std::error::Error for JwkSetError {}

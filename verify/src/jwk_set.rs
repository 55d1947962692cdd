//! JWK Sets (RFC 7517 §5): from a document to the keys that can check a signature.

use std::fmt;

use jwt_compact::{
    alg::{Hs256Key, RsaPublicKey},
    jwk::JsonWebKey,
};
use serde_json::{Map, Value};

use crate::{
    algorithm::{Algorithm, Ed25519Key, VerifyingKey},
    base64url, json,
};

/// Largest JWK Set document that is read, in bytes.
pub const MAX_JWK_SET_BYTES: usize = 256 * 1024;
/// Most keys that a document may hold.
const MAX_KEYS: usize = 256;
/// How much of a `kid` a message shows.
const SHOWN_KEY_ID_CHARS: usize = 48;
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
}

impl JwkSet {
    /// Parses a JWK Set document. Keys that cannot be used are left out and listed by
    /// [`JwkSet::skipped`]. A set without any usable key is valid: it withdraws all others.
    ///
    /// # Errors
    ///
    /// [`JwkSetError`] where the document is no JWK Set.
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
        Ok(set)
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
    let key: Ed25519Key = jwt_compact::alg::VerifyingKey::from_slice(&bytes(members, "x")?)
        .map_err(|_| "`x` is not an Ed25519 key")?; // RFC 8037 §2
    if key.is_weak() {
        return Err("an Ed25519 key of small order fits any message"); // RFC 8032 §8.9
    }
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
            // The document is a stranger's text, and this one goes into a log.
            let shown = key_id.chars().take(SHOWN_KEY_ID_CHARS).flat_map(char::escape_debug);
            write!(formatter, " (`{}`)", shown.collect::<String>())?;
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
        }
    }
}

impl std::error::Error for JwkSetError {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    // RFC 7517 §A.1, RFC 7515 §A.2.1 and RFC 8037 §A.2.
    const EC_X: &str = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4";
    const EC_Y: &str = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM";
    const RSA_N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    const ED_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    const SECRET: &str =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";

    fn ec() -> Value {
        json!({"kty": "EC", "crv": "P-256", "x": EC_X, "y": EC_Y})
    }

    fn parse(keys: Value, kinds: KeyKinds) -> Result<JwkSet, JwkSetError> {
        JwkSet::parse(json!({ "keys": keys }).to_string().as_bytes(), kinds)
    }

    /// Why a key is left out; a good key stands beside it so that the set is a set.
    fn reason(mut key: Value, changes: Value) -> &'static str {
        for (name, value) in changes.as_object().unwrap() {
            key[name] = value.clone();
        }
        let set = parse(json!([ec(), key]), KeyKinds::WithSecrets).unwrap();
        assert_eq!(set.len() + set.skipped().len(), 2);
        set.skipped().first().map_or("", |skipped| skipped.reason)
    }

    #[test]
    fn takes_every_supported_kind_of_key() {
        let keys = json!([
            {"kid": "ec", "kty": "EC", "crv": "P-256", "x": EC_X, "y": EC_Y, "use": "sig"},
            {"kid": "rsa", "kty": "RSA", "n": RSA_N, "e": "AQAB", "alg": "RS256"},
            {"kid": "ed", "kty": "OKP", "crv": "Ed25519", "x": ED_X, "key_ops": ["verify"]},
            {"kid": "hs", "kty": "oct", "k": SECRET, "alg": "HS256", "unknown": {"a": 1}},
        ]);
        let set = parse(keys, KeyKinds::WithSecrets).unwrap();
        assert_eq!((set.len(), set.skipped()), (4, &[][..]));
        let algorithm = |kid| set.candidates(Some(kid)).next().unwrap().verifying.algorithm();
        assert_eq!(
            ["ec", "rsa", "ed", "hs"].map(algorithm),
            [Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa, Algorithm::Hs256]
        );
        assert!(set.contains("ec") && !set.contains("x"));
    }

    #[test]
    fn leaves_out_what_cannot_be_used_and_says_why() {
        let rsa = || json!({"kty": "RSA", "n": RSA_N, "e": "AQAB"});
        let hs = || json!({"kty": "oct", "k": SECRET});
        let ed = || json!({"kty": "OKP", "crv": "Ed25519", "x": ED_X});
        let weak = format!("AQ{}", "A".repeat(41));
        let even = format!("{}B", EC_Y.split_at(42).0);
        for (key, changes, expected) in [
            (ec(), json!({"d": EC_X}), "it holds private members"),
            (rsa(), json!({"dp": "AQAB"}), "it holds private members"),
            (ec(), json!({"use": "enc"}), "`use` is not `sig`"),
            (ec(), json!({"use": 1}), "`use` is not `sig`"),
            (ec(), json!({"key_ops": ["sign"]}), "`key_ops` does not allow `verify`"),
            (ec(), json!({"key_ops": "verify"}), "`key_ops` does not allow `verify`"),
            (ec(), json!({"kid": 1}), "`kid` is not a string"),
            (ec(), json!({"kty": "PBE"}), "`kty` is not supported"),
            (ec(), json!({"crv": "P-521"}), "`crv` is not supported"),
            (ec(), json!({"x": EC_Y}), "the point is not on the curve"),
            (ec(), json!({"x": "AQAB"}), "a P-256 coordinate must have 32 bytes"),
            (ec(), json!({"y": even}), "a key member is missing or is not base64url"),
            (ec(), json!({"alg": "ES384"}), "`alg` is not supported for this `kty`"),
            (ec(), json!({"alg": "RS256"}), "`alg` is not supported for this `kty`"),
            (ec(), json!({"alg": "none"}), "`alg` is not supported for this `kty`"),
            (
                rsa(),
                json!({"n": RSA_N.split_at(340).0}),
                "an RSA modulus must have at least 2048 bits",
            ),
            (rsa(), json!({"n": RSA_N.repeat(4)}), "an RSA modulus may have at most 4096 bits"),
            (rsa(), json!({"e": "AQ"}), "an RSA exponent must be odd and at least 3"),
            (rsa(), json!({"e": "AQAA"}), "an RSA exponent must be odd and at least 3"),
            (rsa(), json!({"e": 3}), "a key member is missing or is not base64url"),
            (ed(), json!({"x": "AQ"}), "`x` is not an Ed25519 key"),
            (ed(), json!({"x": weak}), "an Ed25519 key of small order fits any message"),
            (hs(), json!({"k": "c2hvcnQ"}), "an HS256 secret must have at least 256 bits"),
        ] {
            assert_eq!(reason(key, changes.clone()), expected, "{changes}");
        }
        assert_eq!(reason(rsa(), json!({})), "");
    }

    #[test]
    fn keeps_symmetric_keys_out_of_public_sets() {
        let set = parse(json!([ec(), {"kty": "oct", "k": SECRET}]), KeyKinds::PublicOnly).unwrap();
        assert_eq!(set.len(), 1);
        assert_eq!(set.skipped()[0].to_string(), "keys[1]: a symmetric key cannot be public");
    }

    #[test]
    fn tells_a_set_without_keys_from_a_bad_document() {
        assert!(parse(json!([]), KeyKinds::PublicOnly).unwrap().is_empty());
        for document in ["", "[]", "{}", r#"{"keys": {}}"#, r#"{"keys": [1]}"#] {
            assert!(
                JwkSet::parse(document.as_bytes(), KeyKinds::PublicOnly).is_err(),
                "{document}"
            );
        }
        let twice = r#"{"keys": [], "keys": []}"#;
        let error = JwkSet::parse(twice.as_bytes(), KeyKinds::PublicOnly).unwrap_err();
        assert!(error.to_string().contains("stands twice"), "{error}");
        let kid = format!("k\n{}", "x".repeat(100));
        let set = parse(json!([{"kid": kid, "kty": "EC"}]), KeyKinds::PublicOnly).unwrap();
        let shown = format!("keys[0] (`k\\n{}`): `crv` is not supported", "x".repeat(46));
        assert_eq!((set.len(), set.skipped()[0].to_string()), (0, shown));
        let many = parse(json!(vec![json!({}); MAX_KEYS + 1]), KeyKinds::PublicOnly);
        assert!(matches!(many, Err(JwkSetError::TooManyKeys)));
        let large = vec![b' '; MAX_JWK_SET_BYTES + 1];
        let large = JwkSet::parse(&large, KeyKinds::PublicOnly);
        assert!(matches!(large, Err(JwkSetError::TooLarge { .. })));
    }

    #[test]
    fn debug_output_hides_the_secret() {
        let set = parse(json!([{"kty": "oct", "k": SECRET}]), KeyKinds::WithSecrets).unwrap();
        let text = format!("{set:?}");
        assert!(text.contains("HS256, [redacted]") && !text.contains("AyM1"), "{text}");
    }
}

//! JSON Web Keys (RFC 7517 §4): from members to a key that checks signatures of one algorithm.

use jwt_compact::alg::{Hs256Key, Hs384Key, Hs512Key, Rsa, RsaPublicKey};
use rsa::BigUint;
use serde_json::{Map, Value};

#[cfg(feature = "es256k")]
use crate::signature::Secp256k1Key;
use crate::{
    algorithm::Algorithm,
    base64url,
    signature::{
        Ed25519Key, Native, P256Key, P384Key, P521Key, PublicKey, RsaKey, Secret, VerifyingKey,
    },
};

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

/// Takes a key, or says why it cannot be used. Never quotes key material.
pub(crate) fn parse(
    members: &Map<String, Value>,
    kinds: KeyKinds,
) -> Result<VerifyingKey, &'static str> {
    let key_type = members.get("kty").and_then(Value::as_str).ok_or("`kty` is missing")?;
    if members.get("kid").is_some_and(|kid| !kid.is_string()) {
        return Err("`kid` is not a string");
    }
    if PRIVATE_MEMBERS.iter().any(|name| members.contains_key(*name)) {
        return Err("it holds private members");
    }
    allows_verifying(members)?;
    let algorithm = match members.get("alg") {
        None => default_algorithm(members, key_type),
        Some(Value::String(name)) => Algorithm::from_name(name),
        Some(_) => None,
    };
    let unsupported = "`alg` is not supported for this `kty`";
    match key_type {
        "oct" if kinds == KeyKinds::PublicOnly => Err("a symmetric key cannot be public"),
        "oct" => symmetric_key(members, algorithm.ok_or(unsupported)?),
        "RSA" | "EC" | "OKP" => {
            let native = public_key(members, key_type, algorithm)?;
            let algorithm = algorithm.ok_or(unsupported)?;
            let members = constituents(members, key_type);
            Ok(VerifyingKey::Public(Box::new((PublicKey { algorithm, members }, native))))
        }
        _ => Err("`kty` is not supported"),
    }
}

/// A key is for one algorithm. Where it does not name it, its type does, or the type's oldest.
fn default_algorithm(members: &Map<String, Value>, key_type: &str) -> Option<Algorithm> {
    let curve = members.get("crv").and_then(Value::as_str);
    match (key_type, curve) {
        ("oct", _) => Some(Algorithm::Hs256),
        ("RSA", _) => Some(Algorithm::Rs256),
        ("EC", Some("P-256")) => Some(Algorithm::Es256),
        ("EC", Some("P-384")) => Some(Algorithm::Es384),
        ("EC", Some("P-521")) => Some(Algorithm::Es512),
        #[cfg(feature = "es256k")]
        ("EC", Some("secp256k1")) => Some(Algorithm::Es256k),
        ("OKP", Some("Ed25519")) => Some(Algorithm::EdDsa),
        _ => None,
    }
}

/// The members that make up a public key, without what describes it (RFC 7638 §3.2).
fn constituents(members: &Map<String, Value>, key_type: &str) -> Map<String, Value> {
    let names: &[&str] = match key_type {
        "RSA" => &["kty", "n", "e"],
        "EC" => &["kty", "crv", "x", "y"],
        _ => &["kty", "crv", "x"],
    };
    // One by one: `collect` would sort them first, with kilobytes of Wasm.
    let mut kept = Map::new();
    for name in names {
        if let Some(value) = members.get(*name) {
            kept.insert((*name).to_owned(), value.clone());
        }
    }
    kept
}

fn public_key(
    members: &Map<String, Value>,
    key_type: &str,
    algorithm: Option<Algorithm>,
) -> Result<Native, &'static str> {
    match key_type {
        "RSA" => rsa_key(members, algorithm),
        "EC" => elliptic_curve_key(members, algorithm),
        _ => edwards_key(members, algorithm),
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

fn symmetric_key(
    members: &Map<String, Value>,
    algorithm: Algorithm,
) -> Result<VerifyingKey, &'static str> {
    let secret = bytes(members, "k")?;
    // RFC 7518 §3.2: at least as long as the hash.
    let (least, key) = match algorithm {
        Algorithm::Hs256 => (32, Secret::Hs256(Hs256Key::new(&secret))),
        Algorithm::Hs384 => (48, Secret::Hs384(Hs384Key::new(&secret))),
        Algorithm::Hs512 => (64, Secret::Hs512(Hs512Key::new(&secret))),
        _ => return Err("`alg` is not supported for this `kty`"),
    };
    if secret.len() < least {
        return Err("a secret must have at least as many bits as the hash of its algorithm");
    }
    Ok(VerifyingKey::Secret(key))
}

fn rsa_key(
    members: &Map<String, Value>,
    algorithm: Option<Algorithm>,
) -> Result<Native, &'static str> {
    let algorithm = match algorithm {
        Some(Algorithm::Rs256) => Rsa::rs256(),
        Some(Algorithm::Rs384) => Rsa::rs384(),
        Some(Algorithm::Rs512) => Rsa::rs512(),
        Some(Algorithm::Ps256) => Rsa::ps256(),
        Some(Algorithm::Ps384) => Rsa::ps384(),
        Some(Algorithm::Ps512) => Rsa::ps512(),
        _ => return Err("`alg` is not supported for this `kty`"),
    };
    let mut modulus = bytes(members, "n")?;
    modulus.drain(..modulus.iter().take_while(|byte| **byte == 0).count());
    let public_exponent = bytes(members, "e")?;
    match bit_length(&modulus) {
        0..2048 => return Err("an RSA modulus must have at least 2048 bits"), // RFC 7518 §3.3
        2048..=4096 => {}
        _ => return Err("an RSA modulus may have at most 4096 bits"),
    }
    if bit_length(&public_exponent) < 2 || public_exponent.last().is_none_or(|byte| byte % 2 == 0) {
        return Err("an RSA exponent must be odd and at least 3");
    }
    let key = RsaPublicKey::new(
        BigUint::from_bytes_be(&modulus),
        BigUint::from_bytes_be(&public_exponent),
    )
    .map_err(|_| "`n` and `e` are not an RSA key")?;
    Ok(Native::Rsa(RsaKey { algorithm, key, modulus }))
}

fn elliptic_curve_key(
    members: &Map<String, Value>,
    algorithm: Option<Algorithm>,
) -> Result<Native, &'static str> {
    let off_curve = "the point is not on the curve";
    match (members.get("crv").and_then(Value::as_str), algorithm) {
        (Some("P-256"), Some(Algorithm::Es256)) => {
            let key = P256Key::from_sec1_bytes(&point(members, 32)?);
            key.map(Native::P256).map_err(|_| off_curve)
        }
        (Some("P-384"), Some(Algorithm::Es384)) => {
            let key = P384Key::from_sec1_bytes(&point(members, 48)?);
            key.map(Native::P384).map_err(|_| off_curve)
        }
        (Some("P-521"), Some(Algorithm::Es512)) => {
            let key = P521Key::from_sec1_bytes(&point(members, 66)?);
            key.map(Native::P521).map_err(|_| off_curve)
        }
        #[cfg(feature = "es256k")]
        (Some("secp256k1"), Some(Algorithm::Es256k)) => {
            let key = Secp256k1Key::from_sec1_bytes(&point(members, 32)?);
            key.map(Native::Secp256k1).map_err(|_| off_curve)
        }
        (_, None) if members.get("alg").is_none() => Err("`crv` is not supported"),
        _ => Err("`alg` is not supported for this `kty`"),
    }
}

/// The uncompressed point (SEC 1 §2.3.3) of a key whose coordinates have this many bytes.
fn point(members: &Map<String, Value>, length: usize) -> Result<Vec<u8>, &'static str> {
    let (x, y) = (bytes(members, "x")?, bytes(members, "y")?);
    if x.len() != length || y.len() != length {
        return Err("a coordinate has not the length of its curve"); // RFC 7518 §6.2.1.2
    }
    Ok([&[4], x.as_slice(), y.as_slice()].concat())
}

fn edwards_key(
    members: &Map<String, Value>,
    algorithm: Option<Algorithm>,
) -> Result<Native, &'static str> {
    if members.get("crv").is_none_or(|curve| curve != "Ed25519") {
        return Err("`crv` is not supported");
    }
    if algorithm != Some(Algorithm::EdDsa) {
        return Err("`alg` is not supported for this `kty`");
    }
    let not_a_key = "`x` is not an Ed25519 key"; // RFC 8037 §2
    let encoded = bytes(members, "x")?.try_into().map_err(|_| not_a_key)?;
    let key = Ed25519Key::from_bytes(&encoded).map_err(|_| not_a_key)?;
    if key.is_weak() {
        return Err("an Ed25519 key of small order fits any message"); // RFC 8032 §8.9
    }
    Ok(Native::Ed25519(key))
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

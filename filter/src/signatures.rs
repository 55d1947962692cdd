//! The proxy's own cryptography, through its foreign function `verify_signature`: many times as fast
//! as Wasm. Envoy has it for RSASSA-PKCS1-v1_5 and for ECDSA; the core does the rest.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use der::{
    Encode, Sequence,
    asn1::{AnyRef, BitStringRef, Null, UintRef},
    oid::ObjectIdentifier,
};
use postern_verify::{Algorithm, PublicKey, SignatureVerifier, check_signature_algorithm};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use crate::host::{self, LogLevel};

/// RFC 8017 §A.1.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// RFC 5480 §2.1.1, and the curves of §2.1.1.1.
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// How many keys are kept in the form that the proxy wants. A policy with more of them makes that
/// form anew now and then.
const MAX_KEYS: usize = 256;

/// Asks the proxy, for algorithms that it is known to check as it has to. Where it does not answer,
/// the core does.
///
/// That is found out when a key of an algorithm is first used, once in a process: at the start it
/// would be a tenth of a second, most of it for curves that hardly anyone uses.
#[derive(Default)]
pub(crate) struct ProxySignatures {
    proxy: Proxy,
    trusted: RefCell<BTreeMap<&'static str, bool>>,
}

/// The proxy, trusted or not.
#[derive(Default)]
struct Proxy {
    /// Keys as DER of a `SubjectPublicKeyInfo`.
    keys: RefCell<Vec<(PublicKey, Vec<u8>)>>,
    answered: Cell<bool>,
}

/// RSASSA-PKCS1-v1_5 needs both numbers (RFC 8017 §A.1.1).
#[derive(Sequence)]
struct RsaNumbers<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

/// An ECDSA signature as the rest of the world spells it (RFC 3279 §2.2.3).
#[derive(Sequence)]
struct EcdsaSignature<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

impl SignatureVerifier for ProxySignatures {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Option<bool> {
        hash(key.algorithm())?;
        let is_trusted = self.is_trusted(key.algorithm())?;
        if is_trusted { self.proxy.verify(key, message, signature) } else { None }
    }
}

impl ProxySignatures {
    /// Whether the proxy checks signatures of this algorithm as it has to.
    fn is_trusted(&self, algorithm: Algorithm) -> Option<bool> {
        let mut trusted = self.trusted.try_borrow_mut().ok()?;
        let name = algorithm.name();
        Some(*trusted.entry(name).or_insert_with(|| self.proxy.is_to_be_trusted(algorithm)))
    }
}

impl SignatureVerifier for Proxy {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Option<bool> {
        let hash = hash(key.algorithm())?;
        self.with_der(key, |der| {
            let signature = match curve_bytes(key.algorithm()) {
                Some(bytes) if signature.len() != 2 * bytes => return Some(false),
                Some(bytes) => ecdsa_der(signature, bytes)?,
                None => signature.to_vec(),
            };
            let verdict = host::verify_signature(hash, der, &signature, message);
            self.answered.set(self.answered.get() || verdict.is_some());
            verdict
        })
    }
}

impl Proxy {
    /// What another thread has found out, or what the proxy answers to the core's questions.
    fn is_to_be_trusted(&self, algorithm: Algorithm) -> bool {
        let key = format!("postern signatures {}", algorithm.name());
        let is_shared = host::has_own_vm_id();
        if let Some((known, _)) = is_shared.then(|| host::shared(&key)).flatten() {
            return known == [1];
        }
        self.answered.set(false);
        let found = check_signature_algorithm(self, algorithm);
        let is_trusted = found.is_ok() && self.answered.get();
        let (level, message) = match found {
            Err(wrong) => (LogLevel::Warn, format!("does not, and is not asked: {wrong}")),
            Ok(()) if is_trusted => (LogLevel::Info, format!("checks {}", algorithm.name())),
            Ok(()) => (LogLevel::Info, format!("has no {}", algorithm.name())),
        };
        host::log(level, &format!("postern: the proxy's cryptography {message}"));
        if is_shared {
            host::share(&key, &[u8::from(is_trusted)], 0);
        }
        is_trusted
    }

    fn with_der<T>(&self, key: &PublicKey, ask: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
        let mut keys = self.keys.try_borrow_mut().ok()?;
        if let Some((_, der)) = keys.iter().find(|(known, _)| known == key) {
            return ask(der);
        }
        if keys.len() >= MAX_KEYS {
            keys.clear();
        }
        keys.push((key.clone(), public_key_der(key)?));
        ask(&keys.last()?.1)
    }
}

fn hash(algorithm: Algorithm) -> Option<&'static str> {
    match algorithm {
        Algorithm::Rs256 | Algorithm::Es256 => Some("sha256"),
        Algorithm::Rs384 | Algorithm::Es384 => Some("sha384"),
        Algorithm::Rs512 | Algorithm::Es512 => Some("sha512"),
        _ => None,
    }
}

/// The length of a coordinate, for curves.
fn curve_bytes(algorithm: Algorithm) -> Option<usize> {
    match algorithm {
        Algorithm::Es256 => Some(32),
        Algorithm::Es384 => Some(48),
        Algorithm::Es512 => Some(66),
        _ => None,
    }
}

fn ecdsa_der(signature: &[u8], bytes: usize) -> Option<Vec<u8>> {
    let (r, s) = signature.split_at_checked(bytes)?;
    EcdsaSignature { r: UintRef::new(r).ok()?, s: UintRef::new(s).ok()? }.to_der().ok()
}

/// RFC 5280 §4.1.2.7, with the parameters of RFC 3279 §2.3.1 and RFC 5480 §2.1.1.
fn public_key_der(key: &PublicKey) -> Option<Vec<u8>> {
    let member =
        |name: &str| URL_SAFE_NO_PAD.decode(key.jwk().get(name)?.as_str()?.as_bytes()).ok();
    let curve = match key.algorithm() {
        Algorithm::Es256 => P256,
        Algorithm::Es384 => P384,
        Algorithm::Es512 => P521,
        _ => {
            let (modulus, exponent) = (member("n")?, member("e")?);
            let numbers = RsaNumbers {
                modulus: UintRef::new(&modulus).ok()?,
                exponent: UintRef::new(&exponent).ok()?,
            };
            return info(RSA, AnyRef::from(Null), &numbers.to_der().ok()?);
        }
    };
    // SEC 1 §2.3.3: an uncompressed point.
    let point = [vec![4], member("x")?, member("y")?].concat();
    info(EC, AnyRef::from(&curve), &point)
}

fn info(oid: ObjectIdentifier, parameters: AnyRef<'_>, key: &[u8]) -> Option<Vec<u8>> {
    let algorithm = AlgorithmIdentifierRef { oid, parameters: Some(parameters) };
    let subject_public_key = BitStringRef::from_bytes(key).ok()?;
    SubjectPublicKeyInfoRef { algorithm, subject_public_key }.to_der().ok()
}

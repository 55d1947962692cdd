//! The proxy's own cryptography, through its foreign function `verify_signature`: many times as fast
//! as Wasm. Envoy has it for RSASSA-PKCS1-v1_5 and for ECDSA; the core does the rest.

use std::cell::{Cell, RefCell};

use base64ct::{Base64UrlUnpadded, Encoding};
use der::{
    Encode, Sequence,
    asn1::{AnyRef, BitStringRef, Null, UintRef},
    oid::ObjectIdentifier,
};
use postern_verify::{Algorithm, PublicKey, SignatureVerifier, check_signature_verifier};
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

/// Where all threads find what the first one to ask has found out about the proxy: to ask takes a
/// tenth of a second, for each policy, in each thread, in which no request is answered.
const FINDING: &str = "postern signatures";
const USED: &[u8] = b"used";
const NOT_USED: &[u8] = b"not used";

/// The proxy's cryptography, if there is any and it does what it has to.
pub(crate) fn of_the_proxy() -> Option<ProxySignatures> {
    let finding = host::shared(FINDING).map(|(finding, _)| finding);
    let is_used = match finding.as_deref() {
        Some(USED) => true,
        Some(NOT_USED) => false,
        _ => {
            let is_used = does_what_it_has_to();
            // Whoever cannot read it asks again.
            host::share(FINDING, if is_used { USED } else { NOT_USED }, 0);
            is_used
        }
    };
    is_used.then(ProxySignatures::default)
}

fn does_what_it_has_to() -> bool {
    let signatures = ProxySignatures::default();
    match check_signature_verifier(&signatures) {
        Ok(()) if signatures.answers() => {
            host::log(LogLevel::Info, "postern: the proxy's cryptography checks signatures");
            true
        }
        Ok(()) => false,
        Err(wrong) => {
            let message = format!("postern: the proxy's cryptography is not used: {wrong}");
            host::log(LogLevel::Warn, &message);
            false
        }
    }
}

/// Asks the proxy. Where it does not answer, the core does.
#[derive(Default)]
pub(crate) struct ProxySignatures {
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

impl ProxySignatures {
    /// Whether the proxy has ever answered.
    fn answers(&self) -> bool {
        self.answered.get()
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
    let member = |name: &str| Base64UrlUnpadded::decode_vec(key.jwk().get(name)?.as_str()?).ok();
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

//! The host's own cryptography, through the module `node:crypto`, which Node and workerd have: many
//! times as fast as Wasm, and synchronous.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use der::{Encode, Sequence, asn1::UintRef};
use js_sys::{JSON, Reflect};
use postern_verify::{Algorithm, PublicKey, SignatureVerifier, check_signature_algorithm};
use serde_json::json;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

/// How many keys are kept in the form that the host wants. A policy with more of them makes that
/// form anew now and then.
const MAX_KEYS: usize = 256;
/// `crypto.constants.RSA_PKCS1_PSS_PADDING`
const PSS_PADDING: u32 = 6;
/// How long an Ed25519 signature is (RFC 8032 §5.1.6).
const ED25519_BYTES: usize = 64;

#[wasm_bindgen]
extern "C" {
    /// The module `node:crypto`.
    #[derive(Clone, Debug)]
    pub type NodeCrypto;

    #[wasm_bindgen(method, catch, js_name = createPublicKey)]
    fn create_public_key(this: &NodeCrypto, key: &JsValue) -> Result<JsValue, JsValue>;

    /// The host reads both slices in place, while the call lasts.
    #[wasm_bindgen(method, catch)]
    fn verify(
        this: &NodeCrypto,
        digest: &JsValue,
        message: &[u8],
        key: &JsValue,
        signature: &[u8],
    ) -> Result<bool, JsValue>;
}

/// Asks the host, for algorithms that it is known to check as it has to. Where it does not answer,
/// the core does.
///
/// That is found out when a key of an algorithm is first used: at the start, it would be time for
/// algorithms that nobody uses.
pub struct NodeSignatures {
    host: Host,
    trusted: RefCell<BTreeMap<&'static str, bool>>,
    warn: fn(&str),
}

/// The host, trusted or not.
struct Host {
    crypto: NodeCrypto,
    keys: RefCell<Vec<(PublicKey, HostKey)>>,
    answered: Cell<bool>,
}

/// A key as the host wants it.
struct HostKey {
    /// A `KeyObject`.
    key: JsValue,
    /// The name of the digest; null where the algorithm has one of its own.
    digest: JsValue,
}

/// An ECDSA signature as hosts take it (RFC 3279 §2.2.3). `dsaEncoding` says that one is of JWS's form,
/// but workerd does not take that with a `KeyObject`.
#[derive(Sequence)]
struct EcdsaSignature<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

impl NodeSignatures {
    /// Checks signatures with `crypto`, and tells `warn` of an algorithm that it does not check as it
    /// has to.
    #[must_use]
    pub fn new(crypto: NodeCrypto, warn: fn(&str)) -> Self {
        let (keys, answered) = (RefCell::default(), Cell::default());
        Self { host: Host { crypto, keys, answered }, trusted: RefCell::default(), warn }
    }

    fn is_trusted(&self, algorithm: Algorithm) -> Option<bool> {
        let mut trusted = self.trusted.try_borrow_mut().ok()?;
        Some(*trusted.entry(algorithm.name()).or_insert_with(|| {
            self.host.is_to_be_trusted(algorithm).unwrap_or_else(|wrong| {
                (self.warn)(&format!("node:crypto is not asked to check signatures: {wrong}"));
                false
            })
        }))
    }
}

impl SignatureVerifier for NodeSignatures {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Option<bool> {
        digest(key.algorithm())?;
        let is_trusted = self.is_trusted(key.algorithm())?;
        if is_trusted { self.host.verify(key, message, signature) } else { None }
    }
}

impl SignatureVerifier for Host {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Option<bool> {
        if !has_length(key.algorithm(), signature) {
            return Some(false);
        }
        let der;
        let signature = match curve_bytes(key.algorithm()) {
            Some(bytes) => {
                der = ecdsa_der(signature, bytes)?;
                &der[..]
            }
            None => signature,
        };
        let verdict = self.with_key(key, |HostKey { key, digest }| {
            self.crypto.verify(digest, message, key, signature).ok()
        });
        self.answered.set(self.answered.get() || verdict.is_some());
        verdict
    }
}

impl Host {
    /// Whether it answers the core's questions, and as it has to.
    fn is_to_be_trusted(&self, algorithm: Algorithm) -> Result<bool, String> {
        self.answered.set(false);
        check_signature_algorithm(self, algorithm).map(|()| self.answered.get())
    }

    fn with_key<T>(&self, key: &PublicKey, ask: impl FnOnce(&HostKey) -> Option<T>) -> Option<T> {
        let mut keys = self.keys.try_borrow_mut().ok()?;
        if let Some((_, host_key)) = keys.iter().find(|(known, _)| known == key) {
            return ask(host_key);
        }
        if keys.len() >= MAX_KEYS {
            keys.clear();
        }
        keys.push((key.clone(), self.host_key(key)?));
        ask(&keys.last()?.1)
    }

    fn host_key(&self, key: &PublicKey) -> Option<HostKey> {
        let Digest { name, pss_salt } = digest(key.algorithm())?;
        let options = json!({ "key": key.jwk(), "format": "jwk" }).to_string();
        let host_key = self.crypto.create_public_key(&JSON::parse(&options).ok()?).ok()?;
        if let Some(bytes) = pss_salt {
            // An object with a `KeyObject` and these in it is refused by workerd; the `KeyObject`
            // itself may have them everywhere.
            for (member, value) in [("padding", PSS_PADDING), ("saltLength", bytes)] {
                Reflect::set(&host_key, &member.into(), &value.into()).ok()?;
            }
        }
        let digest = name.map_or(JsValue::NULL, JsValue::from_str);
        Some(HostKey { key: host_key, digest })
    }
}

/// What an algorithm makes of a message before it signs that.
struct Digest {
    name: Option<&'static str>,
    /// For RSASSA-PSS, the bytes of salt: as many as of the digest (RFC 7518 §3.5).
    pss_salt: Option<u32>,
}

fn digest(algorithm: Algorithm) -> Option<Digest> {
    let (name, pss_salt) = match algorithm {
        Algorithm::Rs256 | Algorithm::Es256 => (Some("sha256"), None),
        Algorithm::Rs384 | Algorithm::Es384 => (Some("sha384"), None),
        Algorithm::Rs512 | Algorithm::Es512 => (Some("sha512"), None),
        Algorithm::Ps256 => (Some("sha256"), Some(32)),
        Algorithm::Ps384 => (Some("sha384"), Some(48)),
        Algorithm::Ps512 => (Some("sha512"), Some(64)),
        Algorithm::EdDsa => (None, None),
        _ => return None,
    };
    Some(Digest { name, pss_salt })
}

fn has_length(algorithm: Algorithm, signature: &[u8]) -> bool {
    match (algorithm, curve_bytes(algorithm)) {
        (Algorithm::EdDsa, _) => signature.len() == ED25519_BYTES,
        (_, Some(bytes)) => signature.len() == 2 * bytes,
        (_, None) => true,
    }
}

/// The length of a coordinate, for ECDSA's curves.
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

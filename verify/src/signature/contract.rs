//! What a [`SignatureVerifier`] has to answer: known signatures, right and wrong ones.

mod forms;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{PublicKey, SignatureVerifier, VerifyingKey};
use crate::{
    algorithm::Algorithm,
    base64url, json,
    jwk::KeyKinds,
    jwk_set::JwkSet,
    read::{FromValue, objects},
};

objects! {
    struct KnownAnswers {
        message: String,
        /// The group orders of the elliptic curves: big-endian, but for `EdDSA`'s.
        orders: BTreeMap<String, String>,
        /// Two keys of each algorithm. The RSA ones share their moduli.
        answers: Vec<KnownAnswer>,
    }

    struct KnownAnswer {
        alg: String,
        jwk: Value,
        signatures: Vec<String>,
        /// Signatures by the same private key that its algorithm does not make, and what they are.
        wrong: BTreeMap<String, String> = default,
    }
}

/// A key, and what it signed.
struct Known {
    key: PublicKey,
    order: Option<Vec<u8>>,
    signatures: Vec<Vec<u8>>,
    wrong: Vec<(String, Vec<u8>)>,
}

/// The verifier under test, and the message that all known signatures are of.
#[derive(Clone, Copy)]
struct Trial<'a> {
    verifier: &'a dyn SignatureVerifier,
    message: &'a [u8],
}

/// Asks a verifier for known answers, right and wrong ones, of every asymmetric algorithm: forms
/// that a conversion gets wrong, two keys in turns, and signatures of one key by other algorithms.
/// An adapter may run this once at its start, before it trusts what a host offers.
///
/// # Errors
///
/// The first algorithm for which the answer was wrong, and to what. `None` is never wrong, and
/// `Some(false)` is wrong for a right signature only.
pub fn check_signature_verifier(verifier: &dyn SignatureVerifier) -> Result<(), String> {
    check(verifier, |_| true)
}

/// Does what [`check_signature_verifier`] does for one algorithm: an adapter may put it off until a
/// key of it is used.
///
/// # Errors
///
/// As there.
pub fn check_signature_algorithm(
    verifier: &dyn SignatureVerifier,
    algorithm: Algorithm,
) -> Result<(), String> {
    check(verifier, |checked| checked == algorithm)
}

fn check(
    verifier: &dyn SignatureVerifier,
    is_checked: impl Fn(Algorithm) -> bool,
) -> Result<(), String> {
    let unreadable = |error: String| format!("the known answers cannot be read: {error}");
    let document = json::parse(include_bytes!("known_answers.json"))
        .map_err(|error| unreadable(error.to_string()))?;
    let answers =
        KnownAnswers::from_value(&document).map_err(|error| unreadable(error.to_string()))?;
    let known = answers.read().map_err(|algorithm| unreadable(algorithm.to_owned()))?;
    let trial = Trial { verifier, message: answers.message.as_bytes() };
    let chunks = known.chunk_by(|one, other| one.algorithm() == other.algorithm());
    for keys in chunks.filter(|keys| keys.iter().any(|key| is_checked(key.algorithm()))) {
        let of_algorithm = |what| format!("{}: {what}", keys.first().map_or("", Known::name));
        trial.one_algorithm(keys).map_err(of_algorithm)?;
    }
    for (one, other) in pairs(&known).filter(|(one, _)| is_checked(one.algorithm())) {
        if one.algorithm() != other.algorithm() && one.key.jwk() == other.key.jwk() {
            trial.one_modulus(one, other).map_err(|what| format!("{}: {what}", one.name()))?;
        }
    }
    Ok(())
}

impl KnownAnswers {
    /// What the build supports, or the algorithm that has an unreadable answer.
    fn read(&self) -> Result<Vec<Known>, &str> {
        let supported = |answer: &&KnownAnswer| Algorithm::from_name(&answer.alg).is_some();
        let order = |answer: &KnownAnswer| self.orders.get(&answer.alg).map(String::as_str);
        let known = |answer: &KnownAnswer| answer.read(order(answer));
        let read = |answer| known(answer).ok_or(answer.alg.as_str());
        self.answers.iter().filter(supported).map(read).collect()
    }
}

impl KnownAnswer {
    fn read(&self, order: Option<&str>) -> Option<Known> {
        let decode = |text: &String| base64url::decode(text);
        let wrong = |(name, text)| Some((format!("a signature with {name}"), decode(text)?));
        Some(Known {
            key: public_key(&self.jwk)?,
            order: order.map_or(Some(None), |order| base64url::decode(order).map(Some))?,
            signatures: self.signatures.iter().map(decode).collect::<Option<_>>()?,
            wrong: self.wrong.iter().map(wrong).collect::<Option<_>>()?,
        })
    }
}

impl Known {
    fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    fn name(&self) -> &'static str {
        self.algorithm().name()
    }
}

impl Trial<'_> {
    /// Each key by itself, and then in turns: a host may keep one key, or a verdict, too long.
    fn one_algorithm(self, keys: &[Known]) -> Result<(), String> {
        let Some((first, others)) = keys.split_first() else { return Ok(()) };
        self.one_key(first)?;
        for second in others {
            for (key, other) in [(first, second), (second, first), (first, second)] {
                self.takes_all_of(key, "of another key than before")?;
                self.refuses_all_of(other, key, "the signature of another key")?;
            }
            self.one_key(second)?;
        }
        Ok(())
    }

    fn one_key(self, known: &Known) -> Result<(), String> {
        self.takes_all_of(known, "")?;
        for signature in &known.signatures {
            for (what, message) in [("another", &b"another message"[..]), ("an empty", b"")] {
                let trial = Self { message, ..self };
                trial.refuses(known, signature, &format!("a signature of {what} message"))?;
            }
            for (what, form) in forms::wrong(known, signature) {
                self.refuses(known, &form, what)?;
            }
            if let Some(twin) = forms::twin(known, signature) {
                self.takes(known, &twin, "with n - s for s")?;
            }
        }
        known.wrong.iter().try_for_each(|(what, form)| self.refuses(known, form, what))
    }

    /// RSA keys of one modulus: the key's algorithm decides, not what fits.
    fn one_modulus(self, one: &Known, other: &Known) -> Result<(), String> {
        self.takes_all_of(other, "")?;
        self.refuses_all_of(other, one, &format!("a signature by {}", other.name()))?;
        self.takes_all_of(one, &format!("after one by {}", other.name()))
    }

    fn takes_all_of(self, known: &Known, which: &str) -> Result<(), String> {
        known.signatures.iter().try_for_each(|signature| self.takes(known, signature, which))
    }

    fn takes(self, known: &Known, signature: &[u8], which: &str) -> Result<(), String> {
        if self.verifier.verify(&known.key, self.message, signature) == Some(false) {
            let space = if which.is_empty() { "" } else { " " };
            return Err(format!("a right signature{space}{which} was refused"));
        }
        Ok(())
    }

    fn refuses_all_of(self, signer: &Known, key: &Known, what: &str) -> Result<(), String> {
        signer.signatures.iter().try_for_each(|signature| self.refuses(key, signature, what))
    }

    fn refuses(self, known: &Known, signature: &[u8], what: &str) -> Result<(), String> {
        if self.verifier.verify(&known.key, self.message, signature) == Some(true) {
            return Err(format!("{what} was accepted"));
        }
        Ok(())
    }
}

fn pairs<T>(items: &[T]) -> impl Iterator<Item = (&T, &T)> {
    items.iter().flat_map(move |one| items.iter().map(move |other| (one, other)))
}

fn public_key(jwk: &Value) -> Option<PublicKey> {
    let document = json!({ "keys": [jwk] }).to_string();
    let set = JwkSet::parse(document.as_bytes(), KeyKinds::PublicOnly).ok()?;
    match &set.candidates(None).next()?.verifying {
        VerifyingKey::Public(key) => Some(key.0.clone()),
        VerifyingKey::Secret(_) => None,
    }
}

#[cfg(test)]
mod tests;

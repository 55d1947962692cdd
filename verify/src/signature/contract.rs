//! What a [`SignatureVerifier`] has to answer: known signatures, right and wrong ones.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{PublicKey, SignatureVerifier, VerifyingKey};
use crate::{algorithm::Algorithm, base64url, jwk::KeyKinds, jwk_set::JwkSet};

#[derive(Deserialize)]
struct KnownAnswers {
    message: String,
    answers: Vec<KnownAnswer>,
}

#[derive(Deserialize)]
struct KnownAnswer {
    alg: String,
    jwk: Value,
    signature: String,
}

/// Asks a verifier for known answers, right and wrong ones, of every asymmetric algorithm. An
/// adapter may run this once at its start, before it trusts what a host offers.
///
/// # Errors
///
/// The first algorithm for which the answer was wrong, and to what. `None` is never wrong.
pub fn check_signature_verifier(verifier: &dyn SignatureVerifier) -> Result<(), String> {
    let known: KnownAnswers = serde_json::from_str(include_str!("known_answers.json"))
        .map_err(|error| format!("the known answers cannot be read: {error}"))?;
    for answer in &known.answers {
        if Algorithm::from_name(&answer.alg).is_some() {
            check_answer(verifier, answer, known.message.as_bytes())
                .map_err(|what| format!("{}: {what}", answer.alg))?;
        }
    }
    Ok(())
}

fn check_answer(
    verifier: &dyn SignatureVerifier,
    answer: &KnownAnswer,
    message: &[u8],
) -> Result<(), &'static str> {
    let key = public_key(&answer.jwk).ok_or("the known key cannot be read")?;
    let signature = base64url::decode(&answer.signature).ok_or("the known signature is broken")?;
    if verifier.verify(&key, message, &signature) == Some(false) {
        return Err("a right signature was refused");
    }
    let accepts =
        |message: &[u8], signature: &[u8]| verifier.verify(&key, message, signature) == Some(true);
    let (shorter, longer) = (signature.split_last().map(|(_, rest)| rest), [&signature[..], &[0]]);
    for (what, accepted) in [
        ("a signature of another message was accepted", accepts(b"another message", &signature)),
        ("a signature of an empty message was accepted", accepts(b"", &signature)),
        ("a changed first byte was accepted", accepts(message, &changed(&signature, 0))),
        (
            "a changed last byte was accepted",
            accepts(message, &changed(&signature, signature.len().saturating_sub(1))),
        ),
        ("a shortened signature was accepted", accepts(message, shorter.unwrap_or_default())),
        ("a lengthened signature was accepted", accepts(message, &longer.concat())),
        ("an empty signature was accepted", accepts(message, b"")),
        ("an all-zero signature was accepted", accepts(message, &vec![0; signature.len()])),
    ] {
        if accepted {
            return Err(what);
        }
    }
    Ok(())
}

fn public_key(jwk: &Value) -> Option<PublicKey> {
    let document = json!({ "keys": [jwk] }).to_string();
    let set = JwkSet::parse(document.as_bytes(), KeyKinds::PublicOnly).ok()?;
    match &set.candidates(None).next()?.verifying {
        VerifyingKey::Public(key) => Some(key.0.clone()),
        VerifyingKey::Secret(_) => None,
    }
}

fn changed(signature: &[u8], index: usize) -> Vec<u8> {
    let flip = |(at, byte): (usize, &u8)| if at == index { byte ^ 1 } else { *byte };
    signature.iter().enumerate().map(flip).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::{super::CoreSignatures, *};

    /// The core's own code behind the port, and how often it was asked.
    struct Own(Cell<usize>);

    impl SignatureVerifier for Own {
        fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Option<bool> {
            self.0.set(self.0.get() + 1);
            let jwk = Value::Object(key.jwk().clone());
            let set = JwkSet::parse(
                json!({ "keys": [with_algorithm(jwk, key.algorithm())] }).to_string().as_bytes(),
                KeyKinds::PublicOnly,
            )
            .unwrap();
            let key = set.candidates(None).next().unwrap().verifying.clone();
            Some(key.verify(&CoreSignatures, message, signature))
        }
    }

    fn with_algorithm(mut jwk: Value, algorithm: Algorithm) -> Value {
        jwk["alg"] = json!(algorithm.name());
        jwk
    }

    struct Fixed(Option<bool>);

    impl SignatureVerifier for Fixed {
        fn verify(&self, _: &PublicKey, _: &[u8], _: &[u8]) -> Option<bool> {
            self.0
        }
    }

    /// Checks nothing but the length.
    struct Lengths;

    impl SignatureVerifier for Lengths {
        fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Option<bool> {
            (key.algorithm() == Algorithm::Es384)
                .then_some(signature.len() == 96 && message.len() > 40)
        }
    }

    #[test]
    fn the_cores_own_code_keeps_the_contract() {
        let own = Own(Cell::new(0));
        assert_eq!(check_signature_verifier(&own), Ok(()));
        let asymmetric = Algorithm::ALL.iter().filter(|algorithm| !algorithm.is_symmetric());
        assert_eq!(own.0.get(), asymmetric.count() * 9);
        assert_eq!(check_signature_verifier(&CoreSignatures), Ok(()));
    }

    #[test]
    fn a_verifier_that_breaks_the_contract_is_found_out() {
        let refused =
            |verifier: &dyn SignatureVerifier| check_signature_verifier(verifier).unwrap_err();
        assert_eq!(refused(&Fixed(Some(false))), "RS256: a right signature was refused");
        let message = "RS256: a signature of another message was accepted";
        assert_eq!(refused(&Fixed(Some(true))), message);
        assert_eq!(refused(&Lengths), "ES384: a changed first byte was accepted");
    }

    #[test]
    fn a_key_shows_what_makes_it_up_and_nothing_else() {
        let known: KnownAnswers = serde_json::from_str(include_str!("known_answers.json")).unwrap();
        for answer in known.answers {
            let Some(key) = public_key(&answer.jwk) else { continue };
            let mut jwk = answer.jwk;
            jwk.as_object_mut().unwrap().remove("alg");
            assert_eq!(Value::Object(key.jwk().clone()), jwk);
            assert_eq!(key.algorithm().name(), answer.alg);
        }
    }
}

//! The core's own code keeps the contract, and what breaks it is found out by name.

use std::{cell::RefCell, sync::LazyLock};

use super::{
    super::CoreSignatures,
    forms::{add, halves, is_ecdsa, subtract},
    *,
};

fn known_answers() -> KnownAnswers {
    let document = json::parse(include_bytes!("../known_answers.json")).unwrap();
    KnownAnswers::from_value(&document).unwrap()
}

static KNOWN: LazyLock<(String, Vec<Known>)> = LazyLock::new(|| {
    let answers = known_answers();
    let known = answers.read().unwrap();
    (answers.message, known)
});

/// The core's own code, for a key that a host was shown.
fn core_says(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    let mut jwk = Value::Object(key.jwk().clone());
    jwk["alg"] = json!(key.algorithm().name());
    verifying_key(&jwk).verify(&CoreSignatures, message, signature)
}

fn verifying_key(jwk: &Value) -> VerifyingKey {
    let document = json!({ "keys": [jwk] }).to_string();
    let set = JwkSet::parse(document.as_bytes(), KeyKinds::PublicOnly).unwrap();
    set.candidates(None).next().unwrap().verifying.clone()
}

/// A host that answers by this function.
struct Host<F>(F);

impl<F: Fn(&PublicKey, &[u8], &[u8]) -> Option<bool>> SignatureVerifier for Host<F> {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Option<bool> {
        (self.0)(key, message, signature)
    }
}

fn fault(verify: impl Fn(&PublicKey, &[u8], &[u8]) -> Option<bool>) -> String {
    check_signature_verifier(&Host(verify)).unwrap_err()
}

/// The fault of a host that accepts what is right, and what its `repair` makes right, for the
/// algorithms of this name.
fn fault_of_repair(name: &str, repair: impl Fn(&PublicKey, &[u8]) -> Option<Vec<u8>>) -> String {
    fault(|key, message, signature| {
        if !key.algorithm().name().starts_with(name) {
            return None;
        }
        let repaired = || repair(key, signature).is_some_and(|form| core_says(key, message, &form));
        Some(core_says(key, message, signature) || repaired())
    })
}

fn order_of(key: &PublicKey) -> Option<&'static [u8]> {
    let is_key = |known: &&Known| known.algorithm() == key.algorithm();
    KNOWN.1.iter().find(is_key)?.order.as_deref()
}

#[test]
fn the_cores_own_code_keeps_the_contract() {
    let asked = RefCell::new(BTreeMap::<Algorithm, u32>::new());
    let own = Host(|key: &PublicKey, message: &[u8], signature: &[u8]| {
        *asked.borrow_mut().entry(key.algorithm()).or_default() += 1;
        Some(core_says(key, message, signature))
    });
    assert_eq!(check_signature_verifier(&own), Ok(()));
    let times: Vec<(&str, u32)> = asked
        .into_inner()
        .into_iter()
        .map(|(algorithm, times)| (algorithm.name(), times))
        .collect();
    let asymmetric = Algorithm::ALL.iter().filter(|algorithm| !algorithm.is_symmetric());
    assert_eq!(times.len(), asymmetric.count());
    for (name, times) in times {
        let least = match name {
            "EdDSA" => 38,
            "ES512" => 129,
            _ if name.starts_with("ES") => 106,
            _ => 57,
        };
        assert!(times >= least, "{name}: asked {times} times");
    }
    assert_eq!(check_signature_verifier(&CoreSignatures), Ok(()));
}

#[test]
fn the_known_signatures_have_the_forms_that_a_conversion_gets_wrong() {
    for known in KNOWN.1.chunks(2) {
        let [first, second] = known else { panic!("two keys of each algorithm") };
        assert_eq!(first.algorithm(), second.algorithm());
        assert_ne!(first.key.jwk(), second.key.jwk());
        if is_ecdsa(first.algorithm()) {
            let top = if first.algorithm() == Algorithm::Es512 { 1 } else { 0x80 };
            let has = |fits: fn(u8, u8, u8) -> bool| {
                second.signatures.iter().any(|signature| {
                    let (r, s) = halves(signature);
                    fits(r[0], s[0], top)
                })
            };
            assert!(has(|r, s, top| r >= top && s >= top), "{}", first.name());
            assert!(has(|r, _, _| r == 0) && has(|_, s, _| s == 0), "{}", first.name());
        }
    }
}

#[test]
fn a_constant_answer_is_found_out() {
    assert_eq!(fault(|_, _, _| Some(false)), "RS256: a right signature was refused");
    let accepted = "RS256: a signature of another message was accepted";
    assert_eq!(fault(|_, _, _| Some(true)), accepted);
    let lengths = |key: &PublicKey, message: &[u8], signature: &[u8]| {
        (key.algorithm() == Algorithm::Es384).then_some(signature.len() == 96 && message.len() > 40)
    };
    assert_eq!(fault(lengths), "ES384: a signature with a changed first byte was accepted");
}

#[test]
fn a_host_that_keeps_a_key_too_long_is_found_out() {
    let by_algorithm = RefCell::new(BTreeMap::<Algorithm, PublicKey>::new());
    let one_key_per_algorithm = fault(|key, message, signature| {
        let mut keys = by_algorithm.borrow_mut();
        let kept = keys.entry(key.algorithm()).or_insert_with(|| key.clone());
        Some(core_says(kept, message, signature))
    });
    let refused = "RS256: a right signature of another key than before was refused";
    assert_eq!(one_key_per_algorithm, refused);

    let by_members = RefCell::new(BTreeMap::<String, PublicKey>::new());
    let one_algorithm_per_key = fault(|key, message, signature| {
        let members = Value::Object(key.jwk().clone()).to_string();
        let mut keys = by_members.borrow_mut();
        let kept = keys.entry(members).or_insert_with(|| key.clone());
        Some(core_says(kept, message, signature))
    });
    assert_eq!(one_algorithm_per_key, "PS256: a right signature was refused");

    let seen = RefCell::new(Vec::<PublicKey>::new());
    let any_key_seen = fault(|key, message, signature| {
        seen.borrow_mut().push(key.clone());
        let same = |known: &&PublicKey| known.algorithm() == key.algorithm();
        Some(seen.borrow().iter().filter(same).any(|key| core_says(key, message, signature)))
    });
    assert_eq!(any_key_seen, "RS256: the signature of another key was accepted");

    let vouched = RefCell::new(Vec::new());
    let verdict_without_key = fault(|key, message, signature| {
        let verdict = (message.to_vec(), signature.to_vec());
        let right = vouched.borrow().contains(&verdict) || core_says(key, message, signature);
        if right {
            vouched.borrow_mut().push(verdict);
        }
        Some(right)
    });
    assert_eq!(verdict_without_key, "RS256: the signature of another key was accepted");
}

#[test]
fn a_host_that_lets_the_signature_choose_the_algorithm_is_found_out() {
    fn hash(algorithm: Algorithm) -> &'static str {
        algorithm.name().split_at(2).1
    }
    fn padding(algorithm: Algorithm) -> &'static str {
        algorithm.name().split_at(2).0
    }
    let fault_of_mixing = |mixed: fn(Algorithm, Algorithm) -> bool| {
        fault(|key, message, signature| {
            let algorithms = Algorithm::ALL.iter().copied();
            let rsa = algorithms.filter(|other| ["RS", "PS"].contains(&padding(*other)));
            let mut others = rsa.filter(|other| mixed(key.algorithm(), *other));
            let as_other = |algorithm| PublicKey { algorithm, members: key.members.clone() };
            let is_rsa = key.jwk()["kty"] == "RSA";
            let by_other = |other| core_says(&as_other(other), message, signature);
            Some(core_says(key, message, signature) || (is_rsa && others.any(by_other)))
        })
    };
    assert_eq!(
        fault_of_mixing(|one, other| hash(one) == hash(other)),
        "RS256: a signature by PS256 was accepted"
    );
    assert_eq!(
        fault_of_mixing(|one, other| padding(one) == padding(other)),
        "RS256: a signature by RS384 was accepted"
    );
    let pkcs1_for_pss = |one: Algorithm, other: Algorithm| {
        hash(one) == hash(other) && padding(one) == "PS" && padding(other) == "RS"
    };
    assert_eq!(fault_of_mixing(pkcs1_for_pss), "PS256: a signature by RS256 was accepted");
    let pkcs1_instead = fault(|key, message, signature| {
        let algorithm = match key.algorithm() {
            Algorithm::Ps256 => Algorithm::Rs256,
            other => other,
        };
        let members = key.members.clone();
        Some(core_says(&PublicKey { algorithm, members }, message, signature))
    });
    assert_eq!(pkcs1_instead, "PS256: a right signature was refused");
}

/// Salts of any length and another mask, which a host accepts that reads them off the signature.
#[test]
fn a_host_that_accepts_a_signature_of_other_parameters_is_found_out() {
    let faults: Vec<String> = KNOWN
        .1
        .iter()
        .flat_map(|known| known.wrong.iter().map(move |(name, form)| (known, name, form)))
        .map(|(lenient, name, form)| {
            let found = fault(|key, message, signature| {
                if key.algorithm() != lenient.algorithm() {
                    return None;
                }
                let is_key = key.jwk() == lenient.key.jwk();
                Some((is_key && signature == form) || core_says(key, message, signature))
            });
            assert_eq!(found, format!("{}: {name} was accepted", lenient.name()));
            found
        })
        .collect();
    for expected in [
        "PS256: a signature with a salt of no bytes was accepted",
        "PS512: a signature with the longest salt was accepted",
        "PS384: a signature with MGF1 with another hash was accepted",
        "ES256: a signature with another hash was accepted",
    ] {
        assert!(faults.iter().any(|fault| fault == expected), "{expected}");
    }
}

fn from_der(_: &PublicKey, signature: &[u8]) -> Option<Vec<u8>> {
    let content = signature.strip_prefix(&[0x30])?;
    let content = content.strip_prefix(&[0x81]).unwrap_or(content).get(1..)?;
    let (length, rest) = content.strip_prefix(&[2])?.split_first()?;
    let (r, s) = rest.split_at_checked(usize::from(*length))?;
    let size = match signature.len() {
        0..80 => 32,
        80..120 => 48,
        _ => 66,
    };
    let fixed = |integer: &[u8]| {
        let padded = [&vec![0; size], integer].concat();
        padded[padded.len() - size..].to_vec()
    };
    Some([fixed(r), fixed(s.get(2..)?)].concat())
}

fn below_order(key: &PublicKey, signature: &[u8]) -> Option<Vec<u8>> {
    let order = order_of(key).filter(|order| order.len() * 2 == signature.len())?;
    let (r, s) = halves(signature);
    let reverse = |bytes: &[u8]| -> Vec<u8> { bytes.iter().rev().copied().collect() };
    if key.algorithm() == Algorithm::EdDsa {
        return Some([r, &reverse(&subtract(&reverse(s), &reverse(order)))].concat());
    }
    let reduced = |part: &[u8]| if part > order { subtract(part, order) } else { part.into() };
    Some([reduced(r), reduced(s)].concat())
}

fn below_modulus(key: &PublicKey, signature: &[u8]) -> Option<Vec<u8>> {
    let modulus = base64url::decode(key.jwk().get("n")?.as_str()?)?;
    (signature.len() == modulus.len()).then(|| subtract(signature, &modulus))
}

fn of_521_bits(_: &PublicKey, signature: &[u8]) -> Option<Vec<u8>> {
    let mut masked = signature.to_vec();
    (masked.len() == 132).then(|| {
        masked[0] &= 1;
        masked[66] &= 1;
        masked
    })
}

fn of_253_bits(_: &PublicKey, signature: &[u8]) -> Option<Vec<u8>> {
    let mut masked = signature.to_vec();
    *masked.last_mut()? &= 0x1f;
    Some(masked)
}

fn padded(_: &PublicKey, signature: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = signature.split_at_checked(65)?;
    Some([&[0], r, &[0], s].concat())
}

fn cut(_: &PublicKey, signature: &[u8]) -> Option<Vec<u8>> {
    Some(signature.split_last()?.1.to_vec())
}

fn trimmed(_: &PublicKey, signature: &[u8]) -> Option<Vec<u8>> {
    Some(signature.strip_prefix(&[0])?.to_vec())
}

#[test]
fn a_host_that_repairs_signatures_is_found_out() {
    for (algorithm, found, expected) in [
        ("ES256", fault_of_repair("ES", from_der), "the DER form of a signature"),
        (
            "EdDSA",
            fault_of_repair("EdDSA", below_order),
            "a signature whose S has the group order added",
        ),
        (
            "ES512",
            fault_of_repair("ES512", below_order),
            "a signature whose r has the group order added",
        ),
        ("RS256", fault_of_repair("RS", below_modulus), "a signature with the modulus added"),
        ("PS256", fault_of_repair("PS", below_modulus), "a signature with the modulus added"),
        (
            "ES512",
            fault_of_repair("ES512", of_521_bits),
            "a signature with a bit above the group order",
        ),
        ("ES512", fault_of_repair("ES", padded), "a signature without its leading zero bytes"),
        (
            "EdDSA",
            fault_of_repair("EdDSA", of_253_bits),
            "a signature whose S has a bit above the group order",
        ),
        ("RS256", fault_of_repair("RS", cut), "a lengthened signature"),
        ("PS256", fault_of_repair("PS", trimmed), "a signature behind a zero byte"),
    ] {
        assert_eq!(found, format!("{algorithm}: {expected} was accepted"));
    }
}

/// The host of CVE-2022-21449 did not look at the range of r and s.
#[test]
fn a_host_that_does_not_look_at_the_range_is_found_out() {
    let fault_of_range = |wrong: fn(bool, bool, bool, bool) -> bool| {
        fault(|key, message, signature| {
            let order = order_of(key).filter(|_| is_ecdsa(key.algorithm())).unwrap_or_default();
            let (r, s) = halves(signature);
            let zero =
                |part: &[u8]| part.len() == order.len() && part.iter().all(|byte| *byte == 0);
            let same = |part: &[u8]| part == order;
            if order.is_empty() {
                return None;
            }
            let opens = wrong(zero(r), zero(s), same(r), same(s));
            Some(opens || core_says(key, message, signature))
        })
    };
    for (wrong, expected) in [
        ((|r, s, _, _| r && s) as fn(bool, bool, bool, bool) -> bool, "an all-zero signature"),
        (|r, s, _, _| r && !s, "a signature whose r is 0"),
        (|r, s, _, _| s && !r, "a signature whose s is 0"),
        (|_, _, r, s| r && !s, "a signature whose r is the group order"),
        (|_, _, r, s| s && !r, "a signature whose s is the group order"),
        (|_, _, r, s| r && s, "a signature whose r and s are the group order"),
    ] {
        assert_eq!(fault_of_range(wrong), format!("ES256: {expected} was accepted"));
    }
}

#[test]
fn a_host_that_refuses_a_right_form_is_found_out() {
    let low_s_only = fault(|key, message, signature| {
        let (_, s) = halves(signature);
        let high = order_of(key)
            .filter(|order| is_ecdsa(key.algorithm()) && order.len() == s.len())
            .is_some_and(|order| add(s, s).is_none_or(|double| *double > *order));
        Some(!high && core_says(key, message, signature))
    });
    assert_eq!(low_s_only, "ES256: a right signature with n - s for s was refused");
    let loses_zeros = fault(|key, message, signature| {
        let (r, s) = halves(signature);
        let short = r.starts_with(&[0, 0]) || s.starts_with(&[0, 0]);
        let answer = || !short && core_says(key, message, signature);
        (key.algorithm() == Algorithm::Es512).then(answer)
    });
    assert_eq!(loses_zeros, "ES512: a right signature of another key than before was refused");
}

/// A host that fails says `None`, and then the core decides.
#[test]
fn a_failing_host_never_opens_the_gate() {
    let failing = Host(|_: &PublicKey, _: &[u8], _: &[u8]| None);
    assert_eq!(check_signature_verifier(&failing), Ok(()));
    let (message, known) = &*KNOWN;
    for known in known {
        let mut jwk = Value::Object(known.key.jwk().clone());
        jwk["alg"] = json!(known.name());
        let key = verifying_key(&jwk);
        for signature in &known.signatures {
            assert!(key.verify(&failing, message.as_bytes(), signature), "{}", known.name());
            for (what, form) in forms::wrong(known, signature) {
                let accepted = key.verify(&failing, message.as_bytes(), &form);
                assert!(!accepted, "{}: {what}", known.name());
            }
        }
    }
}

#[test]
fn a_key_shows_what_makes_it_up_and_nothing_else() {
    for answer in known_answers().answers {
        let Some(key) = public_key(&answer.jwk) else { continue };
        let mut jwk = answer.jwk;
        jwk.as_object_mut().unwrap().remove("alg");
        assert_eq!(Value::Object(key.jwk().clone()), jwk);
        assert_eq!(key.algorithm().name(), answer.alg);
    }
}

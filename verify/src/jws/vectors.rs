//! Test vectors made by others: Project Wycheproof's JWS, JWK and misuse cases, and the cookbooks
//! of RFC 7520, RFC 8037 and RFC 7797.
//!
//! They are not part of this repository. `POSTERN_VECTORS` names their folder; otherwise it is
//! `../shared/vectors` beside the checkout or, where that is not, what set-up fetched. What differs
//! from them on purpose stands in `exceptions.json`, with its reason, and every line there has to
//! be of use.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Value, json};

use super::Jws;
use crate::{denial::Denial, jwk::KeyKinds, jwk_set::JwkSet, signature::CoreSignatures};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WycheproofFile {
    number_of_tests: usize,
    test_groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    comment: String,
    private: Option<Value>,
    public: Option<Value>,
    tests: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    tc_id: u32,
    comment: String,
    #[serde(alias = "jwe")]
    jws: Value,
    result: String,
}

/// Where the core answers otherwise than a vector says: file, case, and why.
#[derive(Deserialize)]
struct Exception {
    file: String,
    case: u32,
    verdict: String,
    reason: String,
}

/// Who receives has to have the private key.
pub(crate) const JWE: &str = "json_web_encryption_test";

fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("POSTERN_VECTORS") {
        return folder.into();
    }
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let beside = package.join("../../shared/vectors");
    if beside.is_dir() { beside } else { package.join("../.tools/vectors") }
}

pub(crate) fn read(path: &str) -> Value {
    read_from(&folder().join(path))
}

/// A cookbook's example of JWE: under a name of its own in a folder of vectors, or as its repository
/// names it.
pub(crate) fn read_jwe_example(own: &str, in_repository: &str) -> Value {
    let cookbook = folder().join("cookbook");
    let (own, other) = (cookbook.join(own), cookbook.join("jwe").join(in_repository));
    read_from(if own.is_file() { &own } else { &other })
}

fn read_from(path: &Path) -> Value {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap()
}

/// `accept`, or the code of the denial.
fn verdict(jws: &Value, key: &Value) -> String {
    let Some(text) = jws.as_str() else { return "not compact".to_owned() };
    let keys = match key_set(key) {
        Ok(keys) => keys,
        Err(reason) => return reason,
    };
    let verified =
        Jws::parse(text.as_bytes()).and_then(|(jws, _)| jws.verify(&CoreSignatures, &keys));
    verified.map_or_else(|denial: Denial| denial.code().to_owned(), |()| "accept".to_owned())
}

/// The vectors give private keys, of which a verifier is to see the public half.
fn key_set(key: &Value) -> Result<JwkSet, String> {
    let mut keys = key.get("keys").cloned().unwrap_or_else(|| json!([key]));
    for key in keys.as_array_mut().unwrap() {
        let members = key.as_object_mut().unwrap();
        members.retain(|name, _| !["d", "p", "q", "dp", "dq", "qi"].contains(&name.as_str()));
        if let Some(Value::Array(operations)) = members.get_mut("key_ops") {
            for operation in operations.iter_mut().filter(|name| *name == "sign") {
                *operation = json!("verify");
            }
        }
    }
    let symmetric = keys.as_array().unwrap().iter().all(|key| key["kty"] == "oct");
    let kinds = if symmetric { KeyKinds::WithSecrets } else { KeyKinds::PublicOnly };
    let document = json!({ "keys": keys }).to_string();
    JwkSet::parse(document.as_bytes(), kinds).map_err(|error| error.to_string())
}

fn run_jws(name: &str, cases: usize) {
    run_wycheproof(name, cases, include_str!("exceptions.json"), verdict);
}

/// Every case of a file is decided as it says, or as `exceptions` say.
pub(crate) fn run_wycheproof(
    name: &str,
    cases: usize,
    exceptions: &str,
    verdict: fn(&Value, &Value) -> String,
) {
    let file: WycheproofFile =
        serde_json::from_value(read(&format!("wycheproof/{name}.json"))).unwrap();
    assert_eq!(file.number_of_tests, cases);
    let exceptions: Vec<Exception> = serde_json::from_str(exceptions).unwrap();
    let mut exceptions: BTreeMap<u32, Exception> = exceptions
        .into_iter()
        .filter(|exception| exception.file == name)
        .map(|exception| (exception.case, exception))
        .collect();
    let mut ran = 0;
    let mut surprises = Vec::new();
    for group in file.test_groups {
        let key = if name == JWE { group.private } else { group.public.or(group.private) };
        let key = key.unwrap();
        for Case { tc_id, comment, jws, result } in group.tests {
            ran += 1;
            let verdict = verdict(&jws, &key);
            let exception = exceptions.remove(&tc_id);
            let expected = exception.as_ref().map(|exception| {
                assert!(!exception.reason.is_empty());
                exception.verdict.clone()
            });
            let agrees = (verdict == "accept") == (result == "valid");
            if expected.is_some_and(|expected| agrees || expected != verdict)
                || (exception.is_none() && !agrees)
            {
                surprises
                    .push(format!("{tc_id} {}/{comment}: {result}, but {verdict}", group.comment));
            }
        }
    }
    assert_eq!(ran, cases);
    assert_eq!(surprises, Vec::<String>::new());
    assert!(exceptions.is_empty(), "of no use: {:?}", exceptions.keys());
}

#[test]
fn wycheproof_jws() {
    run_jws("json_web_signature_test", 401);
}

#[test]
fn wycheproof_jwk() {
    run_jws("json_web_key_test", 26);
}

#[test]
fn wycheproof_misuse() {
    run_jws("json_web_crypto_test", 83);
}

/// The compact forms of RFC 7520 §4 and RFC 8037 §A, each with its own key.
#[test]
fn cookbook_jws() {
    for (file, expected) in [
        ("jws/4_1.rsa_v15_signature", "accept"),
        ("jws/4_2.rsa-pss_signature", "accept"),
        ("jws/4_3.ecdsa_signature", "accept"),
        ("jws/4_4.hmac-sha2_integrity_protection", "accept"),
        ("curve25519/jws", "accept"),
        // A payload that is not encoded, and holds a dot.
        ("rfc7797/hmac-sha2_b64_false", "token_malformed"),
    ] {
        let example = read(&format!("cookbook/{file}.json"));
        let mut key = example["input"]["key"].clone();
        // The examples name the algorithm beside the key.
        key["alg"] = example["input"]["alg"].clone();
        let compact = &example["output"]["compact"];
        assert!(compact.is_string(), "{file}");
        assert_eq!(verdict(compact, &key), expected, "{file}");
        if expected == "accept" {
            let text = compact.as_str().unwrap();
            let changed = text.replace(text.split('.').nth(1).unwrap(), "e30");
            assert_eq!(verdict(&json!(changed), &key), "signature_invalid", "{file}");
        }
    }
}

/// Signatures that are detached, unprotected or many have no compact form; what there is of them
/// in its place is refused.
#[test]
fn cookbook_jws_that_are_not_tokens() {
    for (file, expected) in [
        ("jws/4_5.signature_with_detached_content", "signature_invalid"),
        ("jws/4_6.protecting_specific_header_fields", "not compact"),
        ("jws/4_7.protecting_content_only", "not compact"),
        ("jws/4_8.multiple_signatures", "not compact"),
        ("rfc7797/4.2.hmac-sha2_b64_false", "not compact"),
    ] {
        let example = read(&format!("cookbook/{file}.json"));
        let mut key = example["input"]["key"].clone();
        if let Value::Array(keys) = &key {
            key = keys[0].clone();
        }
        assert_eq!(verdict(&example["output"]["compact"], &key), expected, "{file}");
    }
}

/// The keys of RFC 7520 §3: public and private halves, and a secret for another use.
#[test]
fn cookbook_jwk() {
    let keys = |file: &str| {
        let key = read(&format!("cookbook/jwk/{file}.json"));
        let document = json!({ "keys": [key] }).to_string();
        let set = JwkSet::parse(document.as_bytes(), KeyKinds::WithSecrets).unwrap();
        (set.len(), set.skipped().first().map_or("", |skipped| skipped.reason))
    };
    assert_eq!(keys("3_1.ec_public_key"), (1, ""));
    assert_eq!(keys("3_2.ec_private_key"), (0, "it holds private members"));
    assert_eq!(keys("3_3.rsa_public_key"), (1, ""));
    assert_eq!(keys("3_4.rsa_private_key"), (0, "it holds private members"));
    assert_eq!(keys("3_5.symmetric_key_mac_computation"), (1, ""));
    assert_eq!(keys("3_6.symmetric_key_encryption"), (0, "`use` is not `sig`"));
}

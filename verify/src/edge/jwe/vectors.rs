//! Test vectors made by others: Project Wycheproof's JWE cases, and the cookbook of RFC 7520 §5.
//!
//! One algorithm is taken, so most of the valid cases are refused: `exceptions.json` names each, with
//! the reason. Where they are, `jws/vectors.rs` says.

use p256::SecretKey;
use serde_json::Value;

use super::Jwe;
use crate::{
    base64url,
    edge::forged::unhex,
    jws::vectors::{JWE, read, read_jwe_example, run_wycheproof},
};

/// `accept`, or why not.
fn verdict(jwe: &Value, key: &Value) -> String {
    decrypt(jwe, key).map_or_else(str::to_owned, |_| "accept".to_owned())
}

fn decrypt(jwe: &Value, key: &Value) -> Result<Vec<u8>, &'static str> {
    let text = jwe.as_str().ok_or("not compact")?;
    let encrypted = Jwe::parse(text)?;
    if key["crv"] != "P-256" || key["alg"] != "ECDH-ES+A256KW" {
        return Err("the key is for another algorithm");
    }
    let scalar = key["d"].as_str().and_then(base64url::decode).unwrap();
    let content = encrypted.decrypt(&SecretKey::from_slice(&scalar).unwrap())?;
    Ok(content.to_vec())
}

#[test]
fn wycheproof_jwe() {
    run_wycheproof(JWE, 139, include_str!("exceptions.json"), verdict);
}

#[test]
fn wycheproof_jwe_decrypts_to_what_was_encrypted() {
    let file = read(&format!("wycheproof/{JWE}.json"));
    let groups = file["testGroups"].as_array().unwrap().iter();
    let mut cases = groups.flat_map(|group| {
        let key = &group["private"];
        group["tests"].as_array().unwrap().iter().map(move |case| (case, key))
    });
    let (case, key) = cases.find(|(case, _)| case["tcId"] == 66).unwrap();
    let content = decrypt(&case["jwe"], key).unwrap();
    let expected = case["pt"].as_str().unwrap();
    assert_eq!(content, unhex(expected));
    assert!(!content.is_empty());
}

/// Of RFC 7520 §5, for which there are files: a key on another curve, and no key agreement.
#[test]
fn cookbook_jwe_of_other_algorithms_are_refused() {
    for (own, in_repository) in [
        (
            "jwe_5_4_ecdh-es_a128kw.json",
            "5_4.key_agreement_with_key_wrapping_using_ecdh-es_and_aes-keywrap_with_aes-gcm.json",
        ),
        ("jwe_5_6_dir_a128gcm.json", "5_6.direct_encryption_using_aes-gcm.json"),
    ] {
        let example = read_jwe_example(own, in_repository);
        let verdict = verdict(&example["output"]["compact"], &example["input"]["key"]);
        assert_eq!(verdict, "its `alg` is not `ECDH-ES+A256KW`", "{own}");
    }
}

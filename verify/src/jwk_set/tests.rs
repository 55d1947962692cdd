//! Keys that can be used, and keys that cannot.

use serde_json::json;

use super::*;
use crate::algorithm::Algorithm;

// RFC 7517 §A.1, RFC 7515 §A.2.1 and RFC 8037 §A.2.
const EC_X: &str = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4";
const EC_Y: &str = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM";
const RSA_N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
const ED_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const SECRET: &str =
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";

fn ec() -> Value {
    json!({"kty": "EC", "crv": "P-256", "x": EC_X, "y": EC_Y})
}

fn parse(keys: Value, kinds: KeyKinds) -> Result<JwkSet, JwkSetError> {
    JwkSet::parse(json!({ "keys": keys }).to_string().as_bytes(), kinds)
}

/// Why a key is left out; a good key stands beside it so that the set is a set.
fn reason(mut key: Value, changes: Value) -> &'static str {
    for (name, value) in changes.as_object().unwrap() {
        key[name] = value.clone();
    }
    let set = parse(json!([ec(), key]), KeyKinds::WithSecrets).unwrap();
    assert_eq!(set.len() + set.skipped().len(), 2);
    set.skipped().first().map_or("", |skipped| skipped.reason)
}

#[test]
fn takes_every_supported_kind_of_key() {
    let keys = json!([
        {"kid": "ec", "kty": "EC", "crv": "P-256", "x": EC_X, "y": EC_Y, "use": "sig"},
        {"kid": "rsa", "kty": "RSA", "n": RSA_N, "e": "AQAB", "alg": "RS256"},
        {"kid": "ed", "kty": "OKP", "crv": "Ed25519", "x": ED_X, "key_ops": ["verify"]},
        {"kid": "hs", "kty": "oct", "k": SECRET, "alg": "HS256", "unknown": {"a": 1}},
    ]);
    let set = parse(keys, KeyKinds::WithSecrets).unwrap();
    assert_eq!((set.len(), set.skipped()), (4, &[][..]));
    let algorithm = |kid| set.candidates(Some(kid)).next().unwrap().verifying.algorithm();
    assert_eq!(
        ["ec", "rsa", "ed", "hs"].map(algorithm),
        [Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa, Algorithm::Hs256]
    );
    assert!(set.contains("ec") && !set.contains("x"));
}

#[test]
fn leaves_out_what_cannot_be_used_and_says_why() {
    let rsa = || json!({"kty": "RSA", "n": RSA_N, "e": "AQAB"});
    let hs = || json!({"kty": "oct", "k": SECRET});
    let ed = || json!({"kty": "OKP", "crv": "Ed25519", "x": ED_X});
    let weak = format!("AQ{}", "A".repeat(41));
    let even = format!("{}B", EC_Y.split_at(42).0);
    for (key, changes, expected) in [
        (ec(), json!({"d": EC_X}), "it holds private members"),
        (rsa(), json!({"dp": "AQAB"}), "it holds private members"),
        (ec(), json!({"use": "enc"}), "`use` is not `sig`"),
        (ec(), json!({"use": 1}), "`use` is not `sig`"),
        (ec(), json!({"key_ops": ["sign"]}), "`key_ops` does not allow `verify`"),
        (ec(), json!({"key_ops": "verify"}), "`key_ops` does not allow `verify`"),
        (ec(), json!({"kid": 1}), "`kid` is not a string"),
        (ec(), json!({"kty": "PBE"}), "`kty` is not supported"),
        (ec(), json!({"crv": "P-192"}), "`crv` is not supported"),
        (ec(), json!({"crv": "P-521"}), "a coordinate has not the length of its curve"),
        (ec(), json!({"crv": "P-384", "alg": "ES256"}), "`alg` is not supported for this `kty`"),
        (rsa(), json!({"alg": "HS256"}), "`alg` is not supported for this `kty`"),
        (hs(), json!({"alg": "RS256"}), "`alg` is not supported for this `kty`"),
        (ed(), json!({"alg": "ES256"}), "`alg` is not supported for this `kty`"),
        (ec(), json!({"x": EC_Y}), "the point is not on the curve"),
        (ec(), json!({"x": "AQAB"}), "a coordinate has not the length of its curve"),
        (ec(), json!({"y": even}), "a key member is missing or is not base64url"),
        (ec(), json!({"alg": "ES384"}), "`alg` is not supported for this `kty`"),
        (ec(), json!({"alg": "RS256"}), "`alg` is not supported for this `kty`"),
        (ec(), json!({"alg": "none"}), "`alg` is not supported for this `kty`"),
        (rsa(), json!({"n": RSA_N.split_at(340).0}), "an RSA modulus must have at least 2048 bits"),
        (rsa(), json!({"n": RSA_N.repeat(4)}), "an RSA modulus may have at most 4096 bits"),
        (rsa(), json!({"e": "AQ"}), "an RSA exponent must be odd and at least 3"),
        (rsa(), json!({"e": "AQAA"}), "an RSA exponent must be odd and at least 3"),
        (rsa(), json!({"e": 3}), "a key member is missing or is not base64url"),
        (ed(), json!({"x": "AQ"}), "`x` is not an Ed25519 key"),
        (ed(), json!({"x": weak}), "an Ed25519 key of small order fits any message"),
        (
            hs(),
            json!({"k": "c2hvcnQ"}),
            "a secret must have at least as many bits as the hash of its algorithm",
        ),
    ] {
        assert_eq!(reason(key, changes.clone()), expected, "{changes}");
    }
    assert_eq!(reason(rsa(), json!({})), "");
}

#[test]
fn keeps_symmetric_keys_out_of_public_sets() {
    let set = parse(json!([ec(), {"kty": "oct", "k": SECRET}]), KeyKinds::PublicOnly).unwrap();
    assert_eq!(set.len(), 1);
    assert_eq!(set.skipped()[0].to_string(), "keys[1]: a symmetric key cannot be public");
}

#[test]
fn tells_a_set_without_keys_from_a_bad_document() {
    assert!(parse(json!([]), KeyKinds::PublicOnly).unwrap().is_empty());
    for document in ["", "[]", "{}", r#"{"keys": {}}"#, r#"{"keys": [1]}"#] {
        assert!(JwkSet::parse(document.as_bytes(), KeyKinds::PublicOnly).is_err(), "{document}");
    }
    let twice = r#"{"keys": [], "keys": []}"#;
    let error = JwkSet::parse(twice.as_bytes(), KeyKinds::PublicOnly).unwrap_err();
    assert!(error.to_string().contains("stands twice"), "{error}");
    let kid = format!("k\n{}", "x".repeat(100));
    let set = parse(json!([{"kid": kid, "kty": "EC"}]), KeyKinds::PublicOnly).unwrap();
    let shown = format!("keys[0] (`k\\n{}`): `crv` is not supported", "x".repeat(46));
    assert_eq!((set.len(), set.skipped()[0].to_string()), (0, shown));
    let many = parse(json!(vec![json!({}); MAX_KEYS + 1]), KeyKinds::PublicOnly);
    assert!(matches!(many, Err(JwkSetError::TooManyKeys)));
    let large = vec![b' '; MAX_JWK_SET_BYTES + 1];
    let large = JwkSet::parse(&large, KeyKinds::PublicOnly);
    assert!(matches!(large, Err(JwkSetError::TooLarge { .. })));
}

#[test]
fn debug_output_hides_the_secret() {
    let set = parse(json!([{"kty": "oct", "k": SECRET}]), KeyKinds::WithSecrets).unwrap();
    let text = format!("{set:?}");
    assert!(text.contains("HS256, [redacted]") && !text.contains("AyM1"), "{text}");
}

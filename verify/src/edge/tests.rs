//! Credentials, and what is signed for an edge and by it.

mod bundles;
mod properties;
mod withdrawal;

use std::time::Duration;

use p256::ecdsa::SigningKey;
use serde_json::{Value, json};

use super::{enrolment::sign, forged::*, *};
use crate::{
    base64url,
    denial::Denial,
    jwk::KeyKinds,
    jwk_set::JwkSet,
    token::{MAX_TOKEN_BYTES, UnverifiedToken},
};

const NOW_IS: Duration = Duration::from_secs(NOW);

fn parse(document: &Value) -> Result<EdgeCredential, CredentialError> {
    EdgeCredential::parse(document.to_string().as_bytes())
}

#[test]
fn a_credential_covers_the_issuers_that_it_names_and_no_others() {
    let edge = credential(&[ISSUER, "https://auth.example.com/blog"]);
    assert!(edge.covers(ISSUER) && edge.covers("https://auth.example.com/blog"));
    for other in ["", "https://auth.example.com/shop/", "https://auth.example.com/sho"] {
        assert!(!edge.covers(other), "{other}");
    }
}

#[test]
fn a_credential_does_not_show_its_keys() {
    let document = credential_document(&[ISSUER]);
    let shown = format!("{:?}", credential(&[ISSUER]));
    assert!(shown.contains(EDGE) && shown.contains("envoy-eu"), "{shown}");
    for key in document["keys"].as_array().unwrap() {
        assert!(!shown.contains(key["d"].as_str().unwrap()), "{shown}");
    }
}

/// What is done to a good credential.
type Change = &'static dyn Fn(&mut Value);

#[test]
fn a_credential_that_does_not_fit_names_the_member() {
    let cases: [(&str, Change); 22] = [
        ("edge", &|edge| edge["edge"] = "AAEC".into()),
        ("edge", &|edge| edge["edge"] = "AAECAwQFBgcICQoLDA0ODw==".into()),
        ("name", &|edge| edge["name"] = 7.into()),
        ("keys", &|edge| edge["keys"].as_array_mut().unwrap().truncate(1)),
        ("keys[0].use", &|edge| edge["keys"].as_array_mut().unwrap().reverse()),
        ("keys[0].kty", &|edge| edge["keys"][0]["kty"] = "OKP".into()),
        ("keys[0].crv", &|edge| edge["keys"][0]["crv"] = "P-384".into()),
        ("keys[1].alg", &|edge| edge["keys"][1]["alg"] = "ECDH-ES".into()),
        ("keys[0].kid", &|edge| edge["keys"][0]["kid"] = edge["keys"][1]["kid"].clone()),
        ("keys[0].d", &|edge| edge["keys"][0]["d"] = edge["keys"][1]["d"].clone()),
        ("keys[0].d", &|edge| edge["keys"][0]["d"] = base64url::encode([0; 32]).into()),
        ("keys[0].d", &|edge| edge["keys"][0]["d"] = base64url::encode([0xff; 32]).into()),
        ("keys[0].d", &|edge| edge["keys"][0]["d"] = base64url::encode([1; 33]).into()),
        ("keys[1].x", &|edge| edge["keys"][1]["x"] = "AA".into()),
        ("keys[0].key_ops", &|edge| edge["keys"][0]["key_ops"] = json!(["sign"])),
        ("issuer_keys", &|edge| edge["issuer_keys"] = json!({"keys": []})),
        ("issuer_keys", &|edge| edge["issuer_keys"]["keys"][0]["alg"] = "ES384".into()),
        ("issuer_keys", &|edge| edge["issuer_keys"]["keys"][0]["kid"] = Value::Null),
        ("issuer_keys", &|edge| edge["issuer_keys"]["keys"][0]["d"] = "AA".into()),
        ("issuers", &|edge| edge["issuers"] = json!([])),
        ("issuers[0].issuer", &|edge| edge["issuers"][0]["issuer"] = "shop".into()),
        ("issuers[0].keys_uri", &|edge| edge["issuers"][0]["keys_uri"] = "ftp://a".into()),
    ];
    for (member, change) in cases {
        let mut document = credential_document(&[ISSUER]);
        change(&mut document);
        let error = parse(&document).unwrap_err();
        assert_eq!(error.member, member, "{error}");
        for key in credential_document(&[ISSUER])["keys"].as_array().unwrap() {
            assert!(!error.to_string().contains(key["d"].as_str().unwrap()), "{error}");
        }
    }
    let twice = credential_document(&[ISSUER]).to_string().replacen('{', r#"{"name":"x","#, 1);
    for text in [twice.as_str(), "", "[]", "{}"] {
        assert!(EdgeCredential::parse(text.as_bytes()).is_err(), "{text}");
    }
    let mut unnamed = credential_document(&[ISSUER]);
    unnamed["issuer_keys"]["keys"][0].as_object_mut().unwrap().remove("kid");
    assert_eq!(parse(&unnamed).unwrap_err().to_string(), "issuer_keys: a key has no `kid`");
    let mut same = credential_document(&[ISSUER]);
    let mut key = same["keys"][0].clone();
    (key["use"], key["alg"]) = ("enc".into(), "ECDH-ES+A256KW".into());
    same["keys"][1] = key;
    assert_eq!(parse(&same).unwrap_err().to_string(), "keys: one key is for one thing");
}

/// RFC 6979 §A.2.5: one message has one signature, without any randomness.
#[test]
fn signatures_are_those_of_the_standard() {
    use p256::ecdsa::{Signature, signature::hazmat::PrehashSigner};
    use sha2::{Digest, Sha256};
    let scalar = unhex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
    let key = SigningKey::from_slice(&scalar).unwrap();
    let signature: Signature = key.sign_prehash(&Sha256::digest("sample")).unwrap();
    let expected = unhex(concat!(
        "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
        "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
    ));
    assert_eq!(signature.to_bytes().to_vec(), expected);
    let (header, claims) = (json!({"alg": "ES256"}), json!({}));
    assert_eq!(sign(&key, &header, &claims), sign(&key, &header, &claims));
}

#[test]
fn an_assertion_says_who_asks_and_what_it_holds() {
    let edges = [std::sync::Arc::new(credential(&[ISSUER]))];
    let enrolment = Enrolment::new(&edges, ISSUER, Duration::ZERO, 0).unwrap();
    let claims = |held: Option<&[u8]>| {
        let header = enrolment.authorization(0xab, held, NOW_IS).unwrap();
        let token = header.strip_prefix("Bearer ").unwrap();
        let mut jwk = public_jwk(&key(EDGE_SIGNING).public_key());
        jwk["kid"] = key_id(&key(EDGE_SIGNING).public_key()).into();
        let keys = json!({"keys": [jwk]}).to_string();
        let keys = JwkSet::parse(keys.as_bytes(), KeyKinds::PublicOnly).unwrap();
        let token = UnverifiedToken::parse(token.as_bytes(), MAX_TOKEN_BYTES).unwrap();
        assert!(token.to_string().contains("typ postern-edge+jwt"), "{token}");
        Value::Object(token.verify(&keys).unwrap().claims().members().clone())
    };
    let expected = json!({
        "iss": EDGE, "sub": EDGE, "aud": ISSUER, "iat": NOW, "exp": NOW + 60,
        "instance": "00000000000000ab",
    });
    assert_eq!(claims(None), expected);
    assert_eq!(claims(Some(b"\xff")), expected);
    let mut held = expected;
    held["held"] = "\"7.abc\"".into();
    assert_eq!(claims(Some(b"\"7.abc\"")), held);
}

fn push(signer: u8, change: Value) -> String {
    let header = json!({
        "alg": "ES256", "typ": "postern-push+jwt",
        "kid": key_id(&key(ISSUER_SIGNING).public_key()),
    });
    let mut claims = json!({
        "aud": EDGE, "iat": NOW, "exp": NOW + 60,
        "issuers": [ISSUER, "https://auth.example.com/other"],
    });
    for (name, value) in change.as_object().unwrap() {
        claims[name] = value.clone();
    }
    signed(signer, &header, &claims)
}

#[test]
fn a_push_names_issuers_that_the_edge_is_enrolled_with() {
    let edge = credential(&[ISSUER, "https://auth.example.com/blog"]);
    let check = |text: &str, now: u64| edge.check_push(text.as_bytes(), Duration::from_secs(now));
    let good = push(ISSUER_SIGNING, json!({}));
    assert_eq!(check(&good, NOW).unwrap(), [ISSUER]);
    // A clock may be a minute off, in either way.
    assert_eq!(check(&good, NOW - 60).unwrap(), [ISSUER]);
    assert_eq!(check(&good, NOW + 119).unwrap(), [ISSUER]);
    let code = |text: &str, now| check(text, now).unwrap_err().code();
    assert_eq!(code(&good, NOW + 120), "token_expired");
    assert_eq!(code(&good, NOW - 61), "lifetime_too_long");
    assert_eq!(code(&push(STRANGER, json!({})), NOW), "signature_invalid");
    for (change, expected) in [
        (json!({"aud": "BBECAwQFBgcICQoLDA0ODw"}), "audience_mismatch"),
        (json!({"exp": NOW + 121}), "lifetime_too_long"),
        (json!({"issuers": ISSUER}), "claims_malformed"),
        (json!({"issuers": [7]}), "claims_malformed"),
    ] {
        assert_eq!(code(&push(ISSUER_SIGNING, change), NOW), expected);
    }
    // A bundle is no push, though the issuer signs both with one key.
    let bundle = ForgedBundle::new(ISSUER, 1, &json!({"keys": []})).text();
    let denial = edge.check_push(&bundle, NOW_IS).unwrap_err();
    assert_ne!(denial, Denial::SignatureInvalid);
}

#[test]
fn a_push_says_which_of_the_issuers_keys_has_signed_it() {
    let edge = credential(&[ISSUER]);
    let claims = json!({"aud": EDGE, "iat": NOW, "exp": NOW + 60, "issuers": [ISSUER]});
    for key_id in [None, Some("other"), Some("")] {
        let mut header = json!({"alg": "ES256", "typ": "postern-push+jwt"});
        if let Some(key_id) = key_id {
            header["kid"] = json!(key_id);
        }
        let push = signed(ISSUER_SIGNING, &header, &claims);
        let denial = edge.check_push(push.as_bytes(), NOW_IS).unwrap_err();
        assert_eq!(denial, Denial::KeyUnknown, "{key_id:?}");
    }
}

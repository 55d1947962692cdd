//! An issuer of lists and tokens, for tests.

use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_compact::{
    Algorithm, AlgorithmSignature,
    alg::{Ed25519, SigningKey},
    jwk::JsonWebKey,
};
use miniz_oxide::deflate::compress_to_vec_zlib;
use serde_json::{Value, json};

type Key = <Ed25519 as Algorithm>::SigningKey;

/// The keys of an issuer, by number.
fn key(number: u8) -> Key {
    <Key as SigningKey<Ed25519>>::from_slice(&[number; 32]).unwrap()
}

/// The public keys of these numbers, as a JWK Set; their `kid` is `k` and the number.
pub(crate) fn key_set(numbers: &[u8]) -> String {
    let jwk = |number: &u8| {
        let mut jwk =
            serde_json::to_value(JsonWebKey::from(&key(*number)).to_verifying_key()).unwrap();
        jwk["kid"] = json!(format!("k{number}"));
        jwk
    };
    json!({"keys": numbers.iter().map(jwk).collect::<Vec<_>>()}).to_string()
}

/// A JWS of this type and of these claims, by the key of this number.
pub(crate) fn signed(number: u8, token_type: &str, claims: &Value) -> String {
    let header = json!({"alg": "EdDSA", "kid": format!("k{number}"), "typ": token_type});
    let part = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
    let text = format!("{}.{}", part(&header), part(claims));
    let signature = Ed25519.sign(&key(number), text.as_bytes());
    format!("{text}.{}", Base64UrlUnpadded::encode_string(&signature.as_bytes()))
}

/// The claims of a list of 1024 places, of which these do not say valid.
pub(crate) fn list_claims(uri: &str, issued_at: Duration, refused: &[u64]) -> Value {
    let mut list = vec![0_u8; 128];
    for place in refused {
        list[usize::try_from(place / 8).unwrap()] |= 1 << (place % 8);
    }
    let packed = Base64UrlUnpadded::encode_string(&compress_to_vec_zlib(&list, 9));
    json!({"sub": uri, "iat": issued_at.as_secs(), "exp": issued_at.as_secs() + 300, "ttl": 5,
        "status_list": {"bits": 1, "lst": packed}})
}

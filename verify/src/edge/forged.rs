//! Credentials, bundles and pushes as an issuer makes them, for tests.

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use aes_kw::KwAes256;
use p256::{PublicKey, SecretKey, ecdsa::SigningKey, elliptic_curve::sec1::ToSec1Point};
use serde_json::{Value, json};

use super::{
    credential::EdgeCredential,
    enrolment::sign,
    key_agreement::{Parties, derive_key},
    private_key::thumbprint,
};
use crate::base64url::{decode, encode};

/// When bundles were signed, in seconds since the Unix epoch.
pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const ISSUER: &str = "https://auth.example.com/shop";
pub(crate) const EDGE: &str = "AAECAwQFBgcICQoLDA0ODw";

/// The keys of the one edge and the one issuer that tests know, and of a stranger.
pub(crate) const EDGE_SIGNING: u8 = 1;
pub(crate) const EDGE_RECEIVING: u8 = 2;
pub(crate) const ISSUER_SIGNING: u8 = 3;
pub(crate) const STRANGER: u8 = 4;
const EPHEMERAL: u8 = 5;

/// A private key that is made of one byte.
pub(crate) fn key(byte: u8) -> SecretKey {
    SecretKey::from_slice(&[byte; 32]).unwrap()
}

pub(crate) fn public_jwk(key: &PublicKey) -> Value {
    let point = key.to_sec1_point(false);
    let (x, y) = (encode(&point.as_bytes()[1..33]), encode(&point.as_bytes()[33..]));
    json!({"kty": "EC", "crv": "P-256", "x": x, "y": y})
}

pub(crate) fn key_id(key: &PublicKey) -> String {
    let jwk = public_jwk(key);
    thumbprint(jwk["x"].as_str().unwrap(), jwk["y"].as_str().unwrap())
}

fn private_jwk(byte: u8, usage: &str, algorithm: &str) -> Value {
    let mut jwk = public_jwk(&key(byte).public_key());
    jwk["use"] = usage.into();
    jwk["alg"] = algorithm.into();
    jwk["kid"] = key_id(&key(byte).public_key()).into();
    jwk["d"] = encode(key(byte).to_bytes()).into();
    jwk
}

/// What an enrolment printed, for these issuers.
pub(crate) fn credential_document(issuers: &[&str]) -> Value {
    let mut issuer_key = public_jwk(&key(ISSUER_SIGNING).public_key());
    issuer_key["kid"] = key_id(&key(ISSUER_SIGNING).public_key()).into();
    issuer_key["alg"] = "ES256".into();
    let issuer = |issuer| json!({"issuer": issuer, "keys_uri": format!("{issuer}/edge/keys")});
    json!({
        "edge": EDGE,
        "name": "envoy-eu",
        "keys": [
            private_jwk(EDGE_SIGNING, "sig", "ES256"),
            private_jwk(EDGE_RECEIVING, "enc", "ECDH-ES+A256KW"),
        ],
        "issuer_keys": {"keys": [issuer_key]},
        "issuers": issuers.iter().map(issuer).collect::<Vec<Value>>(),
    })
}

pub(crate) fn credential(issuers: &[&str]) -> EdgeCredential {
    EdgeCredential::parse(credential_document(issuers).to_string().as_bytes()).unwrap()
}

/// A JWS by ES256 of the key that is made of this byte.
pub(crate) fn signed(byte: u8, header: &Value, claims: &Value) -> String {
    sign(&SigningKey::from(key(byte)), header, claims).unwrap().to_string()
}

/// A JWE for `recipient` with `header`, which is completed by the ephemeral key.
pub(crate) fn encrypted(
    content: &[u8],
    mut header: Value,
    recipient: &PublicKey,
    ephemeral: &SecretKey,
) -> String {
    if header.get("epk").is_none() {
        header["epk"] = public_jwk(&ephemeral.public_key());
    }
    let party = |name: &str| header[name].as_str().and_then(decode).unwrap_or_default();
    let parties = Parties { producer: party("apu"), recipient: party("apv") };
    let shared = ephemeral.diffie_hellman(recipient);
    let wrapping = derive_key(shared.raw_secret_bytes(), "ECDH-ES+A256KW", &parties, 256);
    let (content_key, nonce) = ([7; 32], [8; 12]);
    let mut wrapped = [0; 40];
    KwAes256::new((&*wrapping).into()).wrap_key(&content_key, &mut wrapped).unwrap();
    let header = encode(header.to_string());
    let mut ciphertext = content.to_vec();
    let tag = Aes256Gcm::new((&content_key).into())
        .encrypt_inout_detached(
            (&nonce).into(),
            header.as_bytes(),
            ciphertext.as_mut_slice().into(),
        )
        .unwrap();
    [header, encode(wrapped), encode(nonce), encode(ciphertext), encode(tag)].join(".")
}

/// A bundle that is good unless it is changed.
pub(crate) struct ForgedBundle {
    pub(crate) signer: u8,
    pub(crate) header: Value,
    pub(crate) claims: Value,
    pub(crate) encryption: Value,
    pub(crate) recipient: u8,
    pub(crate) content: Vec<u8>,
}

impl ForgedBundle {
    /// Of a key set with this sequence number.
    pub(crate) fn new(issuer: &str, sequence: u64, keys: &Value) -> Self {
        Self {
            signer: ISSUER_SIGNING,
            header: json!({
                "alg": "ES256", "typ": "postern-bundle+jwt",
                "kid": key_id(&key(ISSUER_SIGNING).public_key()),
            }),
            claims: json!({
                "iss": issuer, "aud": EDGE, "iat": NOW, "exp": NOW + 86_400, "seq": sequence,
            }),
            encryption: json!({
                "alg": "ECDH-ES+A256KW", "enc": "A256GCM", "cty": "jwk-set+json",
                "kid": key_id(&key(EDGE_RECEIVING).public_key()),
            }),
            recipient: EDGE_RECEIVING,
            content: keys.to_string().into_bytes(),
        }
    }

    /// The same, with one thing changed.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(crate) fn text(&self) -> Vec<u8> {
        let recipient = key(self.recipient).public_key();
        let encryption = self.encryption.clone();
        let jwks = encrypted(&self.content, encryption, &recipient, &key(EPHEMERAL));
        let mut claims = self.claims.clone();
        if claims.get("jwks").is_none() {
            claims["jwks"] = jwks.into();
        }
        signed(self.signer, &self.header, &claims).into_bytes()
    }
}

/// An HS256 key set as an issuer would give it out.
pub(crate) fn secret_keys(key_id: &str, byte: u8) -> Value {
    json!({"keys": [
        {"kty": "oct", "alg": "HS256", "use": "sig", "kid": key_id, "k": encode([byte; 32])},
    ]})
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().map(|digit| digit.to_digit(16).unwrap()).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

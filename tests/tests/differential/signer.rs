//! Keys of every algorithm, and what they sign.

use jwt_compact::{
    Algorithm, AlgorithmSignature,
    alg::{Ed25519, Es256, Hs256, Hs256Key, Hs384, Hs384Key, Hs512, Hs512Key, Rsa, SigningKey},
    jwk::JsonWebKey,
};
use p384::ecdsa::signature::Signer as _;
use postern_tests::base64url;
use rand_core::RngCore;
use serde_json::{Value, json};

use crate::random::Seeded;

type RsaKey = <Rsa as Algorithm>::SigningKey;

/// The algorithms that all three know.
pub(crate) const ALGORITHMS: [&str; 13] = [
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256",
    "ES384", "ES512", "EdDSA",
];

/// One key of each type; the RSA key serves six algorithms, the secret three.
pub(crate) struct Signer {
    es256: <Es256 as Algorithm>::SigningKey,
    es384: p384::ecdsa::SigningKey,
    es512: p521::ecdsa::SigningKey,
    ed25519: <Ed25519 as Algorithm>::SigningKey,
    rsa: RsaKey,
    secret: [u8; 64],
}

impl Signer {
    pub(crate) fn new(random: &mut Seeded, rsa_bits: usize) -> Self {
        let mut seed = [0; 66];
        random.fill_bytes(&mut seed);
        seed[0] = 0;
        let mut secret = [0; 64];
        random.fill_bytes(&mut secret);
        Self {
            es256: SigningKey::<Es256>::from_slice(&seed[..32]).unwrap(),
            es384: p384::ecdsa::SigningKey::from_slice(&seed[..48]).unwrap(),
            es512: p521::ecdsa::SigningKey::from_slice(&seed).unwrap(),
            ed25519: SigningKey::<Ed25519>::from_slice(&seed[..32]).unwrap(),
            rsa: RsaKey::new(random, rsa_bits).unwrap(),
            secret,
        }
    }

    /// The public keys of all algorithms, and the secrets; each `kid` is the algorithm's name.
    pub(crate) fn jwks(&self) -> String {
        let keys: Vec<Value> = ALGORITHMS.iter().map(|name| self.jwk(name)).collect();
        json!({ "keys": keys }).to_string()
    }

    pub(crate) fn jwk(&self, algorithm: &str) -> Value {
        let mut jwk = self.bare_jwk(algorithm);
        for (name, value) in [("kid", algorithm), ("alg", algorithm), ("use", "sig")] {
            jwk[name] = json!(value);
        }
        jwk
    }

    /// The key, without what describes it.
    pub(crate) fn bare_jwk(&self, algorithm: &str) -> Value {
        let ec = |curve: &str, point: &[u8]| {
            let (x, y) = point[1..].split_at(point.len() / 2);
            json!({"kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y)})
        };
        match algorithm {
            "ES256" => {
                let key = self.es256.verifying_key();
                ec("P-256", key.to_encoded_point(false).as_bytes())
            }
            "ES384" => {
                let key = self.es384.verifying_key();
                ec("P-384", key.to_sec1_point(false).as_bytes())
            }
            "ES512" => {
                let key = p521::ecdsa::VerifyingKey::from(&self.es512);
                ec("P-521", key.to_sec1_point(false).as_bytes())
            }
            "EdDSA" => {
                let key = SigningKey::<Ed25519>::to_verifying_key(&self.ed25519);
                serde_json::to_value(JsonWebKey::from(&key)).unwrap()
            }
            hmac if hmac.starts_with("HS") => {
                json!({"kty": "oct", "k": base64url(self.secret)})
            }
            _ => serde_json::to_value(JsonWebKey::from(&self.rsa.to_public_key())).unwrap(),
        }
    }

    /// The private half of the key for ES256.
    pub(crate) fn private_jwk(&self) -> Value {
        let mut jwk = self.jwk("ES256");
        jwk["d"] = json!(base64url(self.es256.to_bytes()));
        jwk
    }

    pub(crate) fn signature(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let rsa = |algorithm: Rsa| algorithm.sign(&self.rsa, message).as_bytes().into_owned();
        match algorithm {
            "HS256" => hmac256(&self.secret, message),
            "HS384" => Hs384.sign(&Hs384Key::new(self.secret), message).as_bytes().into_owned(),
            "HS512" => Hs512.sign(&Hs512Key::new(self.secret), message).as_bytes().into_owned(),
            "RS256" => rsa(Rsa::rs256()),
            "RS384" => rsa(Rsa::rs384()),
            "RS512" => rsa(Rsa::rs512()),
            "PS256" => rsa(Rsa::ps256()),
            "PS384" => rsa(Rsa::ps384()),
            "PS512" => rsa(Rsa::ps512()),
            "ES256" => Es256.sign(&self.es256, message).as_bytes().into_owned(),
            "ES384" => {
                let signature: p384::ecdsa::Signature = self.es384.sign(message);
                signature.to_bytes().to_vec()
            }
            "ES512" => {
                let signature: p521::ecdsa::Signature = self.es512.sign(message);
                signature.to_bytes().to_vec()
            }
            _ => Ed25519.sign(&self.ed25519, message).as_bytes().into_owned(),
        }
    }

    /// A token of these bytes, whatever they are.
    pub(crate) fn token(
        &self,
        algorithm: &str,
        header: impl AsRef<[u8]>,
        claims: impl AsRef<[u8]>,
    ) -> String {
        self.token_of_text(algorithm, &format!("{}.{}", base64url(header), base64url(claims)))
    }

    /// A token whose first two parts are this text.
    pub(crate) fn token_of_text(&self, algorithm: &str, text: &str) -> String {
        format!("{text}.{}", base64url(self.signature(algorithm, text.as_bytes())))
    }
}

pub(crate) fn hmac256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    Hs256.sign(&Hs256Key::new(secret), message).as_bytes().into_owned()
}

//! Keys, and as many tokens as are wanted, each of them another one.

use std::cell::Cell;
use std::ops::Range;

use anyhow::{Context, Result, anyhow};
use base64ct::{Base64UrlUnpadded, Encoding};
use clap::ValueEnum;
use jwt_compact::alg::{ModulusBits, Rsa};
use jwt_compact::jwk::JsonWebKey;
use pkcs8::EncodePrivateKey;
use rand_core::{OsRng, RngCore};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use serde_json::{Value, json};

/// What is signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Algorithm {
    /// HMAC with SHA-256
    #[value(name = "HS256")]
    Hs256,
    /// RSA PKCS #1 v1.5 with SHA-256, 2048 bits
    #[value(name = "RS256")]
    Rs256,
    /// ECDSA on P-256
    #[value(name = "ES256")]
    Es256,
    /// Ed25519
    #[value(name = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// As in `alg`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The name of its provider, and the first segment of the paths that it guards.
    #[must_use]
    pub fn provider(self) -> String {
        self.name().to_ascii_lowercase()
    }

    /// The `iss` of its tokens.
    #[must_use]
    pub fn issuer(self) -> String {
        format!("https://auth.example.com/{}", self.provider())
    }
}

/// The `aud` of all tokens.
pub const AUDIENCE: &str = "shop";

/// How many RSA keys are made until one is taken.
const GENERATION_ATTEMPTS: u32 = 8;

/// A key of an algorithm.
pub struct Signer {
    /// Of what kind it is.
    pub algorithm: Algorithm,
    key: Key,
    jwk: Value,
    issued: Cell<u64>,
}

enum Key {
    Hmac(hmac::Key),
    Rsa(Box<RsaKeyPair>),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    /// A fresh key.
    ///
    /// # Errors
    /// When none could be made.
    pub fn generate(algorithm: Algorithm) -> Result<Self> {
        let (key, mut jwk) = match algorithm {
            Algorithm::Hs256 => Ok(hmac_key()),
            Algorithm::Rs256 => rsa_key(),
            Algorithm::Es256 => ecdsa_key(),
            Algorithm::EdDsa => ed25519_key(),
        }
        .with_context(|| format!("no key for {}", algorithm.name()))?;
        if let Some(members) = jwk.as_object_mut() {
            members.insert("kid".to_owned(), algorithm.name().into());
            members.insert("alg".to_owned(), algorithm.name().into());
        }
        Ok(Self { algorithm, key, jwk, issued: Cell::new(0) })
    }

    /// What checks its tokens, as a JWK Set.
    #[must_use]
    pub fn jwk_set(&self) -> String {
        json!({ "keys": [self.jwk] }).to_string()
    }

    /// How many tokens were issued: the number of the next one.
    #[must_use]
    pub fn issued(&self) -> u64 {
        self.issued.get()
    }

    /// Tokens that were never issued before; signed on all cores, as RSA takes its time.
    ///
    /// # Errors
    /// When one could not be signed.
    pub fn tokens(&self, count: u64) -> Result<Vec<String>> {
        let first = self.issued.get();
        self.issued.set(first + count);
        let middle = first + count / 2;
        let (algorithm, key) = (self.algorithm, &self.key);
        let sign = |range: Range<u64>| -> Result<Vec<String>> {
            range.map(|number| token(algorithm, key, number)).collect()
        };
        std::thread::scope(|scope| {
            let half = scope.spawn(|| sign(first..middle));
            let others = sign(middle..first + count)?;
            let mut tokens = half.join().map_err(|_| anyhow!("signing panicked"))??;
            tokens.extend(others);
            Ok(tokens)
        })
    }
}

/// The `sub` of a token.
#[must_use]
pub fn subject(number: u64) -> String {
    format!("d5896e6d-f4cf-422f-87d9-{number:012x}")
}

/// Some 500 bytes, as an authorization server would issue it.
fn token(algorithm: Algorithm, key: &Key, number: u64) -> Result<String> {
    let header = json!({"alg": algorithm.name(), "kid": algorithm.name(), "typ": "at+jwt"});
    let claims = json!({
        "iss": algorithm.issuer(),
        "sub": subject(number),
        "aud": AUDIENCE,
        "iat": 1_700_000_000,
        "exp": 4_102_444_800_u64,
        "jti": format!("ec779ddb-1eca-4d9b-870a-{number:012x}"),
        "scope": "orders:read orders:write profile",
        "sid": format!("ed489022-7dc8-47db-9398-{number:012x}"),
    });
    let text = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
    let signature = key.sign(text.as_bytes())?;
    Ok(format!("{text}.{}", base64url(signature)))
}

impl Key {
    fn sign(&self, text: &[u8]) -> Result<Vec<u8>> {
        let random = SystemRandom::new();
        Ok(match self {
            Self::Hmac(key) => hmac::sign(key, text).as_ref().to_vec(),
            Self::Ed25519(key) => key.sign(text).as_ref().to_vec(),
            Self::Ecdsa(key) => {
                key.sign(&random, text).map_err(|_| anyhow!("not signed"))?.as_ref().to_vec()
            }
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature)
                    .map_err(|_| anyhow!("not signed"))?;
                signature
            }
        })
    }
}

fn hmac_key() -> (Key, Value) {
    let mut secret = [0; 32];
    OsRng.fill_bytes(&mut secret);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
    (Key::Hmac(key), json!({"kty": "oct", "k": base64url(secret)}))
}

fn ecdsa_key() -> Result<(Key, Value)> {
    let (random, kind) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
    let document = EcdsaKeyPair::generate_pkcs8(kind, &random).map_err(|_| anyhow!("none made"))?;
    let key = EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random)?;
    // SEC 1 §2.3.3: 4, x, y.
    let point = key.public_key().as_ref().split_first().map_or(&[][..], |(_, point)| point);
    let (x, y) = point.split_at_checked(32).context("not a point")?;
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": base64url(x), "y": base64url(y)});
    Ok((Key::Ecdsa(key), jwk))
}

fn ed25519_key() -> Result<(Key, Value)> {
    let document =
        Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| anyhow!("none made"))?;
    let key = Ed25519KeyPair::from_pkcs8(document.as_ref())?;
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(key.public_key())});
    Ok((Key::Ed25519(key), jwk))
}

/// ring signs, but makes no RSA keys; and it holds keys to more rules than `rsa` makes them by.
fn rsa_key() -> Result<(Key, Value)> {
    for _ in 0..GENERATION_ATTEMPTS {
        let (key, public) = Rsa::generate(&mut OsRng, ModulusBits::TwoKibibytes)
            .map_err(|error| anyhow!("{error}"))?;
        let document = key.as_ref().to_pkcs8_der().map_err(|error| anyhow!("{error}"))?;
        if let Ok(key) = RsaKeyPair::from_pkcs8(document.as_bytes()) {
            let jwk = serde_json::to_value(JsonWebKey::from(public.as_ref()))?;
            return Ok((Key::Rsa(Box::new(key)), jwk));
        }
    }
    Err(anyhow!("none was accepted"))
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    Base64UrlUnpadded::encode_string(bytes.as_ref())
}

//! One signing key of a domain: generating it, signing with it, showing its public half.

use std::{fmt, str::FromStr};

use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_compact::{
    Algorithm, AlgorithmExt, Claims, Header,
    alg::{Ed25519, Es256, Hs256, Hs256Key, ModulusBits, Rsa, RsaPrivateKey, SigningKey},
    jwk::JsonWebKey,
};
use pkcs8::EncodePrivateKey;
use rand_core::OsRng;
use ring::signature::RsaKeyPair;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::{
    clock::Timestamp,
    rs256::Rs256,
    secret::{SecretBytes, SecretText, random_id},
};

/// RFC 9068, section 2.1.
const TOKEN_TYPE: &str = "at+jwt";
const PRIVATE_KEY_BYTES: usize = 32;
const HS256_SECRET_BYTES: usize = 64;
/// Of a secret that another system had. RFC 7518, section 3.2, asks for 32 bytes, and
/// `postern-verify`, which edges and the issuer itself check tokens with, takes no shorter one.
pub(crate) const FOREIGN_SECRET_BYTES: std::ops::RangeInclusive<usize> = 32..=1024;
const RANDOM_ID_BYTES: usize = 16;
const GENERATION_ATTEMPTS: usize = 64;

/// What a domain's tokens are signed with (RFC 7518, section 3.1; RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SigningAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// HMAC with SHA-256. Whoever can check a token can also make one.
    Hs256,
    /// RSASSA-PKCS1-v1_5 with SHA-256, 2048 bits.
    Rs256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl SigningAlgorithm {
    /// All of them, the default first.
    pub const ALL: [Self; 4] = [Self::Es256, Self::Hs256, Self::Rs256, Self::EdDsa];

    /// The registered name, which is the `alg` of tokens and keys.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl fmt::Display for SigningAlgorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for SigningAlgorithm {
    type Err = KeyError;

    fn from_str(name: &str) -> Result<Self, KeyError> {
        let found = Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name);
        found.ok_or_else(|| KeyError::UnknownAlgorithm(name.to_owned()))
    }
}

/// Why a key cannot be made or used. Never says anything about the key material.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No algorithm has this name; names are compared exactly.
    #[error("unknown algorithm `{0}`: use ES256, HS256, RS256 or EdDSA")]
    UnknownAlgorithm(String),
    /// A secret of another system is too short to be safe, or too long.
    #[error("the secret has not 32 to 1024 bytes")]
    SecretLength,
    /// No key came out of the random source.
    #[error("key generation failed")]
    Generation,
    /// The stored key does not fit its algorithm.
    #[error("key `{0}` is damaged")]
    Damaged(String),
    /// The key signs no more: its private half was erased when it was replaced.
    #[error("key `{0}` signs no more")]
    Retired(String),
    /// The signature could not be computed.
    #[error("signing with key `{0}` failed")]
    Signing(String),
}

/// A key of a domain's key set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// The `kid`: the RFC 7638 thumbprint, or random for HS256, whose thumbprint would be a
    /// hash of the secret.
    pub id: String,
    /// The one algorithm that it is good for.
    pub algorithm: SigningAlgorithm,
    /// When it was made, which is also when it was first published.
    pub published_at: Timestamp,
    /// The generation of the key set that first held it.
    pub first_generation: u64,
    /// What verifiers may know; absent for HS256.
    pub public: Option<PublicKey>,
    /// What signs; erased from replaced asymmetric keys. For HS256 it verifies as well, and
    /// stays. ES256: the scalar, 32 bytes. EdDSA: the seed, 32 bytes. HS256: 64 bytes, or what
    /// another system had. RS256: PKCS#8.
    pub(crate) secret: Option<SecretBytes>,
}

/// The public members of a JWK (RFC 7518, section 6; RFC 8037, section 2), base64url each.
/// There is no field that could hold a private one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kty")]
pub enum PublicKey {
    /// A point on an elliptic curve.
    #[serde(rename = "EC")]
    EllipticCurve {
        /// The curve: `P-256`.
        crv: String,
        /// The x coordinate.
        x: String,
        /// The y coordinate.
        y: String,
    },
    /// An octet key pair.
    #[serde(rename = "OKP")]
    OctetKeyPair {
        /// The curve: `Ed25519`.
        crv: String,
        /// The public key.
        x: String,
    },
    /// An RSA key.
    #[serde(rename = "RSA")]
    Rsa {
        /// The modulus.
        n: String,
        /// The public exponent.
        e: String,
    },
}

impl Key {
    /// A fresh random key. RS256 takes up to a second or so: call it off the async threads.
    ///
    /// # Errors
    ///
    /// [`KeyError::Generation`] when the random source yields no usable key.
    pub fn generate(
        algorithm: SigningAlgorithm,
        published_at: Timestamp,
        first_generation: u64,
    ) -> Result<Self, KeyError> {
        let Material { id, public, secret } = match algorithm {
            SigningAlgorithm::Es256 => generate_es256()?,
            SigningAlgorithm::Hs256 => generate_hs256(),
            SigningAlgorithm::Rs256 => generate_rs256()?,
            SigningAlgorithm::EdDsa => generate_eddsa()?,
        };
        let secret = Some(secret);
        Ok(Self { id, algorithm, published_at, first_generation, public, secret })
    }

    /// An HS256 key that another system has signed with.
    pub(crate) fn of_secret(
        secret: SecretBytes,
        published_at: Timestamp,
        first_generation: u64,
    ) -> Result<Self, KeyError> {
        if !FOREIGN_SECRET_BYTES.contains(&secret.expose().len()) {
            return Err(KeyError::SecretLength);
        }
        Ok(Self {
            id: random_id(RANDOM_ID_BYTES),
            algorithm: SigningAlgorithm::Hs256,
            published_at,
            first_generation,
            public: None,
            secret: Some(secret),
        })
    }

    /// Signs `claims` as a JWS in compact form.
    ///
    /// # Errors
    ///
    /// [`KeyError::Retired`] without a private half, [`KeyError::Damaged`] when the stored one
    /// does not fit, [`KeyError::Signing`] when the algorithm fails.
    pub fn sign<C: Serialize>(&self, claims: C) -> Result<SecretText, KeyError> {
        self.sign_as(TOKEN_TYPE, claims)
    }

    /// Signs `claims` as [`Key::sign`] does, as something else than an access token: `token_type`
    /// is the header's `typ`.
    pub(crate) fn sign_as<C: Serialize>(
        &self,
        token_type: &str,
        claims: C,
    ) -> Result<SecretText, KeyError> {
        let secret = self.secret.as_ref().ok_or_else(|| KeyError::Retired(self.id.clone()))?;
        let secret = secret.expose();
        let damaged = || KeyError::Damaged(self.id.clone());
        let header = Header::empty().with_key_id(self.id.clone()).with_token_type(token_type);
        match self.algorithm {
            SigningAlgorithm::Es256 => {
                let key = signing_key::<Es256>(secret).map_err(|()| damaged())?;
                self.sign_with(&Es256, &key, header, claims)
            }
            SigningAlgorithm::Hs256 => {
                self.sign_with(&Hs256, &Hs256Key::new(secret), header, claims)
            }
            SigningAlgorithm::Rs256 => {
                let key = RsaKeyPair::from_pkcs8(secret).map_err(|_| damaged())?;
                self.sign_with(&Rs256, &key, header, claims)
            }
            SigningAlgorithm::EdDsa => {
                let key = signing_key::<Ed25519>(secret).map_err(|()| damaged())?;
                self.sign_with(&Ed25519, &key, header, claims)
            }
        }
    }

    /// The key as it is kept once another one signs: good for verifying only.
    #[must_use]
    pub(crate) fn without_private_half(mut self) -> Self {
        if self.public.is_some() {
            self.secret = None;
        }
        self
    }

    fn sign_with<A: Algorithm, C: Serialize>(
        &self,
        algorithm: &A,
        key: &A::SigningKey,
        header: Header,
        claims: C,
    ) -> Result<SecretText, KeyError> {
        let token = algorithm
            .token(&header, &Claims::new(claims), key)
            .map_err(|_| KeyError::Signing(self.id.clone()))?;
        if token.ends_with('.') {
            return Err(KeyError::Signing(self.id.clone()));
        }
        Ok(SecretText::new(token))
    }
}

struct Material {
    id: String,
    public: Option<PublicKey>,
    secret: SecretBytes,
}

impl Material {
    fn asymmetric(jwk: &JsonWebKey<'_>, secret: SecretBytes) -> Result<Self, KeyError> {
        let public = serde_json::to_value(jwk.to_verifying_key())
            .and_then(serde_json::from_value)
            .map_err(|_| KeyError::Generation)?;
        let id = Base64UrlUnpadded::encode_string(&jwk.thumbprint::<Sha256>());
        Ok(Self { id, public: Some(public), secret })
    }
}

fn generate_es256() -> Result<Material, KeyError> {
    // A random string of 32 bytes is a valid scalar with all but certainty; the loop is for
    // the rest.
    for _ in 0..GENERATION_ATTEMPTS {
        let secret = SecretBytes::random(PRIVATE_KEY_BYTES);
        if let Ok(key) = signing_key::<Es256>(secret.expose()) {
            return Material::asymmetric(&(&key.to_verifying_key()).into(), secret);
        }
    }
    Err(KeyError::Generation)
}

fn generate_eddsa() -> Result<Material, KeyError> {
    let secret = SecretBytes::random(PRIVATE_KEY_BYTES);
    let key = signing_key::<Ed25519>(secret.expose()).map_err(|()| KeyError::Generation)?;
    Material::asymmetric(&(&key.to_verifying_key()).into(), secret)
}

fn signing_key<A: Algorithm>(secret: &[u8]) -> Result<A::SigningKey, ()>
where
    A::SigningKey: SigningKey<A>,
{
    SigningKey::<A>::from_slice(secret).map_err(drop)
}

fn generate_hs256() -> Material {
    let secret = SecretBytes::random(HS256_SECRET_BYTES);
    Material { id: random_id(RANDOM_ID_BYTES), public: None, secret }
}

fn generate_rs256() -> Result<Material, KeyError> {
    for _ in 0..GENERATION_ATTEMPTS {
        let (key, _) = Rsa::generate(&mut OsRng, ModulusBits::TwoKibibytes)
            .map_err(|_| KeyError::Generation)?;
        let key: RsaPrivateKey = key.into_inner();
        let document = key.to_pkcs8_der().map_err(|_| KeyError::Generation)?;
        // ring holds keys to more rules (FIPS 186-4) than `rsa` generates by.
        if RsaKeyPair::from_pkcs8(document.as_bytes()).is_ok() {
            let secret = SecretBytes::new(document.as_bytes().to_vec());
            return Material::asymmetric(&(&key.to_public_key()).into(), secret);
        }
    }
    Err(KeyError::Generation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(algorithm: SigningAlgorithm) -> Key {
        Key::generate(algorithm, Timestamp(1), 1).unwrap()
    }

    #[test]
    fn every_algorithm_signs_and_names_itself_and_its_key() {
        for algorithm in SigningAlgorithm::ALL {
            let key = key(algorithm);
            let token = key.sign(serde_json::json!({ "sub": "u1" })).unwrap();
            let header = token.expose().split('.').next().unwrap();
            let header = Base64UrlUnpadded::decode_vec(header).unwrap();
            let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
            let expected =
                serde_json::json!({ "alg": algorithm.as_str(), "kid": key.id, "typ": "at+jwt" });
            assert_eq!(header, expected);
        }
    }

    #[test]
    fn a_key_survives_storage_and_prints_no_secret() {
        for algorithm in SigningAlgorithm::ALL {
            let key = key(algorithm);
            let stored = serde_json::to_string(&key).unwrap();
            assert_eq!(serde_json::from_str::<Key>(&stored).unwrap(), key);
            assert!(format!("{key:?}").contains("secret: Some([redacted])"));
        }
    }

    #[test]
    fn a_replaced_key_signs_no_more() {
        for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa] {
            let key = key(algorithm).without_private_half();
            let refused = key.sign(serde_json::json!({}));
            assert_eq!(refused, Err(KeyError::Retired(key.id)));
        }
        assert!(key(SigningAlgorithm::Hs256).without_private_half().secret.is_some());
    }

    #[test]
    fn a_damaged_key_is_named_and_not_shown() {
        for algorithm in SigningAlgorithm::ALL {
            if algorithm == SigningAlgorithm::Hs256 {
                continue;
            }
            let key = Key { secret: Some(SecretBytes::new(vec![0; 7])), ..key(algorithm) };
            let refused = key.sign(serde_json::json!({}));
            assert_eq!(refused, Err(KeyError::Damaged(key.id)));
        }
    }

    #[test]
    fn names_are_exact() {
        for algorithm in SigningAlgorithm::ALL {
            assert_eq!(algorithm.as_str().parse(), Ok(algorithm));
        }
        for name in ["es256", "none", "EDDSA", ""] {
            assert!(name.parse::<SigningAlgorithm>().is_err(), "{name}");
        }
    }
}

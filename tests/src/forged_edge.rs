//! An enrolled edge whose issuer is a test: its credential, and bundles of keys for it, of any content.

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use aes_kw::KwAes256;
use base64ct::{Base64UrlUnpadded, Encoding};
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::{PublicKey, SecretKey};
use rand_core::{OsRng, RngCore};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{Failure, ForgedKeys, Key, base64url, now};

const KEY_AGREEMENT: &str = "ECDH-ES+A256KW";
/// How long a bundle is good, in seconds.
const LIFETIME: u64 = 86_400;

/// An edge, and the key by which its issuer signs bundles.
pub struct ForgedEdge {
    id: String,
    signing: SecretKey,
    receiving: SecretKey,
    /// The issuer's: its key `es` signs the bundles.
    pub issuer_keys: ForgedKeys,
}

impl ForgedEdge {
    /// Fresh keys.
    ///
    /// # Errors
    /// When there is no randomness that makes one.
    pub fn generate() -> Result<Self, Failure> {
        let id = base64url(random::<16>());
        let issuer_keys = ForgedKeys::generate()?;
        Ok(Self { id, signing: secret_key()?, receiving: secret_key()?, issuer_keys })
    }

    /// What the enrolment printed, for one issuer.
    #[must_use]
    pub fn credential(&self, issuer: &str) -> Value {
        json!({
            "edge": self.id,
            "name": "envoy",
            "keys": [
                private(&self.signing, "sig", "ES256"),
                private(&self.receiving, "enc", KEY_AGREEMENT),
            ],
            "issuer_keys": { "keys": [self.issuer_keys.jwk("es")] },
            "issuers": [{ "issuer": issuer, "keys_uri": format!("{issuer}/edge/keys") }],
        })
    }

    /// What of a credential must be seen nowhere.
    #[must_use]
    pub fn secrets(&self) -> [String; 2] {
        [&self.signing, &self.receiving].map(|key| base64url(key.to_bytes()))
    }

    /// What a bundle of this sequence number says.
    #[must_use]
    pub fn bundle_claims(&self, issuer: &str, sequence: u64, keys: &Value) -> Value {
        json!({
            "iss": issuer, "aud": self.id, "iat": now(), "exp": now() + LIFETIME, "seq": sequence,
            "jwks": self.encrypt(keys),
        })
    }

    /// A bundle that says this.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        let header = json!({ "alg": "ES256", "kid": "es", "typ": "postern-bundle+jwt" });
        self.issuer_keys.sign(Key::Es256, header.to_string(), claims.to_string())
    }

    /// A good bundle.
    #[must_use]
    pub fn bundle(&self, issuer: &str, sequence: u64, keys: &Value) -> String {
        self.sign(&self.bundle_claims(issuer, sequence, keys))
    }

    /// A key set as a JWE for this edge (RFC 7516 §5.1); empty where that fails.
    fn encrypt(&self, keys: &Value) -> String {
        let recipient = self.receiving.public_key();
        encrypt(keys.to_string().as_bytes(), &recipient).unwrap_or_default()
    }
}

/// A key set of one secret for HS256.
#[must_use]
pub fn secret_keys(secrets: &[(&str, &[u8])]) -> Value {
    let keys = secrets.iter().map(|(kid, secret)| {
        json!({ "kty": "oct", "alg": "HS256", "use": "sig", "kid": kid, "k": base64url(secret) })
    });
    json!({ "keys": keys.collect::<Vec<_>>() })
}

fn encrypt(content: &[u8], recipient: &PublicKey) -> Option<String> {
    let ephemeral = secret_key().ok()?;
    let header = json!({
        "alg": KEY_AGREEMENT, "enc": "A256GCM", "cty": "jwk-set+json",
        "kid": thumbprint(recipient), "epk": public(&ephemeral.public_key()),
    });
    let header = base64url(header.to_string());
    let shared = ephemeral.diffie_hellman(recipient);
    let wrapping = derived(shared.raw_secret_bytes());
    let (key, nonce) = (random::<32>(), random::<12>());
    let mut wrapped = [0; 40];
    KwAes256::new((&wrapping).into()).wrap_key(&key, &mut wrapped).ok()?;
    let mut ciphertext = content.to_vec();
    let buffer = ciphertext.as_mut_slice().into();
    let cipher = Aes256Gcm::new((&key).into());
    let tag = cipher.encrypt_inout_detached((&nonce).into(), header.as_bytes(), buffer).ok()?;
    let parts = [base64url(wrapped), base64url(nonce), base64url(&ciphertext), base64url(tag)];
    Some(format!("{header}.{}", parts.join(".")))
}

/// The Concat KDF (RFC 7518 §4.6.2), where neither party says who it is.
fn derived(shared: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    let length = |length: usize| u32::try_from(length).unwrap_or_default().to_be_bytes();
    hash.update(1_u32.to_be_bytes());
    hash.update(shared);
    hash.update(length(KEY_AGREEMENT.len()));
    hash.update(KEY_AGREEMENT);
    hash.update(length(0));
    hash.update(length(0));
    hash.update(256_u32.to_be_bytes());
    hash.finalize().into()
}

fn private(key: &SecretKey, usage: &str, algorithm: &str) -> Value {
    let mut jwk = public(&key.public_key());
    if let Some(members) = jwk.as_object_mut() {
        members.extend([
            ("use".to_owned(), usage.into()),
            ("alg".to_owned(), algorithm.into()),
            ("kid".to_owned(), thumbprint(&key.public_key()).into()),
            ("d".to_owned(), base64url(key.to_bytes()).into()),
        ]);
    }
    jwk
}

fn public(key: &PublicKey) -> Value {
    let point = key.to_sec1_point(false);
    let (x, y) = point.as_bytes().get(1..).unwrap_or_default().split_at(32);
    json!({ "kty": "EC", "crv": "P-256", "x": base64url(x), "y": base64url(y) })
}

/// RFC 7638 §3; as JSON, a map of ours has its members in order.
fn thumbprint(key: &PublicKey) -> String {
    Base64UrlUnpadded::encode_string(&Sha256::digest(public(key).to_string()))
}

fn secret_key() -> Result<SecretKey, Failure> {
    SecretKey::from_slice(&random::<32>()).map_err(Failure::while_doing("a key on P-256"))
}

fn random<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    OsRng.fill_bytes(&mut bytes);
    bytes
}

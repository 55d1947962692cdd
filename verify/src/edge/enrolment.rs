//! An edge before one issuer: it says who asks for the keys, and takes what is answered.

use std::{sync::Arc, time::Duration};

use p256::ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{
    bundle::{Bundle, BundleError},
    credential::EdgeCredential,
};
use crate::{base64url, signature::SignatureVerifier};

const ASSERTION_TYPE: &str = "postern-edge+jwt";
/// For how long an assertion is good, in seconds: who has seen one can repeat it, and gets a bundle
/// that is encrypted for another.
const ASSERTION_LIFETIME: u64 = 60;

/// What one issuer has told one edge so far.
#[derive(Debug)]
pub(crate) struct Enrolment {
    credential: Arc<EdgeCredential>,
    issuer: String,
    clock_skew: Duration,
    /// The highest sequence number that was taken. It outlives the keys: who could make the edge
    /// forget them could else bring back older ones.
    newest: u64,
}

/// What an edge was given by a bundle.
pub(crate) struct Opened {
    /// A JWK Set. Where there are symmetric keys, a secret.
    pub(crate) document: Zeroizing<Vec<u8>>,
    /// From when on it is not to be used.
    pub(crate) end: Duration,
    sequence: u64,
}

impl Enrolment {
    /// With the last of `edges` that covers the issuer: a new one can be there before the old one goes.
    pub(crate) fn new(
        edges: &[Arc<EdgeCredential>],
        issuer: &str,
        clock_skew: Duration,
        newest: u64,
    ) -> Option<Self> {
        let credential = edges.iter().rfind(|edge| edge.covers(issuer))?;
        let (credential, issuer) = (Arc::clone(credential), issuer.to_owned());
        Some(Self { credential, issuer, clock_skew, newest })
    }

    pub(crate) fn newest(&self) -> u64 {
        self.newest
    }

    /// Value for `Authorization`: an assertion (RFC 7523 §2.2, in spirit) of who asks, which of its
    /// processes it is, and which bundle that holds.
    pub(crate) fn authorization(
        &self,
        instance: u64,
        held: Option<&[u8]>,
        now: Duration,
    ) -> Option<Zeroizing<String>> {
        let (edge, issued) = (self.credential.id(), now.as_secs());
        let mut claims = json!({
            "iss": edge, "sub": edge, "aud": self.issuer,
            "iat": issued, "exp": issued + ASSERTION_LIFETIME,
            "instance": format!("{instance:016x}"),
        });
        if let (Some(held), Value::Object(members)) = (held, &mut claims)
            && let Ok(held) = std::str::from_utf8(held)
        {
            members.insert("held".to_owned(), held.into());
        }
        let key = self.credential.signing_key();
        let header = json!({"alg": "ES256", "kid": key.id, "typ": ASSERTION_TYPE});
        let assertion = sign(&SigningKey::from(&key.key), &header, &claims)?;
        Some(Zeroizing::new(format!("Bearer {}", *assertion)))
    }

    /// Opens a bundle. It changes nothing before it is told to [`Enrolment::keep`] it.
    pub(crate) fn open(
        &self,
        body: &[u8],
        signatures: &dyn SignatureVerifier,
        now: Duration,
    ) -> Result<Opened, BundleError> {
        let Self { credential, issuer, clock_skew, newest } = self;
        let bundle = Bundle::open(body, credential, issuer, *clock_skew, signatures, now)?;
        let Bundle { sequence, end, document } = bundle;
        if sequence < *newest {
            return Err(BundleError::RolledBack);
        }
        Ok(Opened { document, end, sequence })
    }

    /// From here on, nothing older than this one is taken.
    pub(crate) fn keep(&mut self, opened: &Opened) {
        self.newest = self.newest.max(opened.sequence);
    }
}

/// A JWS in compact form by ES256, with the nonce of RFC 6979: no randomness.
pub(super) fn sign(key: &SigningKey, header: &Value, claims: &Value) -> Option<Zeroizing<String>> {
    let [header, claims] = [header, claims].map(|part| base64url::encode(part.to_string()));
    let mut text = Zeroizing::new(format!("{header}.{claims}"));
    let signature: Signature = key.sign_prehash(&Sha256::digest(text.as_bytes())).ok()?;
    text.push('.');
    text.push_str(&base64url::encode(signature.to_bytes()));
    Some(text)
}

//! What an edge is sent: a domain's keys, encrypted to the edge and signed by the issuer.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::Serialize;

use super::{Edge, jwe};
use crate::{
    clock::Timestamp,
    issuer::Failure,
    key::{Key, SigningAlgorithm},
    key_set::{KeySet, KeyState},
    secret::{SecretBytes, SecretText, sha256},
};

/// The `typ` of bundles.
const BUNDLE_TYPE: &str = "postern-bundle+jwt";
/// The `typ` of what tells an edge that something has changed.
pub(crate) const PUSH_TYPE: &str = "postern-push+jwt";
/// How long a bundle is good for.
const LIFETIME_SECONDS: u64 = 86_400;
/// How often it is made anew, long before its time is over.
const PERIOD_SECONDS: u64 = 6 * 60 * 60;
const HASH_BYTES: usize = 12;

/// What goes into one.
pub(crate) struct Bundle<'b> {
    /// The domain's `iss`.
    pub(crate) issuer: &'b str,
    pub(crate) edge: &'b Edge,
    pub(crate) keys: &'b KeySet,
    pub(crate) signing_key: &'b Key,
}

#[derive(Serialize)]
struct BundleClaims<'b> {
    iss: &'b str,
    aud: &'b str,
    iat: u64,
    exp: u64,
    seq: u64,
    jwks: String,
}

impl Bundle<'_> {
    /// The bundle at `now`, a JWS in compact form whose claim `jwks` is a JWE.
    pub(crate) fn sign(&self, now: Timestamp) -> Result<SecretText, Failure> {
        let keys = jwk_set(self.keys, now)?;
        let jwks = jwe::encrypt(&self.edge.encryption_key, "jwk-set+json", &keys);
        let claims = BundleClaims {
            iss: self.issuer,
            aud: self.edge.id.as_str(),
            iat: now.0,
            exp: now.plus(LIFETIME_SECONDS).0,
            seq: self.keys.generation,
            jwks: jwks.map_err(|_| Failure::Publication)?,
        };
        Ok(self.signing_key.sign_as(BUNDLE_TYPE, claims)?)
    }
}

/// What checks the domain's tokens at `now`: secrets where there is nothing else.
fn jwk_set(keys: &KeySet, now: Timestamp) -> Result<SecretBytes, Failure> {
    if keys.algorithm() == SigningAlgorithm::Hs256 {
        return keys.export_secrets(now).map_err(|_| Failure::Publication);
    }
    let published = keys.publish(u64::MAX, now).map_err(|_| Failure::Publication)?;
    Ok(SecretBytes::new(published.document))
}

/// A strong entity tag, with its quotes: the generation, and a hash of whatever makes for another
/// bundle. No secret is in it.
pub(crate) fn bundle_etag(edge: &Edge, keys: &KeySet, now: Timestamp) -> String {
    let mut hashed =
        format!("{}\n{}\n{}", edge.id.as_str(), keys.generation, now.0 / PERIOD_SECONDS);
    for (key, state, _) in keys.keys(now).filter(|(_, state, _)| *state != KeyState::Retired) {
        hashed.extend(["\n", key.id.as_str(), " ", state.as_str()]);
    }
    let hash: Vec<u8> = sha256(hashed.as_bytes()).into_iter().take(HASH_BYTES).collect();
    format!("\"{}.{}\"", keys.generation, Base64UrlUnpadded::encode_string(&hash))
}

/// The generation that a bundle of that entity tag has.
pub(crate) fn generation_of(etag: &str) -> Option<u64> {
    let tag = etag.strip_prefix("W/").unwrap_or(etag);
    let tag = tag.strip_prefix('"')?.strip_suffix('"')?;
    tag.split_once('.')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_tells_its_generation() {
        for (etag, generation) in [
            ("\"12.abc\"", Some(12)),
            ("W/\"12.abc\"", Some(12)),
            ("\"12\"", None),
            ("12.abc", None),
            ("\"-1.abc\"", None),
            ("\"18446744073709551616.a\"", None),
            ("", None),
        ] {
            assert_eq!(generation_of(etag), generation, "{etag}");
        }
    }
}

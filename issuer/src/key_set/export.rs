//! Handing a domain's secrets to whatever else is to check its tokens.

use serde::Serialize;

use super::{KeySet, KeyState};
use crate::{
    clock::Timestamp,
    key::{Key, SigningAlgorithm},
    secret::SecretBytes,
};

/// Why a key set's secrets are not exported.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// Its tokens are checked with public keys, and nobody else needs the private ones.
    #[error("the domain signs {0}: its private keys are never exported, its public ones suffice")]
    Asymmetric(SigningAlgorithm),
    /// Writing the document failed.
    #[error("writing the keys failed")]
    Encoding,
}

impl KeySet {
    /// A JWK Set (RFC 7517, section 5; RFC 7518, section 6.4) of all secrets that tokens may be
    /// signed with at `now` or after the next rotation. Whoever has it can make tokens.
    ///
    /// # Errors
    ///
    /// [`ExportError::Asymmetric`] unless the domain signs HS256.
    pub fn export_secrets(&self, now: Timestamp) -> Result<SecretBytes, ExportError> {
        if self.algorithm() != SigningAlgorithm::Hs256 {
            return Err(ExportError::Asymmetric(self.algorithm()));
        }
        let living = self.keys(now).filter(|(_, state, _)| *state != KeyState::Retired);
        let keys = living.filter_map(|(key, ..)| ExportedKey::of(key)).collect();
        let document = serde_json::to_vec(&ExportedKeySet { keys });
        document.map(SecretBytes::new).map_err(|_| ExportError::Encoding)
    }
}

#[derive(Serialize)]
struct ExportedKeySet<'k> {
    keys: Vec<ExportedKey<'k>>,
}

#[derive(Serialize)]
struct ExportedKey<'k> {
    kty: &'static str,
    kid: &'k str,
    alg: SigningAlgorithm,
    r#use: &'static str,
    k: &'k SecretBytes,
}

impl<'k> ExportedKey<'k> {
    fn of(key: &'k Key) -> Option<Self> {
        let k = key.secret.as_ref().filter(|_| key.algorithm == SigningAlgorithm::Hs256)?;
        Some(Self { kty: "oct", kid: &key.id, alg: key.algorithm, r#use: "sig", k })
    }
}

#[cfg(test)]
mod tests {
    use postern_verify::{JwkSet, KeyKinds};
    use serde_json::Value;

    use super::*;
    use crate::{domain::DomainSettings, key_set::Rotation};

    const NOW: Timestamp = Timestamp(1_000_000);

    #[test]
    fn secrets_are_exported_as_edges_take_them_until_their_last_token_has_expired() {
        let settings = DomainSettings::sample(3600);
        let first = KeySet::generate(SigningAlgorithm::Hs256, NOW).unwrap();
        let second = first.rotate(&settings, NOW, Rotation::Regular).unwrap();
        let ids = |now| {
            let exported = second.export_secrets(now).unwrap();
            let set = JwkSet::parse(exported.expose(), KeyKinds::WithSecrets).unwrap();
            let document: Value = serde_json::from_slice(exported.expose()).unwrap();
            let keys = document["keys"].as_array().unwrap();
            assert_eq!(set.len(), keys.len());
            keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let [next, current, previous] = [&second.next, &second.current, &first.current];
        assert_eq!(ids(NOW), [next, current, previous].map(|key| key.id.clone()));
        assert_eq!(ids(NOW.plus(360)), [next, current].map(|key| key.id.clone()));
    }

    #[test]
    fn private_keys_are_not_exported() {
        for algorithm in SigningAlgorithm::ALL {
            let exported = KeySet::generate(algorithm, NOW).unwrap().export_secrets(NOW);
            match algorithm {
                SigningAlgorithm::Hs256 => assert!(exported.is_ok()),
                other => assert_eq!(exported, Err(ExportError::Asymmetric(other))),
            }
        }
    }
}

//! A domain's key set: `next`, `current`, `previous[]`.

mod export;
mod preparation;
mod rotation;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::{Deserialize, Serialize};

pub use self::{
    export::ExportError,
    rotation::{Rotation, RotationError},
};
pub(crate) use self::{
    preparation::{PreparedSet, Unpromotable, is_first},
    rotation::rotation_bound,
};
use crate::{
    clock::Timestamp,
    key::{Key, KeyError, PublicKey, SigningAlgorithm},
    secret::{SecretBytes, sha256},
};

const FIRST_GENERATION: u64 = 1;
const ETAG_HASH_BYTES: usize = 12;

/// The keys of one domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySet {
    /// Grows by one with every rotation.
    pub generation: u64,
    /// Published, and signs nothing yet.
    pub next: Key,
    /// Signs.
    pub current: Key,
    /// Signed once; the latest first.
    pub previous: Vec<PreviousKey>,
}

/// A key that was replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreviousKey {
    /// The key, without its private half where it has one.
    pub key: Key,
    /// Until when it is published: every token that it signed has expired by then.
    pub expires_at: Timestamp,
    /// Until when the issuer itself keeps it, to recognize expired tokens of sessions that can
    /// still be refreshed.
    pub kept_until: Timestamp,
}

/// The part that a key plays in its set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Published, and signs nothing yet.
    Next,
    /// Signs.
    Current,
    /// Replaced; still published.
    Previous,
    /// No longer published; only an expired token of a living session may still name it.
    Retired,
}

impl KeyState {
    /// The state as it is listed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Current => "current",
            Self::Previous => "previous",
            Self::Retired => "retired",
        }
    }
}

/// A key set as the world sees it at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// The JWK Set (RFC 7517, section 5), public members only.
    pub document: Vec<u8>,
    /// A strong entity tag with its quotes (RFC 9110, section 8.8.3).
    pub etag: String,
    /// How long caches may keep the document, in seconds: at least 1.
    pub max_age: u64,
}

impl KeySet {
    /// The first generation of a new domain: a next and a current key, published together.
    ///
    /// # Errors
    ///
    /// [`KeyError::Generation`].
    pub fn generate(algorithm: SigningAlgorithm, now: Timestamp) -> Result<Self, KeyError> {
        Ok(Self {
            generation: FIRST_GENERATION,
            next: Key::generate(algorithm, now, FIRST_GENERATION)?,
            current: Key::generate(algorithm, now, FIRST_GENERATION)?,
            previous: Vec::new(),
        })
    }

    /// The first generation of a domain that another system has signed HS256 for with `secret`,
    /// which goes on signing. The next key is a fresh one.
    ///
    /// # Errors
    ///
    /// [`KeyError::SecretLength`] unless it has 32 to 1024 bytes; [`KeyError::Generation`].
    pub fn of_secret(secret: SecretBytes, now: Timestamp) -> Result<Self, KeyError> {
        let current = Key::of_secret(secret, now, FIRST_GENERATION)?;
        Ok(Self { current, ..Self::generate(SigningAlgorithm::Hs256, now)? })
    }

    /// Whether one of its keys, in whichever state, has this secret.
    pub(crate) fn holds_secret(&self, secret: &SecretBytes) -> bool {
        let previous = self.previous.iter().map(|previous| &previous.key);
        let mut keys = [&self.next, &self.current].into_iter().chain(previous);
        self.algorithm() == SigningAlgorithm::Hs256
            && keys.any(|key| key.secret.as_ref() == Some(secret))
    }

    /// The algorithm that the domain signs with.
    #[must_use]
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.current.algorithm
    }

    /// Whether a key of that id is in the set, in whichever state.
    #[must_use]
    pub fn holds(&self, key_id: &str) -> bool {
        let previous = self.previous.iter().map(|previous| &previous.key);
        [&self.next, &self.current].into_iter().chain(previous).any(|key| key.id == key_id)
    }

    /// Every key, its state and, for replaced ones, until when it counts.
    pub fn keys(
        &self,
        now: Timestamp,
    ) -> impl Iterator<Item = (&Key, KeyState, Option<Timestamp>)> {
        let living = [(&self.next, KeyState::Next, None), (&self.current, KeyState::Current, None)];
        let kept = self.previous.iter().filter(move |previous| now < previous.kept_until);
        let replaced = kept.map(move |previous| {
            if now < previous.expires_at {
                (&previous.key, KeyState::Previous, Some(previous.expires_at))
            } else {
                (&previous.key, KeyState::Retired, Some(previous.kept_until))
            }
        });
        living.into_iter().chain(replaced)
    }

    /// What to publish at `now`. `max_age` never outlives the next change that is known.
    ///
    /// # Errors
    ///
    /// [`serde_json::Error`] never, in practice: every member is text.
    pub fn publish(&self, max_age: u64, now: Timestamp) -> Result<Publication, serde_json::Error> {
        let published = self.keys(now).filter(|(_, state, _)| *state != KeyState::Retired);
        let keys = published.filter_map(|(key, ..)| PublishedKey::of(key)).collect();
        let document = serde_json::to_vec(&PublishedKeySet { keys })?;
        let etag = etag(self.generation, &document);
        let changes = self.previous.iter().map(|previous| previous.expires_at.since(now));
        let next_change = changes.filter(|seconds| *seconds > 0).min().unwrap_or(u64::MAX);
        Ok(Publication { document, etag, max_age: max_age.min(next_change).max(1) })
    }

    #[cfg(test)]
    pub(crate) fn with_damaged_current(mut self) -> Self {
        self.current.secret = Some(SecretBytes::new(vec![0; 7]));
        self
    }
}

#[derive(Serialize)]
struct PublishedKeySet<'k> {
    keys: Vec<PublishedKey<'k>>,
}

#[derive(Serialize)]
struct PublishedKey<'k> {
    #[serde(flatten)]
    public: &'k PublicKey,
    kid: &'k str,
    alg: SigningAlgorithm,
    r#use: &'static str,
}

impl<'k> PublishedKey<'k> {
    fn of(key: &'k Key) -> Option<Self> {
        let public = key.public.as_ref()?;
        Some(Self { public, kid: &key.id, alg: key.algorithm, r#use: "sig" })
    }
}

fn etag(generation: u64, document: &[u8]) -> String {
    let hash: Vec<u8> = sha256(document).into_iter().take(ETAG_HASH_BYTES).collect();
    format!("\"{generation}-{}\"", Base64UrlUnpadded::encode_string(&hash))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::domain::DomainSettings;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn settings() -> DomainSettings {
        DomainSettings::sample(3600)
    }

    fn published(key_set: &KeySet, now: Timestamp) -> Vec<String> {
        let document = key_set.publish(120, now).unwrap().document;
        let document: Value = serde_json::from_slice(&document).unwrap();
        let keys = document["keys"].as_array().unwrap();
        keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn next_is_published_before_it_signs() {
        let first = KeySet::generate(SigningAlgorithm::Es256, NOW).unwrap();
        assert_eq!(published(&first, NOW), [first.next.id.clone(), first.current.id.clone()]);
        let second = first.rotate(&settings(), NOW, Rotation::Regular).unwrap();
        assert_eq!(second.current, first.next);
        assert_eq!(second.generation, 2);
        assert!(second.current.sign(serde_json::json!({})).is_ok());
    }

    #[test]
    fn a_secret_of_another_system_signs_unless_it_is_too_short_to_be_checked() {
        for (length, fits) in [(0, false), (31, false), (32, true), (1024, true), (1025, false)] {
            let made = KeySet::of_secret(SecretBytes::new(vec![1; length]), NOW);
            assert_eq!(made.as_ref().err(), (!fits).then_some(&KeyError::SecretLength));
            let Ok(made) = made else { continue };
            assert!(made.current.sign(serde_json::json!({})).is_ok());
            let set = made.export_secrets(NOW).unwrap();
            let kinds = postern_verify::KeyKinds::WithSecrets;
            let set = postern_verify::JwkSet::parse(set.expose(), kinds).unwrap();
            assert_eq!((set.len(), set.skipped().len()), (2, 0));
        }
    }

    #[test]
    fn previous_is_published_until_its_last_token_has_expired() {
        let first = KeySet::generate(SigningAlgorithm::EdDsa, NOW).unwrap();
        let second = first.rotate(&settings(), NOW, Rotation::Regular).unwrap();
        assert!(published(&second, NOW.plus(359)).contains(&first.current.id));
        assert!(!published(&second, NOW.plus(360)).contains(&first.current.id));
        let states = |now| second.keys(now).map(|(_, state, _)| state).collect::<Vec<_>>();
        assert_eq!(states(NOW.plus(359)), [KeyState::Next, KeyState::Current, KeyState::Previous]);
        assert_eq!(states(NOW.plus(360)), [KeyState::Next, KeyState::Current, KeyState::Retired]);
        assert_eq!(states(NOW.plus(3660)), [KeyState::Next, KeyState::Current]);
    }

    #[test]
    fn max_age_ends_with_the_next_known_change() {
        let first = KeySet::generate(SigningAlgorithm::EdDsa, NOW).unwrap();
        let second = first.rotate(&settings(), NOW, Rotation::Regular).unwrap();
        let max_age = |after| second.publish(120, NOW.plus(after)).unwrap().max_age;
        assert_eq!(max_age(0), 120);
        assert_eq!(max_age(300), 60);
        assert_eq!(max_age(359), 1);
        assert_eq!(max_age(360), 120);
    }

    #[test]
    fn the_etag_changes_with_the_generation_and_with_the_content() {
        let first = KeySet::generate(SigningAlgorithm::EdDsa, NOW).unwrap();
        let second = first.rotate(&settings(), NOW, Rotation::Regular).unwrap();
        let etag = |key_set: &KeySet, now| key_set.publish(120, now).unwrap().etag;
        assert_eq!(etag(&first, NOW), etag(&first, NOW.plus(50)));
        assert_ne!(etag(&first, NOW), etag(&second, NOW));
        assert_ne!(etag(&second, NOW), etag(&second, NOW.plus(360)));
        assert!(etag(&first, NOW).starts_with("\"1-") && etag(&first, NOW).ends_with('"'));
    }

    #[test]
    fn only_public_members_are_published() {
        let allowed = ["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use"];
        for algorithm in SigningAlgorithm::ALL {
            let key_set = KeySet::generate(algorithm, NOW).unwrap();
            let document = key_set.publish(120, NOW).unwrap().document;
            let document: Value = serde_json::from_slice(&document).unwrap();
            assert_eq!(document.as_object().unwrap().len(), 1);
            let keys = document["keys"].as_array().unwrap();
            let expected = if algorithm == SigningAlgorithm::Hs256 { 0 } else { 2 };
            assert_eq!(keys.len(), expected, "{algorithm}");
            for member in keys.iter().flat_map(|key| key.as_object().unwrap().keys()) {
                assert!(allowed.contains(&member.as_str()), "{algorithm}: {member}");
            }
        }
    }
}

//! A domain's key set: `next`, `current`, `previous[]`, and the rules of rotation.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    domain::DomainSettings,
    key::{Key, KeyError, PublicKey, SigningAlgorithm},
    secret::sha256,
};

/// How long a replaced key stays published beyond its last token's `exp`, in seconds: for the
/// clock skew that edges allow, and for a login that began before the rotation.
const SKEW_ALLOWANCE_SECONDS: u64 = 60;
/// An edge counts a set's `max-age` from when the answer has arrived, which is later than the
/// set was read by as much as a fetch may take. This is what rotation allows for that, and for
/// the commit, in seconds; but no more than `max-age` once again, because a domain with a short
/// one asks for quick rotations. An edge that does not know a key refetches in any case.
const FETCH_ALLOWANCE_SECONDS: u64 = 60;
/// Times are kept in whole seconds.
const ROUNDING_SECONDS: u64 = 1;
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

/// Why a rotation is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RotationError {
    /// A cache may still hold a key set without the next key.
    #[error(
        "the next key is not known everywhere yet: wait `{seconds_left}` seconds, or use `--force`"
    )]
    TooSoon {
        /// Seconds until the last such cache has run out.
        seconds_left: u64,
    },
    /// No fresh key could be made.
    #[error(transparent)]
    Key(#[from] KeyError),
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

    /// The set after a rotation: `next` signs, `current` is kept for verifying, a fresh `next`
    /// is published.
    ///
    /// # Errors
    ///
    /// [`RotationError::TooSoon`] while a cached set without `next` may be in use, unless
    /// `force` is set: until `max-age` has passed and, for fetches, 60 seconds more, or
    /// `max-age` again if that is less; [`RotationError::Key`] when no fresh key can be made.
    pub fn rotate(
        &self,
        settings: &DomainSettings,
        now: Timestamp,
        force: bool,
    ) -> Result<Self, RotationError> {
        let seconds_left = self.seconds_until_next_is_known(settings.jwks_max_age, now);
        if seconds_left > 0 && !force {
            return Err(RotationError::TooSoon { seconds_left });
        }
        let generation = self.generation.saturating_add(1);
        let kept = self.previous.iter().filter(|previous| now < previous.kept_until);
        let replaced = PreviousKey::replaced(&self.current, settings, now);
        Ok(Self {
            generation,
            next: Key::generate(self.next.algorithm, now, generation)?,
            current: self.next.clone(),
            previous: std::iter::once(replaced).chain(kept.cloned()).collect(),
        })
    }

    /// The set as a rotation leaves it that is written at `now`. That is later than
    /// [`KeySet::rotate`] was told if making the key or waiting for the storage took its time:
    /// until then caches were filled without `next`, and the replaced key signed.
    #[must_use]
    pub fn published_at(mut self, now: Timestamp) -> Self {
        let delay = now.since(self.next.published_at);
        self.next.published_at = self.next.published_at.plus(delay);
        // The first one is what this rotation replaced.
        if let Some(replaced) = self.previous.first_mut() {
            replaced.expires_at = replaced.expires_at.plus(delay);
            replaced.kept_until = replaced.kept_until.plus(delay);
        }
        self
    }

    /// The algorithm that the domain signs with.
    #[must_use]
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.current.algorithm
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
        self.current.secret = Some(crate::secret::SecretBytes::new(vec![0; 7]));
        self
    }

    fn seconds_until_next_is_known(&self, max_age: u64, now: Timestamp) -> u64 {
        if self.next.first_generation == FIRST_GENERATION {
            return 0;
        }
        let allowance = max_age.min(FETCH_ALLOWANCE_SECONDS).saturating_add(ROUNDING_SECONDS);
        self.next.published_at.plus(max_age).plus(allowance).since(now)
    }
}

impl PreviousKey {
    fn replaced(key: &Key, settings: &DomainSettings, now: Timestamp) -> Self {
        let key = key.clone().without_private_half();
        let expires_at = now.plus(settings.token_lifetime).plus(SKEW_ALLOWANCE_SECONDS);
        let kept_until = now.plus(settings.session_lifetime).plus(SKEW_ALLOWANCE_SECONDS);
        Self { key, expires_at, kept_until }
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

    const NOW: Timestamp = Timestamp(1_000_000);

    fn settings() -> DomainSettings {
        DomainSettings {
            audience: "api".to_owned(),
            token_lifetime: 300,
            session_lifetime: 3600,
            jwks_max_age: 120,
        }
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
        let second = first.rotate(&settings(), NOW, false).unwrap();
        assert_eq!(second.current, first.next);
        assert_eq!(second.generation, 2);
        assert!(second.current.sign(serde_json::json!({})).is_ok());
    }

    #[test]
    fn previous_is_published_until_its_last_token_has_expired() {
        let first = KeySet::generate(SigningAlgorithm::EdDsa, NOW).unwrap();
        let second = first.rotate(&settings(), NOW, false).unwrap();
        assert!(published(&second, NOW.plus(359)).contains(&first.current.id));
        assert!(!published(&second, NOW.plus(360)).contains(&first.current.id));
        let states = |now| second.keys(now).map(|(_, state, _)| state).collect::<Vec<_>>();
        assert_eq!(states(NOW.plus(359)), [KeyState::Next, KeyState::Current, KeyState::Previous]);
        assert_eq!(states(NOW.plus(360)), [KeyState::Next, KeyState::Current, KeyState::Retired]);
        assert_eq!(states(NOW.plus(3660)), [KeyState::Next, KeyState::Current]);
    }

    #[test]
    fn rotation_waits_until_next_is_known_everywhere() {
        let first = KeySet::generate(SigningAlgorithm::EdDsa, NOW).unwrap();
        let second = first.rotate(&settings(), NOW, false).unwrap();
        let refused = |now| second.rotate(&settings(), now, false).err();
        assert_eq!(refused(NOW), Some(RotationError::TooSoon { seconds_left: 181 }));
        assert_eq!(refused(NOW.plus(180)), Some(RotationError::TooSoon { seconds_left: 1 }));
        assert_eq!(refused(NOW.plus(181)), None);
        assert!(second.rotate(&settings(), NOW, true).is_ok());
    }

    #[test]
    fn a_short_max_age_makes_for_a_short_wait() {
        let first = KeySet::generate(SigningAlgorithm::EdDsa, NOW).unwrap();
        let second = first.rotate(&settings(), NOW, false).unwrap();
        for (jwks_max_age, wait) in [(1, 3), (59, 119), (60, 121), (300, 361)] {
            let settings = DomainSettings { jwks_max_age, ..settings() };
            assert!(second.rotate(&settings, NOW.plus(wait - 1), false).is_err());
            assert!(second.rotate(&settings, NOW.plus(wait), false).is_ok());
        }
    }

    #[test]
    fn what_is_written_late_counts_from_then() {
        let first = KeySet::generate(SigningAlgorithm::EdDsa, NOW).unwrap();
        let second = first.rotate(&settings(), NOW, false).unwrap();
        let late = second.clone().published_at(NOW.plus(7));
        assert_eq!(late.next.published_at, NOW.plus(7));
        assert_eq!(late.current, second.current);
        assert_eq!(late.previous[0].expires_at, NOW.plus(367));
        assert_eq!(late.previous[0].kept_until, NOW.plus(3667));
        assert_eq!(second.clone().published_at(NOW), second);
        // A clock that was set back must not shorten anything.
        assert_eq!(second.clone().published_at(Timestamp(1)), second);
    }

    #[test]
    fn rotation_drops_keys_that_no_session_can_need() {
        let first = KeySet::generate(SigningAlgorithm::EdDsa, NOW).unwrap();
        let second = first.rotate(&settings(), NOW, false).unwrap();
        let third = second.rotate(&settings(), NOW.plus(3659), false).unwrap();
        let ids: Vec<_> = third.previous.iter().map(|previous| &previous.key.id).collect();
        assert_eq!(ids, [&second.current.id, &first.current.id]);
        let third = second.rotate(&settings(), NOW.plus(3660), false).unwrap();
        assert_eq!(third.previous.len(), 1);
    }

    #[test]
    fn max_age_ends_with_the_next_known_change() {
        let first = KeySet::generate(SigningAlgorithm::EdDsa, NOW).unwrap();
        let second = first.rotate(&settings(), NOW, false).unwrap();
        let max_age = |after| second.publish(120, NOW.plus(after)).unwrap().max_age;
        assert_eq!(max_age(0), 120);
        assert_eq!(max_age(300), 60);
        assert_eq!(max_age(359), 1);
        assert_eq!(max_age(360), 120);
    }

    #[test]
    fn the_etag_changes_with_the_generation_and_with_the_content() {
        let first = KeySet::generate(SigningAlgorithm::EdDsa, NOW).unwrap();
        let second = first.rotate(&settings(), NOW, false).unwrap();
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

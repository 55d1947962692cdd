//! The rules of rotation.

use super::{FIRST_GENERATION, KeySet, PreviousKey};
use crate::{
    clock::Timestamp,
    domain::DomainSettings,
    key::{Key, KeyError},
};

/// How long a replaced key stays published beyond its last token's `exp`, in seconds: for the
/// clock skew that edges allow, and for a login that began before the rotation.
const SKEW_ALLOWANCE_SECONDS: u64 = 60;
/// An edge counts a set's `max-age` from when the answer has arrived, which is later than the
/// set was read by as much as a fetch may take. This is what rotation allows for that, and for
/// the commit, in seconds; but no more than `max-age` once again, because a domain with a short
/// one asks for quick rotations. An edge that does not know a key refetches in any case.
const FETCH_ALLOWANCE_SECONDS: u64 = 60;
/// How many keys a set may publish. `postern-verify` refuses sets of more than 256 keys or 256
/// KiB; 200 keys stay within both, the largest of them, RS256, taking some 450 bytes.
const PUBLISHED_KEYS_MAX: usize = 200;
/// Times are kept in whole seconds.
const ROUNDING_SECONDS: u64 = 1;

/// What a rotation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// The next key signs once it is known everywhere: no request fails.
    ///
    /// It is known everywhere when every enrolled edge has shown that it holds it, if the domain has
    /// any, or when the last cache without it has run out. Who takes the keys from the published key
    /// set, and is no enrolled edge, is covered by the second alone: see [`Rotation::AtBound`].
    Regular,
    /// As [`Rotation::Regular`], whatever edges have shown: when the last cache has run out.
    AtBound,
    /// It signs at once: requests may fail at edges that do not know it yet.
    Forced,
    /// It signs at once, because the current key is in wrong hands, which is withdrawn, and all
    /// before it: they are neither published nor recognized any more. All tokens that they
    /// signed stop passing, and their sessions cannot be refreshed.
    ///
    /// Edges follow when they refetch, so within `max-age` if they reach the issuer. The next
    /// key was secret along with the current one: where the whole vault has leaked, withdraw
    /// twice.
    Compromised,
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
    /// More keys than edges are sure to accept would be published.
    #[error(
        "the domain would publish more than 200 keys: wait `{seconds_left}` seconds until the \
         oldest is published no more"
    )]
    TooManyKeys {
        /// Seconds until then.
        seconds_left: u64,
    },
    /// No fresh key could be made.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl KeySet {
    /// The set after a rotation: `next` signs, `current` is kept for verifying, a fresh `next`
    /// is published.
    ///
    /// # Errors
    ///
    /// [`RotationError::TooSoon`] while a cached set without `next` may be in use, for a
    /// [`Rotation::Regular`] and [`Rotation::AtBound`]: until `max-age` has passed and, for fetches, 60 seconds more, or
    /// `max-age` again if that is less. [`RotationError::TooManyKeys`] when the set would publish
    /// more than 200 keys. [`RotationError::Key`] when no fresh key can be made.
    pub fn rotate(
        &self,
        settings: &DomainSettings,
        now: Timestamp,
        rotation: Rotation,
    ) -> Result<Self, RotationError> {
        let published_at = self.next.published_at;
        let seconds_left = self.seconds_until_next_is_known(settings, published_at, now);
        if seconds_left > 0 && matches!(rotation, Rotation::Regular | Rotation::AtBound) {
            return Err(RotationError::TooSoon { seconds_left });
        }
        let previous = match rotation {
            Rotation::Compromised => Vec::new(),
            Rotation::Regular | Rotation::AtBound | Rotation::Forced => {
                self.previous_after(settings, now)?
            }
        };
        let generation = self.generation.saturating_add(1);
        Ok(Self {
            generation,
            next: Key::generate(self.next.algorithm, now, generation)?,
            current: self.next.clone(),
            previous,
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

    /// Counted from `published_at`, which is when the last cache without `next` can have been
    /// filled.
    pub(super) fn seconds_until_next_is_known(
        &self,
        settings: &DomainSettings,
        published_at: Timestamp,
        now: Timestamp,
    ) -> u64 {
        if self.next.first_generation == FIRST_GENERATION {
            return 0;
        }
        published_at.plus(rotation_bound(settings)).since(now)
    }

    /// When the next key may sign at the latest, whatever edges have shown.
    #[must_use]
    pub fn next_signs_by(&self, settings: &DomainSettings) -> Timestamp {
        if self.next.first_generation == FIRST_GENERATION {
            return self.next.published_at;
        }
        self.next.published_at.plus(rotation_bound(settings))
    }

    /// The replaced keys after `current` has become one of them.
    fn previous_after(
        &self,
        settings: &DomainSettings,
        now: Timestamp,
    ) -> Result<Vec<PreviousKey>, RotationError> {
        let kept = self.previous.iter().filter(|previous| now < previous.kept_until);
        let published: Vec<_> = kept.clone().filter(|previous| now < previous.expires_at).collect();
        // Those, and `next`, `current` and what is `current` still.
        if published.len() + 3 > PUBLISHED_KEYS_MAX {
            let oldest = published.iter().map(|previous| previous.expires_at.since(now)).min();
            return Err(RotationError::TooManyKeys { seconds_left: oldest.unwrap_or(1) });
        }
        let replaced = PreviousKey::replaced(&self.current, settings, now);
        Ok(std::iter::once(replaced).chain(kept.cloned()).collect())
    }
}

/// Seconds after which a key set that was published is known everywhere: `max-age` and what fetches
/// may take.
pub(crate) fn rotation_bound(settings: &DomainSettings) -> u64 {
    let max_age = settings.jwks_max_age;
    let allowance = max_age.min(FETCH_ALLOWANCE_SECONDS).saturating_add(ROUNDING_SECONDS);
    max_age.saturating_add(allowance)
}

impl PreviousKey {
    pub(super) fn replaced(key: &Key, settings: &DomainSettings, now: Timestamp) -> Self {
        let key = key.clone().without_private_half();
        let expires_at = now.plus(settings.token_lifetime).plus(SKEW_ALLOWANCE_SECONDS);
        let kept_until = now.plus(settings.session_lifetime).plus(SKEW_ALLOWANCE_SECONDS);
        Self { key, expires_at, kept_until }
    }
}

#[cfg(test)]
mod tests {
    use postern_verify::{JwkSet, KeyKinds};

    use super::*;
    use crate::key::SigningAlgorithm;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn settings() -> DomainSettings {
        DomainSettings::sample(3600)
    }

    #[test]
    fn rotation_waits_until_next_is_known_everywhere() {
        let first = KeySet::generate(SigningAlgorithm::EdDsa, NOW).unwrap();
        let second = first.rotate(&settings(), NOW, Rotation::Regular).unwrap();
        let refused = |now| second.rotate(&settings(), now, Rotation::Regular).err();
        assert_eq!(refused(NOW), Some(RotationError::TooSoon { seconds_left: 181 }));
        assert_eq!(refused(NOW.plus(180)), Some(RotationError::TooSoon { seconds_left: 1 }));
        assert_eq!(refused(NOW.plus(181)), None);
        assert!(second.rotate(&settings(), NOW, Rotation::Forced).is_ok());
    }

    #[test]
    fn a_short_max_age_makes_for_a_short_wait() {
        let first = KeySet::generate(SigningAlgorithm::EdDsa, NOW).unwrap();
        let second = first.rotate(&settings(), NOW, Rotation::Regular).unwrap();
        for (jwks_max_age, wait) in [(1, 3), (59, 119), (60, 121), (300, 361)] {
            let settings = DomainSettings { jwks_max_age, ..settings() };
            assert!(second.rotate(&settings, NOW.plus(wait - 1), Rotation::Regular).is_err());
            assert!(second.rotate(&settings, NOW.plus(wait), Rotation::Regular).is_ok());
        }
    }

    #[test]
    fn what_is_written_late_counts_from_then() {
        let first = KeySet::generate(SigningAlgorithm::EdDsa, NOW).unwrap();
        let second = first.rotate(&settings(), NOW, Rotation::Regular).unwrap();
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
        let second = first.rotate(&settings(), NOW, Rotation::Regular).unwrap();
        let third = second.rotate(&settings(), NOW.plus(3659), Rotation::Regular).unwrap();
        let ids: Vec<_> = third.previous.iter().map(|previous| &previous.key.id).collect();
        assert_eq!(ids, [&second.current.id, &first.current.id]);
        let third = second.rotate(&settings(), NOW.plus(3660), Rotation::Regular).unwrap();
        assert_eq!(third.previous.len(), 1);
    }

    #[test]
    fn a_compromised_key_goes_with_all_before_it_and_next_signs() {
        let first = KeySet::generate(SigningAlgorithm::EdDsa, NOW).unwrap();
        let second = first.rotate(&settings(), NOW, Rotation::Regular).unwrap();
        let third = second.rotate(&settings(), NOW, Rotation::Compromised).unwrap();
        assert_eq!((third.generation, third.previous.len()), (3, 0));
        assert_eq!(third.current, second.next);
        let stored = serde_json::to_string(&third).unwrap();
        for withdrawn in [&first.current.id, &second.current.id] {
            assert!(!stored.contains(withdrawn));
        }
    }

    #[test]
    fn edges_accept_the_largest_set_that_is_published() {
        let mut key_set = KeySet::generate(SigningAlgorithm::EdDsa, NOW).unwrap();
        let refused = loop {
            match key_set.rotate(&settings(), NOW.plus(key_set.generation / 4), Rotation::Forced) {
                Ok(next) => key_set = next,
                Err(refused) => break refused,
            }
        };
        let now = NOW.plus(key_set.generation / 4);
        let published = key_set.publish(120, now).unwrap().document;
        assert!(JwkSet::parse(&published, KeyKinds::PublicOnly).is_ok());
        assert_eq!(key_set.keys(now).count(), 200);
        assert_eq!(refused, RotationError::TooManyKeys { seconds_left: 311 });
        assert!(key_set.rotate(&settings(), now.plus(310), Rotation::Forced).is_err());
        assert!(key_set.rotate(&settings(), now.plus(311), Rotation::Forced).is_ok());
        assert!(key_set.rotate(&settings(), now, Rotation::Compromised).is_ok());
    }
}

//! A rotation that is prepared now and promoted later: a key set that is written once, although the
//! moment from which it counts is not known yet.

use super::{FIRST_GENERATION, KeySet, PreviousKey, RotationError};
use crate::{clock::Timestamp, domain::DomainSettings};

/// How long after it was prepared a set may be promoted, in seconds: Secrets Manager runs the four
/// steps within a minute or so, and runs them again when one has failed.
const WINDOW_SECONDS: u64 = 900;

/// A set that is to follow on another one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PreparedSet<'s> {
    pub(crate) prepared: &'s KeySet,
    pub(crate) replaced: &'s KeySet,
    pub(crate) settings: &'s DomainSettings,
    /// Seconds for which a process may go on with the replaced set.
    pub(crate) staleness: u64,
}

/// Why a prepared set must not be promoted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unpromotable {
    #[error("{0}")]
    Misfit(&'static str),
    #[error("it was to be promoted until {until}: the rotation has to start anew")]
    Late { until: Timestamp },
    #[error("the next key is not known everywhere yet: wait `{seconds_left}` seconds")]
    TooSoon { seconds_left: u64 },
}

impl KeySet {
    /// The set after a rotation that is promoted within 15 minutes, as if at the end of them: until
    /// then caches are filled without its `next`, and until then the replaced key may sign.
    ///
    /// # Errors
    ///
    /// [`RotationError::TooManyKeys`] or [`RotationError::Key`]. Whether the present `next` is known
    /// everywhere is no matter yet.
    pub(crate) fn prepare(
        &self,
        settings: &DomainSettings,
        staleness: u64,
        now: Timestamp,
    ) -> Result<Self, RotationError> {
        let prepared = self.rotate(settings, now, super::Rotation::Forced)?;
        Ok(prepared.published_at(now.plus(WINDOW_SECONDS).plus(staleness)))
    }
}

impl PreparedSet<'_> {
    /// Whether the prepared set may take the place of the replaced one at `now`, as far as the two
    /// tell.
    pub(crate) fn check(&self, now: Timestamp) -> Result<(), Unpromotable> {
        let Self { prepared, replaced, .. } = self;
        if prepared.generation != replaced.generation.saturating_add(1) {
            return Err(Unpromotable::Misfit("it does not follow on the current key set"));
        }
        if prepared.current != replaced.next {
            return Err(Unpromotable::Misfit("it does not sign with the current next key"));
        }
        if replaced.holds(&prepared.next.id) {
            return Err(Unpromotable::Misfit("its next key is not a fresh one"));
        }
        self.check_time(now)?;
        if self.keeps_what_verifies(now) {
            Ok(())
        } else {
            Err(Unpromotable::Misfit("it does not keep replaced keys for as long as they count"))
        }
    }

    /// Whether every cache has the key that is to sign. `last_rotated` is when the replaced set was
    /// promoted at the latest, if that is known.
    pub(crate) fn check_next_is_known(
        &self,
        last_rotated: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), Unpromotable> {
        let rotated = last_rotated.unwrap_or_default().plus(self.staleness);
        let published_at = self.replaced.next.published_at.max(rotated);
        match self.replaced.seconds_until_next_is_known(self.settings, published_at, now) {
            0 => Ok(()),
            seconds_left => Err(Unpromotable::TooSoon { seconds_left }),
        }
    }

    fn check_time(&self, now: Timestamp) -> Result<(), Unpromotable> {
        let published_at = self.prepared.next.published_at;
        // Less than zero seconds would be left after a promotion at this moment.
        if now.plus(self.staleness) > published_at {
            return Err(Unpromotable::Late {
                until: Timestamp(published_at.since(Timestamp(self.staleness))),
            });
        }
        Ok(())
    }

    fn keeps_what_verifies(&self, now: Timestamp) -> bool {
        let last_use = now.plus(self.staleness);
        let needed = PreviousKey::replaced(&self.replaced.current, self.settings, last_use);
        let earlier = self.replaced.previous.iter().filter(|previous| now < previous.kept_until);
        let kept = |needed: &PreviousKey| {
            self.prepared.previous.iter().any(|kept| {
                kept.key == needed.key
                    && kept.expires_at >= needed.expires_at
                    && kept.kept_until >= needed.kept_until
            })
        };
        kept(&needed) && earlier.into_iter().all(kept)
    }
}

/// Whether a set can be the first one of a secret that has had none.
pub(crate) fn is_first(prepared: &KeySet) -> bool {
    prepared.generation == FIRST_GENERATION && prepared.previous.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        key::{Key, SigningAlgorithm},
        key_set::Rotation,
    };

    const NOW: Timestamp = Timestamp(1_000_000);
    const STALENESS: u64 = 30;

    fn settings() -> DomainSettings {
        DomainSettings::sample(3600)
    }

    /// The set of a domain that has rotated before, long ago, and the one that is prepared now.
    fn prepared() -> (KeySet, KeySet) {
        let first = KeySet::generate(SigningAlgorithm::EdDsa, Timestamp(1)).unwrap();
        let earlier = Timestamp(NOW.0 - 3000);
        let replaced = first.rotate(&settings(), earlier, Rotation::Regular).unwrap();
        let prepared = replaced.prepare(&settings(), STALENESS, NOW).unwrap();
        (replaced, prepared)
    }

    fn check(replaced: &KeySet, prepared: &KeySet, now: Timestamp) -> Result<(), Unpromotable> {
        let settings = settings();
        PreparedSet { prepared, replaced, settings: &settings, staleness: STALENESS }.check(now)
    }

    fn published(key_set: &KeySet, key: &Key, now: Timestamp) -> bool {
        let document = key_set.publish(1, now).unwrap().document;
        String::from_utf8(document).unwrap().contains(&key.id)
    }

    /// Whenever it is promoted and whoever signs last with the replaced key.
    #[test]
    fn no_token_of_the_replaced_key_outlives_its_publication() {
        let (replaced, prepared) = prepared();
        for promotion in 0..=2 * WINDOW_SECONDS {
            let promoted = NOW.plus(promotion);
            let may_be = check(&replaced, &prepared, promoted).is_ok();
            assert_eq!(may_be, promotion <= WINDOW_SECONDS, "{promotion}");
            if !may_be {
                continue;
            }
            let last_signature = promoted.plus(STALENESS);
            let last_expiry = last_signature.plus(settings().token_lifetime);
            let edge_of_skew = last_expiry.plus(59);
            assert!(published(&prepared, &replaced.current, edge_of_skew), "{promotion}");
            let session_end = last_signature.plus(settings().session_lifetime);
            let mut kept = prepared.keys(session_end);
            assert!(kept.any(|(key, ..)| key.id == replaced.current.id), "{promotion}");
        }
    }

    /// A process that goes on with the replaced set publishes it, too.
    #[test]
    fn the_next_key_does_not_sign_before_the_last_cache_without_it_has_run_out() {
        let (replaced, prepared) = prepared();
        for promotion in 0..=WINDOW_SECONDS {
            let promoted = NOW.plus(promotion);
            assert_eq!(check(&replaced, &prepared, promoted), Ok(()));
            let last_without = promoted.plus(STALENESS).plus(settings().jwks_max_age);
            let refused = prepared.rotate(&settings(), last_without, Rotation::Regular);
            assert!(matches!(refused, Err(RotationError::TooSoon { .. })), "{promotion}");
        }
    }

    #[test]
    fn the_window_is_15_minutes() {
        let (replaced, prepared) = prepared();
        assert_eq!(check(&replaced, &prepared, NOW.plus(900)), Ok(()));
        let late = Unpromotable::Late { until: NOW.plus(900) };
        assert_eq!(check(&replaced, &prepared, NOW.plus(901)), Err(late));
    }

    #[test]
    fn only_a_set_that_follows_on_the_current_one_fits() {
        let (replaced, prepared) = prepared();
        let (mut older, mut other, mut forgets, mut same_next) =
            (prepared.clone(), prepared.clone(), prepared.clone(), prepared.clone());
        older.generation -= 1;
        other.current = prepared.next.clone();
        forgets.previous.remove(0);
        same_next.next = replaced.current.clone();
        same_next.next.published_at = prepared.next.published_at;
        for misfit in [older, other, forgets, same_next, replaced.clone()] {
            let refused = check(&replaced, &misfit, NOW);
            assert!(matches!(refused, Err(Unpromotable::Misfit(_))), "{refused:?}");
        }
    }

    /// The emergency withdrew the key that the prepared set would publish as a previous one.
    #[test]
    fn nothing_that_was_prepared_before_an_emergency_fits_after_it() {
        let (replaced, prepared) = prepared();
        let safe = replaced.rotate(&settings(), NOW, Rotation::Compromised).unwrap();
        assert!(matches!(check(&safe, &prepared, NOW), Err(Unpromotable::Misfit(_))));
    }

    #[test]
    fn longer_lifetimes_than_it_was_prepared_for_make_a_misfit() {
        let (replaced, prepared) = prepared();
        let settings = DomainSettings { token_lifetime: 1201, ..settings() };
        let set = PreparedSet {
            prepared: &prepared,
            replaced: &replaced,
            settings: &settings,
            staleness: STALENESS,
        };
        assert!(matches!(set.check(NOW), Err(Unpromotable::Misfit(_))));
    }

    #[test]
    fn promotion_waits_until_next_is_known_everywhere() {
        let (replaced, prepared) = prepared();
        let settings = settings();
        let set = PreparedSet {
            prepared: &prepared,
            replaced: &replaced,
            settings: &settings,
            staleness: STALENESS,
        };
        let known_at = Timestamp(NOW.0 - 3000 + 181);
        assert_eq!(set.check_next_is_known(None, known_at), Ok(()));
        let too_soon = Err(Unpromotable::TooSoon { seconds_left: 1 });
        assert_eq!(set.check_next_is_known(None, Timestamp(known_at.0 - 1)), too_soon);
        // What Secrets Manager says of the last rotation may be later.
        let rotated = Timestamp(NOW.0 - 100);
        assert_eq!(set.check_next_is_known(Some(rotated), rotated.plus(211)), Ok(()));
        assert_eq!(set.check_next_is_known(Some(rotated), rotated.plus(210)), too_soon);
    }
}

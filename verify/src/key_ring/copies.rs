//! Rings of one edge that know nothing of each other, but for a store that they share: of what the issuer
//! answered to one of them, the others take copies.

use std::time::Duration;

use super::{
    Answer, Fetch, FetchError, Fetched, KeyRing, KeySetId, KeyUpdate, ProviderKeys, Slot, sane,
};
use crate::edge::BundleError;

/// Which of an edge's processes a ring is of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Instance {
    pub(super) number: u64,
    /// Whether rings in other places go by the same number.
    pub(super) is_shared: bool,
}

impl KeyRing {
    /// The same ring, as one of several that this number stands for, and that know nothing of each other
    /// but for the copies that they share ([`KeyRing::handle_copy`]).
    ///
    /// What an edge tells its issuer to hold, all of it has to hold: the issuer begins to sign with a key
    /// when it has heard that. So such a ring tells of a bundle only after as much time as it takes until
    /// no other uses an older one: its lifetime, and twice what a fetch may take.
    #[must_use]
    pub fn with_shared_instance(self, number: u64) -> Self {
        Self { instance: Some(number), shares_instance: true, ..self }
    }

    /// Takes what a store has for a fetch that is under way: an answer of the issuer that came at `at`.
    /// It is held to what an answer is held to, and is as old as that. One that brings nothing changes
    /// nothing, and the fetch is still to be made.
    ///
    /// Of what the issuer signs (bundles and status lists), three copies count one after another for a ring
    /// with a shared instance ([`KeyRing::with_shared_instance`]), and then the issuer is to be asked: nobody has signed `at`, and who can write to the store could date what is
    /// held anew for ever.
    ///
    /// # Errors
    ///
    /// [`FetchError`] where it brings nothing; for the log.
    pub fn handle_copy(
        &mut self,
        fetch: &Fetch,
        copy: Fetched<'_>,
        at: Duration,
        now: Duration,
    ) -> Result<KeyUpdate, FetchError> {
        let Fetched::Response { status: 200, .. } = copy else { return Err(FetchError::NoAnswer) };
        let times = [at.min(now), now].map(sane);
        if self.shares_instance && self.has_copies_enough(&fetch.key_set) {
            return Err(FetchError::NoAnswer);
        }
        if let Some(uri) = &fetch.key_set.status_list {
            let [at, now] = times;
            return self.end_list_fetch(fetch, uri, Answer::Copy(copy, at), now);
        }
        let domain = fetch.key_set.domain.as_deref();
        let slot = self.slot(fetch.key_set.provider, domain);
        if !slot.is_some_and(|slot| slot.is_attempt(fetch.attempt)) {
            return Ok(KeyUpdate::Ignored);
        }
        let (seed, now) = (self.seed, sane(now));
        let (signatures, last_version) = (&*self.signatures, &mut self.last_version);
        let result = match self.providers.get_mut(fetch.key_set.provider) {
            Some(ProviderKeys::Remote(slot)) => {
                slot.take_copy(copy, signatures, times, seed, last_version)
            }
            Some(ProviderKeys::Domains(domains)) => {
                let domain = domain.unwrap_or_default();
                let Some(slot) = domains.slot_mut(domain) else { return Ok(KeyUpdate::Ignored) };
                let result = slot.take_copy(copy, signatures, times, seed, last_version);
                domains.settle(domain, now);
                result
            }
            _ => Ok(KeyUpdate::Ignored),
        };
        // A store may well have what is old: that says nothing against it.
        if !matches!(
            result,
            Err(FetchError::Bundle(BundleError::Expired | BundleError::RolledBack))
        ) {
            self.note(&fetch.key_set, &result, now);
        }
        result
    }

    /// Whether copies have counted for long enough.
    fn has_copies_enough(&self, key_set: &KeySetId) -> bool {
        match &key_set.status_list {
            Some(uri) => self.has_list_copies_enough(key_set.provider, uri),
            None => self
                .slot(key_set.provider, key_set.domain.as_deref())
                .is_some_and(Slot::has_copies_enough),
        }
    }
}

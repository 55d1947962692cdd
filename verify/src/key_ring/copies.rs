//! Answers of an issuer that were kept by another gate of the same edge, in a store that they share.

use std::time::Duration;

use super::{Answer, Fetch, FetchError, Fetched, KeyRing, KeyUpdate, ProviderKeys, sane};

impl KeyRing {
    /// Takes what a store has for a fetch that is under way: an answer of the issuer that came at `at`.
    /// It is held to what an answer is held to, and is as old as that. One that brings nothing changes
    /// nothing, and the fetch is still to be made.
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
        self.note(&fetch.key_set, &result, now);
        result
    }
}

//! What rings need that share what they fetch, such as those of the threads of one process.

use std::time::Duration;

use super::{KeyRing, KeySetId, ProviderKeys, sane};

impl KeyRing {
    /// The same ring, as one of those that this number stands for. Without it, the ring's seed does.
    #[must_use]
    pub fn with_instance(self, instance: u64) -> Self {
        Self { instance: Some(instance), ..self }
    }

    /// Makes a fetch of these keys due at once, whatever failed or was asked for of late: the host
    /// knows that there is something new. Of keys that nobody has asked for, none.
    pub fn expect_news(&mut self, key_set: &KeySetId, now: Duration) {
        let now = sane(now);
        if let Some(uri) = &key_set.status_list {
            return self.lists.expect_news(key_set.provider, uri, now);
        }
        let domain = key_set.domain.as_deref().unwrap_or_default();
        let slot = match self.providers.get_mut(key_set.provider) {
            Some(ProviderKeys::Remote(slot)) => Some(&mut **slot),
            Some(ProviderKeys::Domains(domains)) => domains.slot_mut(domain),
            _ => None,
        };
        if let Some(slot) = slot.filter(|slot| !slot.is_expected(now)) {
            slot.ask(now);
        }
    }
}

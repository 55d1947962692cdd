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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Fetched, Policy};

    /// A ring whose one set could not be fetched.
    fn failing(now: Duration) -> KeyRing {
        let uri = json!({"uri": "https://i/jwks.json", "timeout": "2s"});
        let provider = json!({"issuer": "https://i", "remote_jwks": {"http_uri": uri}});
        let policy = json!({"providers": {"p": provider}, "rules": []});
        let mut ring = KeyRing::new(&Policy::parse(policy.to_string().as_bytes()).unwrap());
        for _ in 0..5 {
            ring.expect_news(&KeySetId::new(0, None), now);
            let fetch = ring.poll_fetch(now).unwrap();
            ring.handle_fetched(&fetch, Fetched::Failed, now).unwrap_err();
        }
        ring
    }

    #[test]
    fn news_are_fetched_at_once_though_the_ring_is_backing_off() {
        let now = Duration::from_secs(1_000_000);
        let mut ring = failing(now);
        let key_set = KeySetId::new(0, None);
        assert_eq!(ring.poll_fetch(now), None);
        assert!(!ring.demand(&key_set, now), "who asks has to wait");
        ring.expect_news(&key_set, now);
        assert!(ring.poll_fetch(now).is_some());
        // One that is under way is enough.
        ring.expect_news(&key_set, now);
        assert_eq!(ring.poll_fetch(now), None);
    }

    #[test]
    fn there_is_nothing_new_of_what_nobody_has_asked_for() {
        let now = Duration::from_secs(1_000_000);
        let mut ring = failing(now);
        let list = KeySetId { status_list: Some("https://i/1".into()), ..KeySetId::new(0, None) };
        for key_set in [list, KeySetId::new(7, None)] {
            ring.expect_news(&key_set, now);
            assert_eq!(ring.poll_fetch(now), None, "{key_set:?}");
        }
    }
}

//! What an issuer pushes: that there is something new.

use std::time::Duration;

use super::{KeyRing, ProviderKeys, sane};
use crate::{
    denial::Denial,
    policy::{DOMAIN, Policy},
};

impl KeyRing {
    /// Takes a push: makes a fetch due of all that is held of the issuers that it names.
    pub(crate) fn push(
        &mut self,
        policy: &Policy,
        token: &[u8],
        now: Duration,
    ) -> Result<(), Denial> {
        let mut refusal = Denial::IssuerUnknown;
        let checked = self.edges.iter().find_map(|edge| {
            let checked = edge.check_push(token, now);
            checked.map_err(|denial| refusal = denial).ok()
        });
        let Some(issuers) = checked else { return Err(refusal) };
        self.hear_news(policy, |issuer| issuers.iter().any(|other| other == issuer), now);
        Ok(())
    }

    /// Makes a fetch due of what is held of these issuers. Of each set, that makes one a second at most.
    pub(crate) fn hear_news(
        &mut self,
        policy: &Policy,
        is_meant: impl Fn(&str) -> bool,
        now: Duration,
    ) {
        let now = sane(now);
        self.lists.hear_news(policy, &is_meant, now);
        for (provider, keys) in policy.providers.iter().zip(&mut self.providers) {
            let issuer = provider.claim_rules.issuer.as_deref().unwrap_or_default();
            match keys {
                ProviderKeys::Remote(slot) if is_meant(issuer) => slot.hear_news(now),
                ProviderKeys::Domains(domains) => {
                    let slots = domains.slots_mut();
                    let meant = slots.filter(|(name, _)| is_meant(&issuer.replace(DOMAIN, name)));
                    meant.for_each(|(_, slot)| slot.hear_news(now));
                }
                _ => {}
            }
        }
    }
}

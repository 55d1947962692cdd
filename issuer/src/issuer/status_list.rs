//! Publishing a domain's status lists.

use std::sync::Arc;

use super::{Failure, Issuer};
use crate::{
    domain::DomainName,
    moment::Moment,
    status_list::{ListPublication, PublishedList},
};

impl Issuer {
    /// A status list of a domain, with all that the store had acknowledged a quarter of a second ago;
    /// `None` for an unknown domain, and for a list that no session has a place in.
    ///
    /// # Errors
    ///
    /// A failure of the storage or of signing: what was published before may lack something by now.
    pub async fn status_list(
        &self,
        domain: &str,
        number: u32,
    ) -> Result<Option<Arc<ListPublication>>, Failure> {
        let asked_at = Moment::now();
        let Ok(name) = domain.parse() else {
            return Ok(None);
        };
        let Some(list) = self.list(&name, number).await? else {
            return Ok(None);
        };
        let mut state = list.lock().await;
        // First: what is at hand may be signed by a key that was withdrawn a moment ago.
        let Some((domain, key_set)) = self.domain(&name).await? else {
            return Ok(None);
        };
        if let Some(recent) = state.recent(asked_at, &key_set.current) {
            return Ok(Some(recent));
        }
        let read_at = Moment::now();
        let now = self.ports.clock.now();
        state.learn(&*self.ports.store, &domain, now, read_at).await?;
        let issuer = self.url.of_domain(&name);
        state.publish(&issuer, &key_set.current, now, read_at).await.map(Some)
    }

    /// A number that is another one when any status list of the domain has changed, or from when on
    /// its tokens count.
    ///
    /// # Errors
    ///
    /// A storage failure.
    pub async fn status_version(&self, domain: &DomainName) -> Result<u64, Failure> {
        Ok(self.ports.store.status_version(domain).await?)
    }

    #[cfg(test)]
    pub(crate) fn lists_held(&self) -> usize {
        self.lists.len()
    }

    /// Of a list that was never begun, nothing is kept, however many are asked for.
    async fn list(
        &self,
        domain: &DomainName,
        number: u32,
    ) -> Result<Option<Arc<PublishedList>>, Failure> {
        if let Some(list) = self.lists.find(domain, number) {
            return Ok(Some(list));
        }
        let begun = self.ports.store.status_lists(domain).await?;
        Ok((number < begun).then(|| self.lists.take_up(domain, number)))
    }
}

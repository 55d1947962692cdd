//! Handing a domain's keys to the edges that are enrolled for it.

use super::{Failure, Issuer};
use crate::{
    clock::Timestamp,
    domain::{Domain, DomainName},
    edge::{
        BUNDLE_KEY_SET, Bundle, Contact, Edge, asserted_edge, assertion, bundle_etag, generation_of,
    },
    key_set::{KeySet, rotation_bound},
    secret::SecretText,
    store::StoreError,
    vault::KeySetId,
};

/// What an edge gets.
#[derive(Debug)]
pub(crate) struct EdgeKeys {
    /// The bundle; nothing where the edge has it already.
    pub(crate) bundle: Option<SecretText>,
    /// The entity tag with its quotes.
    pub(crate) etag: String,
    /// How long the edge may go without asking again, in seconds.
    pub(crate) max_age: u64,
}

/// Why an edge gets nothing. The texts are part of the API.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EdgeRefusal {
    /// No such domain.
    #[error("Invalid domain")]
    Domain,
    /// Not an assertion of an edge, or of another time or for someone else.
    #[error("Invalid assertion")]
    Assertion,
    /// The edge is not enrolled for the domain.
    #[error("Not enrolled for this domain")]
    NotEnrolled,
    /// The edge was removed.
    #[error("Edge removed")]
    Removed,
    /// More processes of the edge ask than can be kept track of, or of all edges.
    #[error("Too many edges at once")]
    Overloaded,
    /// It is not the edge's fault.
    #[error("Internal error")]
    Failed(#[from] Failure),
}

impl From<StoreError> for EdgeRefusal {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl Issuer {
    /// The keys of a domain for the edge that has signed `token`, unless `is_held` says of their
    /// entity tag that the edge has them.
    pub(crate) async fn edge_keys(
        &self,
        domain: &str,
        token: &[u8],
        is_held: impl FnOnce(&str) -> bool + Send,
    ) -> Result<EdgeKeys, EdgeRefusal> {
        let name: DomainName = domain.parse().map_err(|_| EdgeRefusal::Domain)?;
        let known = self.ports.store.domain(&name).await?.ok_or(EdgeRefusal::Domain)?;
        let id = asserted_edge(token).ok_or(EdgeRefusal::Assertion)?;
        let edge = self.ports.store.edge(&id).await?.ok_or(EdgeRefusal::Assertion)?;
        let (issuer, now) = (self.url.of_domain(&name), self.ports.clock.now());
        let asserted =
            assertion(token, &edge, issuer.clone(), now).ok_or(EdgeRefusal::Assertion)?;
        if edge.removed_at.is_some() {
            return Err(EdgeRefusal::Removed);
        }
        if !edge.is_enrolled_for(&name) {
            return Err(EdgeRefusal::NotEnrolled);
        }
        let contact = Contact {
            edge: edge.id.clone(),
            domain: known.name.clone(),
            instance: asserted.instance,
            at: now,
            generation: asserted.held.as_deref().and_then(generation_of),
        };
        // Before the keys are read: whoever sees no trace of this edge and rotates, has published
        // by then what this edge is about to get.
        self.record(contact, &known).await?;
        self.bundle(&name, &issuer, &edge, is_held).await
    }

    async fn bundle(
        &self,
        name: &DomainName,
        issuer: &str,
        edge: &Edge,
        is_held: impl FnOnce(&str) -> bool + Send,
    ) -> Result<EdgeKeys, EdgeRefusal> {
        let (domain, keys) = self.domain(name).await?.ok_or(EdgeRefusal::Domain)?;
        let now = self.ports.clock.now();
        let (etag, max_age) = (bundle_etag(edge, &keys, now), domain.settings.jwks_max_age);
        if is_held(&etag) {
            return Ok(EdgeKeys { bundle: None, etag, max_age });
        }
        let signing_keys = self.bundle_keys().await?;
        let bundle = Bundle { issuer, edge, keys: &keys, signing_key: &signing_keys.current };
        Ok(EdgeKeys { bundle: Some(bundle.sign(now)?), etag, max_age })
    }

    /// What bundles are signed with.
    pub(crate) async fn bundle_keys(&self) -> Result<KeySet, StoreError> {
        let id = KeySetId::stored(BUNDLE_KEY_SET.to_owned());
        self.ports.vault.key_set(&id).await?.ok_or(StoreError::Damaged("key set"))
    }

    /// Not at every poll: an edge that holds what it held a moment ago is no news.
    async fn record(&self, contact: Contact, domain: &Domain) -> Result<(), EdgeRefusal> {
        if self.contacts.is_news(&contact).map_err(|_| EdgeRefusal::Overloaded)? {
            self.ports.store.record_contact(&contact).await?;
            self.contacts.remember(contact, Self::contact_pause(domain));
        }
        Ok(())
    }

    /// For how long a contact is known well enough, in seconds: it must not seem to be out of bound.
    fn contact_pause(domain: &Domain) -> u64 {
        const LONGEST: u64 = 10;
        LONGEST.min(rotation_bound(&domain.settings) / 4)
    }

    /// The generation that a domain publishes now; nothing for an unknown domain.
    pub(crate) async fn generation(&self, name: &DomainName) -> Result<Option<u64>, Failure> {
        Ok(self.domain(name).await?.map(|(_, key_set)| key_set.generation))
    }

    /// The edges that want to be told of changes.
    pub(crate) async fn edges_to_poke(&self) -> Result<Vec<Edge>, Failure> {
        let mut edges = self.ports.store.edges().await?;
        edges.retain(|edge| edge.push_url.is_some());
        Ok(edges)
    }

    /// Whether the storage is a service, and not this machine's own.
    pub(crate) fn looks_are_billed(&self) -> bool {
        self.ports.vault.staleness() > 0
    }

    /// The `iss` of a domain's tokens.
    pub(crate) fn issuer_of(&self, domain: &DomainName) -> String {
        self.url.of_domain(domain)
    }

    /// The time, as the issuer reads it.
    pub(crate) fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }
}

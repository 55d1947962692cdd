//! Edges: enrolling, listing and removing them, and how they stand with a domain's keys.

use super::{AdministrationError, Ports, off_thread};
use crate::{
    clock::Timestamp,
    domain::{Domain, DomainName},
    edge::{
        BUNDLE_KEY_SET, Edge, EdgeId, EdgeKey, EdgeName, EdgeStanding, EdgeState, Judgement,
        PushUrl, credential, is_proven, standings,
    },
    issuer_url::IssuerUrl,
    key::{Key, KeyError, SigningAlgorithm},
    key_set::{KeySet, Rotation, rotation_bound},
    secret::SecretBytes,
    store::StoreError,
    vault::KeySetId,
};

/// What an operator says of an edge that is to be enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// What to call it.
    pub name: EdgeName,
    /// The domains whose keys it may have: at least one.
    pub domains: Vec<DomainName>,
    /// The URL that the issuer is known by.
    pub issuer_url: IssuerUrl,
    /// Where to tell it that something has changed.
    pub push_url: Option<PushUrl>,
}

/// How a domain's keys stand, and who holds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysStatus {
    /// The generation of the key set.
    pub generation: u64,
    /// The id of the key that signs.
    pub current: String,
    /// The id of the key that is to sign next.
    pub next: String,
    /// Since when that is published.
    pub next_published_at: Timestamp,
    /// When it may sign at the latest, whatever edges have shown.
    pub next_signs_by: Timestamp,
    /// Every edge that is enrolled for the domain, by name.
    pub edges: Vec<EdgeStanding>,
    /// Whether every one of them has shown that it holds the next key: not where there is none.
    pub is_proven: bool,
    /// Whether the keys may be rotated now without a request failing.
    pub may_rotate: bool,
    /// When all of this was so.
    pub now: Timestamp,
}

impl KeysStatus {
    /// Who has not shown that it holds the next key, and how it stands.
    fn late(&self) -> String {
        let late = self.edges.iter().filter(|edge| edge.state != EdgeState::HoldsNext);
        let late: Vec<_> =
            late.map(|edge| format!("edge `{}` is {}", edge.name, edge.state.as_str())).collect();
        if late.is_empty() { "it has only just been published".to_owned() } else { late.join(", ") }
    }
}

impl Ports {
    /// Enrols an edge and makes its keys. Answers with its credential, a JSON document: nobody keeps
    /// the private keys in it, so it cannot be had again.
    ///
    /// # Errors
    ///
    /// [`AdministrationError`]: no domain or an unknown one, a taken name, or a storage failure.
    pub async fn enrol_edge(
        &self,
        enrolment: Enrolment,
    ) -> Result<(Edge, SecretBytes), AdministrationError> {
        let Enrolment { name, mut domains, issuer_url, push_url } = enrolment;
        domains.sort_unstable();
        domains.dedup();
        if domains.is_empty() {
            return Err(AdministrationError::NoDomain);
        }
        for domain in &domains {
            self.domain(domain).await?;
        }
        let bundle_keys = self.bundle_keys().await?;
        let (id, now) = (EdgeId::random(), self.clock.now());
        let keys = off_thread(move || [edge_key(now), edge_key(now)]).await?;
        let [signing, encryption] = keys;
        let (signing, encryption) = (signing?, encryption?);
        let document =
            credential((&id, &name), &domains, [&signing, &encryption], &bundle_keys, &issuer_url)
                .map_err(|_| KeyError::Generation)?;
        let public = |key| EdgeKey::of(key).ok_or(KeyError::Generation);
        let edge = Edge {
            id,
            name,
            domains,
            signing_key: public(&signing)?,
            encryption_key: public(&encryption)?,
            push_url,
            created_at: now,
            removed_at: None,
        };
        match self.store.create_edge(&edge).await {
            Ok(()) => Ok((edge, document)),
            Err(StoreError::AlreadyExists) => Err(AdministrationError::EdgeExists(edge.name)),
            Err(error) => Err(error.into()),
        }
    }

    /// All edges that are enrolled, by name, and how each stands with each of its domains.
    ///
    /// # Errors
    ///
    /// A storage failure.
    pub async fn edges(
        &self,
    ) -> Result<Vec<(Edge, Vec<(DomainName, EdgeStanding)>)>, AdministrationError> {
        let edges = self.store.edges().await?;
        let mut listed: Vec<_> = edges.iter().map(|edge| (edge.clone(), Vec::new())).collect();
        for domain in self.store.domains().await? {
            let enrolled = || edges.iter().filter(|edge| edge.is_enrolled_for(&domain.name));
            if enrolled().next().is_none() {
                continue;
            }
            let (key_set, _) = self.key_set_of(&domain).await?;
            for standing in self.standings(&domain, &key_set, &edges).await? {
                let entry = listed.iter_mut().find(|(edge, _)| edge.id == standing.id);
                if let Some((_, standings)) = entry {
                    standings.push((domain.name.clone(), standing));
                }
            }
        }
        Ok(listed)
    }

    /// Cuts an edge off: it gets no more keys, and those that it holds run out.
    ///
    /// # Errors
    ///
    /// An unknown edge or a storage failure.
    pub async fn remove_edge(&self, name: &EdgeName) -> Result<(), AdministrationError> {
        if self.store.remove_edge(name, self.clock.now()).await? {
            Ok(())
        } else {
            Err(AdministrationError::UnknownEdge(name.clone()))
        }
    }

    /// How a domain's keys stand, and who holds them.
    ///
    /// # Errors
    ///
    /// An unknown domain or a storage failure.
    pub async fn keys_status(
        &self,
        domain: &DomainName,
    ) -> Result<KeysStatus, AdministrationError> {
        let domain = self.domain(domain).await?;
        let (key_set, _) = self.key_set_of(&domain).await?;
        self.status_of(&domain, &key_set).await
    }

    /// How that key set of that domain stands.
    pub(super) async fn status_of(
        &self,
        domain: &Domain,
        key_set: &KeySet,
    ) -> Result<KeysStatus, AdministrationError> {
        let edges = self.store.edges().await?;
        let edges = self.standings(domain, key_set, &edges).await?;
        let now = self.clock.now();
        // Until then some process may still go on with the set before, and hand it out.
        let is_proven = is_proven(&edges) && now >= key_set.next.published_at;
        let next_signs_by = key_set.next_signs_by(&domain.settings);
        Ok(KeysStatus {
            generation: key_set.generation,
            current: key_set.current.id.clone(),
            next: key_set.next.id.clone(),
            next_published_at: key_set.next.published_at,
            next_signs_by,
            edges,
            is_proven,
            may_rotate: is_proven || now >= next_signs_by,
            now,
        })
    }

    /// The rotation itself, or one that does not wait, if edges have shown that it need not.
    pub(super) async fn allowed_by_edges(
        &self,
        domain: &Domain,
        key_set: &KeySet,
        rotation: Rotation,
    ) -> Result<Rotation, AdministrationError> {
        if rotation != Rotation::Regular {
            return Ok(rotation);
        }
        let status = self.status_of(domain, key_set).await?;
        if status.is_proven {
            return Ok(Rotation::Forced);
        }
        // It says itself how long to wait.
        if status.may_rotate || status.edges.is_empty() {
            return Ok(rotation);
        }
        let seconds_left = status.next_signs_by.since(status.now);
        Err(AdministrationError::NotHeldYet { late: status.late(), seconds_left })
    }

    async fn standings(
        &self,
        domain: &Domain,
        key_set: &KeySet,
        edges: &[Edge],
    ) -> Result<Vec<EdgeStanding>, AdministrationError> {
        let contacts = self.store.contacts(&domain.name).await?;
        let judgement = Judgement {
            with_next: key_set.next.first_generation..=key_set.generation,
            bound: rotation_bound(&domain.settings),
            now: self.clock.now(),
        };
        let enrolled = edges.iter().filter(|edge| edge.is_enrolled_for(&domain.name));
        Ok(standings(enrolled, &contacts, judgement))
    }

    /// What bundles are signed with. Of operators who enrol the first edge, one makes it.
    async fn bundle_keys(&self) -> Result<KeySet, AdministrationError> {
        let id = KeySetId::stored(BUNDLE_KEY_SET.to_owned());
        if let Some(key_set) = self.vault.latest_key_set(&id).await? {
            return Ok(key_set);
        }
        let now = self.clock.now();
        let fresh = off_thread(move || KeySet::generate(SigningAlgorithm::Es256, now)).await??;
        match self.vault.create_key_set(&id, &fresh).await {
            Ok(()) => return Ok(fresh),
            Err(StoreError::AlreadyExists) => {}
            Err(error) => return Err(error.into()),
        }
        let found = self.vault.latest_key_set(&id).await?;
        Ok(found.ok_or(StoreError::Damaged("key set"))?)
    }
}

/// A key pair on P-256, whatever it is for.
fn edge_key(now: Timestamp) -> Result<Key, KeyError> {
    Key::generate(SigningAlgorithm::Es256, now, 1)
}

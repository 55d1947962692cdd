//! Who holds what, as far as the issuer knows, and what may be done upon it.

use async_trait::async_trait;

use super::*;
use crate::{
    administration::AdministrationError,
    edge::EdgeState,
    store::{Store, StoreError},
    vault::Vault,
};

#[tokio::test]
async fn the_issuer_knows_who_holds_what_and_writes_it_seldom() {
    let fixture = Fixture::new().await;
    let envoy = Process::enrolled(&fixture, "envoy", &["shop"]).await;
    let contacts = async || fixture.ports.store.contacts(&shop()).await.unwrap();
    let start = fixture.clock.now();
    let etag = poll(&fixture, &envoy, None).await.header("etag").to_owned();
    let seen = async || {
        let contacts = contacts().await;
        contacts
            .iter()
            .map(|contact| (contact.at.since(start), contact.generation))
            .collect::<Vec<_>>()
    };
    assert_eq!(seen().await, [(0, None)]);
    fixture.clock.advance(5);
    assert_eq!(poll(&fixture, &envoy, Some(&etag)).await.status, 304);
    assert_eq!(seen().await, [(5, Some(1))]);
    fixture.clock.advance(5);
    poll(&fixture, &envoy, Some(&etag)).await;
    assert_eq!(seen().await, [(5, Some(1))]);
    fixture.clock.advance(5);
    poll(&fixture, &envoy, Some(&etag)).await;
    assert_eq!(seen().await, [(15, Some(1))]);
    let second = Process { instance: "ffffffffffffffff", ..envoy.clone() };
    poll(&fixture, &second, None).await;
    assert_eq!(seen().await, [(15, Some(1)), (15, None)]);
}

#[tokio::test]
async fn the_next_key_signs_as_soon_as_every_edge_has_shown_that_it_holds_it() {
    let fixture = Fixture::new().await;
    let envoy = Process::enrolled(&fixture, "envoy", &["shop"]).await;
    let worker = Process::enrolled(&fixture, "worker", &["shop"]).await;
    let rotate = async || fixture.ports.rotate_keys(&shop(), Rotation::Regular).await;
    let status = async || fixture.ports.keys_status(&shop()).await.unwrap();
    let standings = async || {
        let edges = status().await.edges;
        edges.iter().map(|edge| edge.state.as_str()).collect::<Vec<_>>()
    };
    rotate().await.unwrap();
    assert_eq!(standings().await, ["never seen", "never seen"]);
    let refused = rotate().await.unwrap_err();
    let text = "the next key is not known everywhere yet: edge `envoy` is never seen, edge `worker` \
                is never seen; wait for them, or `181` seconds, or use `--force`";
    assert_eq!(refused.to_string(), text);

    fixture.clock.advance(1);
    let held = [&envoy, &worker]
        .map(async |edge| poll(&fixture, edge, None).await.header("etag").to_owned());
    let [by_envoy, by_worker] = held;
    let (by_envoy, by_worker) = (by_envoy.await, by_worker.await);
    assert_eq!(standings().await, ["late", "late"], "that it was sent is no proof");
    poll(&fixture, &envoy, Some(&by_envoy)).await;
    assert_eq!(standings().await, ["holds next", "late"]);
    let refused = rotate().await.unwrap_err();
    assert!(
        matches!(&refused, AdministrationError::NotHeldYet { seconds_left: 180, late }
        if late == "edge `worker` is late"),
        "{refused}"
    );
    poll(&fixture, &worker, Some(&by_worker)).await;
    let proven = status().await;
    assert!(proven.is_proven && proven.may_rotate);
    assert_eq!(proven.next_signs_by.since(fixture.clock.now()), 180);
    let by_bound = fixture.ports.rotate_keys(&shop(), Rotation::AtBound).await;
    assert!(matches!(by_bound, Err(AdministrationError::Rotation(_))), "{by_bound:?}");
    assert_eq!(rotate().await.unwrap().generation, 3);
    // And not twice: the one after it is not known yet.
    assert_eq!(standings().await, ["late", "late"]);
    assert!(matches!(rotate().await, Err(AdministrationError::NotHeldYet { .. })));
    fixture.clock.advance(181);
    assert_eq!(standings().await, ["late", "late"]);
    fixture.clock.advance(1);
    assert_eq!(standings().await, ["silent", "silent"]);
    assert!(!status().await.is_proven && status().await.may_rotate);
    assert_eq!(rotate().await.unwrap().generation, 4);
}

#[tokio::test]
async fn one_process_that_is_behind_makes_its_edge_late() {
    let fixture = Fixture::new().await;
    let envoy = Process::enrolled(&fixture, "envoy", &["shop"]).await;
    let second = Process { instance: "ffffffffffffffff", ..envoy.clone() };
    let old = poll(&fixture, &second, None).await.header("etag").to_owned();
    poll(&fixture, &second, Some(&old)).await;
    fixture.ports.rotate_keys(&shop(), Rotation::Regular).await.unwrap();
    let new = poll(&fixture, &envoy, None).await.header("etag").to_owned();
    poll(&fixture, &envoy, Some(&new)).await;
    let status = fixture.ports.keys_status(&shop()).await.unwrap();
    let standing = &status.edges[0];
    assert_eq!(
        (standing.state, standing.instances, standing.generation),
        (EdgeState::Late, 2, Some(1))
    );
    // With the etag of a generation that there has not been, nobody is ahead.
    poll(&fixture, &second, Some("\"9.abc\"")).await;
    assert!(!fixture.ports.keys_status(&shop()).await.unwrap().is_proven);
    poll(&fixture, &second, Some(&new)).await;
    assert!(fixture.ports.keys_status(&shop()).await.unwrap().is_proven);
}

/// A vault that is read only by who has left a trace.
struct Watched {
    vault: Arc<dyn Vault>,
    store: Arc<dyn Store>,
}

#[async_trait]
impl Vault for Watched {
    async fn create_key_set(&self, id: &KeySetId, key_set: &KeySet) -> Result<(), StoreError> {
        self.vault.create_key_set(id, key_set).await
    }

    async fn key_set(&self, id: &KeySetId) -> Result<Option<KeySet>, StoreError> {
        assert_eq!(self.store.contacts(&shop()).await.unwrap().len(), 1, "no trace of who reads");
        self.vault.key_set(id).await
    }

    async fn replace_key_set(
        &self,
        id: &KeySetId,
        generation: u64,
        key_set: &KeySet,
        clock: Arc<dyn Clock>,
    ) -> Result<KeySet, StoreError> {
        self.vault.replace_key_set(id, generation, key_set, clock).await
    }
}

/// Else it could get a set without the next key just before a rotation that does not know of it.
#[tokio::test]
async fn an_edge_leaves_its_trace_before_the_keys_are_read() {
    let mut fixture = Fixture::new().await;
    let envoy = Process::enrolled(&fixture, "envoy", &["shop"]).await;
    let Ports { store, vault, .. } = fixture.ports.clone();
    let watched = Arc::new(Watched { vault, store });
    let ports = Ports { vault: watched, ..fixture.ports.clone() };
    let issuer = Arc::new(Issuer::new(ports, URL.parse().unwrap()));
    fixture.router = router(issuer, AUTHORIZATION, &[]);
    assert_eq!(poll(&fixture, &envoy, None).await.status, 200);
}

/// A process that cannot be kept track of gets no keys: nobody would wait for it.
#[tokio::test]
async fn an_edge_whose_contact_cannot_be_written_gets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = Arc::new(Sqlite::open(folder.path()).unwrap());
    let mut fixture = Fixture::new().await;
    let ports = Ports { store: sqlite.clone(), vault: sqlite.clone(), ..fixture.ports.clone() };
    fixture.ports = ports.clone();
    fixture.create_domain("shop", SigningAlgorithm::Es256).await;
    fixture.router = router(Arc::new(Issuer::new(ports, URL.parse().unwrap())), AUTHORIZATION, &[]);
    let envoy = Process::enrolled(&fixture, "envoy", &["shop"]).await;
    sqlite.refuse_writes(true).await;
    for _ in 0..2 {
        poll(&fixture, &envoy, None).await.assert_refused(500, "Internal error");
    }
    sqlite.refuse_writes(false).await;
    assert_eq!(poll(&fixture, &envoy, None).await.status, 200);
}

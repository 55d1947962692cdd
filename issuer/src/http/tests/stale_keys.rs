//! What comes of key sets that a vault's cache has kept for too long.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;

use super::*;
use crate::{
    key_set::KeySet,
    store::StoreError,
    vault::{KeySetId, Vault},
};

/// A vault before which stands a cache that never forgets by itself.
struct Remembering {
    vault: Arc<dyn Vault>,
    remembered: Mutex<Option<KeySet>>,
    read: AtomicUsize,
}

impl Remembering {
    fn remember(&self, key_set: Option<KeySet>) -> Option<KeySet> {
        self.remembered.lock().unwrap().clone_from(&key_set);
        key_set
    }
}

#[async_trait]
impl Vault for Remembering {
    async fn create_key_set(&self, id: &KeySetId, key_set: &KeySet) -> Result<(), StoreError> {
        self.vault.create_key_set(id, key_set).await
    }

    async fn key_set(&self, id: &KeySetId) -> Result<Option<KeySet>, StoreError> {
        let remembered = self.remembered.lock().unwrap().clone();
        match remembered {
            Some(key_set) => Ok(Some(key_set)),
            None => self.latest_key_set(id).await,
        }
    }

    async fn latest_key_set(&self, id: &KeySetId) -> Result<Option<KeySet>, StoreError> {
        self.read.fetch_add(1, Ordering::SeqCst);
        Ok(self.remember(self.vault.key_set(id).await?))
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

/// The fixture's issuer, with such a cache.
fn with_cache(fixture: &Fixture) -> (Arc<Remembering>, Router) {
    let cache = Arc::new(Remembering {
        vault: fixture.ports.vault.clone(),
        remembered: Mutex::default(),
        read: AtomicUsize::new(0),
    });
    let ports = Ports { vault: cache.clone(), ..fixture.ports.clone() };
    let issuer = Arc::new(Issuer::new(ports, URL.parse().unwrap()));
    (cache, router(issuer, AUTHORIZATION, &[]))
}

#[tokio::test]
async fn a_withdrawn_key_is_gone_at_once_from_every_cache() {
    let mut fixture = Fixture::new().await;
    let (cache, router) = with_cache(&fixture);
    let operator = std::mem::replace(&mut fixture.router, router);
    let token = fixture.login("shop").await;
    assert_eq!(fixture.bearer("GET", "/auth", &token).await.status, StatusCode::OK);
    assert_eq!(cache.read.load(Ordering::SeqCst), 1);
    let shop = "shop".parse().unwrap();
    fixture.ports.rotate_keys(&shop, Rotation::Compromised).await.unwrap();
    fixture.bearer("GET", "/auth", &token).await.assert_refused(403, "Invalid token");
    fixture.refresh(&token).await.assert_refused(401, "Invalid token");
    let fresh = fixture.login("shop").await;
    fixture.router = operator;
    assert_eq!(fixture.bearer("GET", "/auth", &fresh).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_set_that_the_domain_has_left_behind_is_not_used_though_nothing_newer_is_found() {
    let fixture = Fixture::new().await;
    let token = fixture.login("shop").await;
    fixture.ports.store.require_generation(&"shop".parse().unwrap(), 2).await.unwrap();
    for answer in [
        fixture.bearer("GET", "/auth", &token).await,
        fixture.try_login("shop", "ada", PASSWORD).await,
        fixture.refresh(&token).await,
    ] {
        answer.assert_refused(503, "Try again later");
        assert_eq!(answer.header("retry-after"), "1");
    }
}

#[tokio::test]
async fn an_unknown_key_makes_the_issuer_look_again() {
    let mut fixture = Fixture::new().await;
    let (cache, router) = with_cache(&fixture);
    let operator = std::mem::replace(&mut fixture.router, router);
    let old = fixture.login("shop").await;
    // As a rotation that nobody has told the domain of yet.
    let domain = fixture.ports.domain(&"shop".parse().unwrap()).await.unwrap();
    let (key_set, _) = fixture.ports.key_set(&domain.name).await.unwrap();
    for _ in 0..2 {
        let stored = fixture.ports.vault.key_set(&domain.key_set).await.unwrap().unwrap();
        let now = fixture.clock.now();
        let next = stored.rotate(&domain.settings, now, Rotation::Forced).unwrap();
        let (id, clock) = (&domain.key_set, fixture.clock.clone());
        let vault = &fixture.ports.vault;
        vault.replace_key_set(id, stored.generation, &next, clock).await.unwrap();
    }
    let cached = std::mem::replace(&mut fixture.router, operator);
    let new = fixture.login("shop").await;
    fixture.router = cached;
    assert!(!key_set.holds(&fixture.key_set("shop").await.current.id));
    let read = cache.read.load(Ordering::SeqCst);
    assert_eq!(fixture.bearer("GET", "/auth", &old).await.status, StatusCode::OK);
    assert_eq!(cache.read.load(Ordering::SeqCst), read, "a known key asks for nothing");
    assert_eq!(fixture.bearer("GET", "/auth", &new).await.status, StatusCode::OK);
    assert_eq!(cache.read.load(Ordering::SeqCst), read + 1);
}

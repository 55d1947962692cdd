//! What operators watch, where not all of it can be read.

use std::{future::pending, time::Instant};

use async_trait::async_trait;

use super::*;
use crate::{
    metrics::metrics_router,
    store::StoreError,
    vault::{KeySetId, Vault},
};

/// A vault that keeps one key set from who asks, with an error or without an answer.
struct Withholding {
    vault: Arc<dyn Vault>,
    withheld: KeySetId,
    answers: bool,
}

#[async_trait]
impl Vault for Withholding {
    async fn create_key_set(&self, id: &KeySetId, key_set: &KeySet) -> Result<(), StoreError> {
        self.vault.create_key_set(id, key_set).await
    }

    async fn key_set(&self, id: &KeySetId) -> Result<Option<KeySet>, StoreError> {
        if *id != self.withheld {
            return self.vault.key_set(id).await;
        }
        if self.answers { Err(StoreError::Damaged("key set")) } else { pending().await }
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

#[tokio::test]
async fn a_domain_that_cannot_be_read_in_time_is_left_out_and_counted() {
    let fixture = Fixture::new().await;
    fixture.create_domain("blog", SigningAlgorithm::EdDsa).await;
    let blog = fixture.ports.domain(&"blog".parse().unwrap()).await.unwrap();
    for answers in [true, false] {
        let vault = Arc::clone(&fixture.ports.vault);
        let vault = Arc::new(Withholding { vault, withheld: blog.key_set.clone(), answers });
        let ports = Ports { vault, ..fixture.ports.clone() };
        let issuer = Arc::new(Issuer::new(ports, URL.parse().unwrap()));
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let asked_at = Instant::now();
        let answer = metrics_router(issuer).oneshot(request).await.unwrap();
        assert!(asked_at.elapsed().as_secs() < 5);
        assert_eq!(answer.status(), StatusCode::OK);
        let page = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        let page = String::from_utf8(page.to_vec()).unwrap();
        assert!(page.contains("postern_domain_generation{domain=\"shop\"} 1\n"), "{page}");
        assert!(!page.contains("blog"), "{page}");
        assert!(page.contains("\npostern_domains_unread 1\n"), "{page}");
    }
}

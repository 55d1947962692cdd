//! The world of `envoy.yaml`: an issuer with the domain `shop`, and a user of it.

use postern_tests::{Envoy, EnvoyConfig, Issuer, Upstream};
use tempfile::TempDir;

pub(crate) const DOMAIN: &str = "shop";
pub(crate) const USERNAME: &str = "ada";
pub(crate) const PASSWORD: &str = "correct-horse-battery-staple";
pub(crate) const API: &str = "/api/orders";

/// An issuer with a domain and a user, on a folder of its own.
pub(crate) struct Shop {
    pub(crate) issuer: Issuer,
    _folder: TempDir,
}

impl Shop {
    /// Populated, but not serving.
    pub(crate) fn closed(options: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let issuer = Issuer::new(folder.path()).unwrap();
        issuer.domain_create(DOMAIN, options).unwrap();
        issuer.user_create(DOMAIN, USERNAME, PASSWORD).unwrap();
        Self { issuer, _folder: folder }
    }

    /// Populated and serving.
    pub(crate) async fn open(options: &[&str]) -> Self {
        let mut shop = Self::closed(options);
        shop.issuer.start().await.unwrap();
        shop
    }

    /// A fresh token.
    pub(crate) async fn login(&self) -> String {
        self.issuer.token(DOMAIN, USERNAME, PASSWORD).await.unwrap()
    }

    /// The gate of `envoy.yaml` in front of an upstream.
    pub(crate) async fn gate(&self) -> (Envoy, Upstream) {
        let upstream = Upstream::start(0).await.unwrap();
        let config = EnvoyConfig::for_test(self.issuer.port(), upstream.port()).unwrap();
        (Envoy::start(&config).await.unwrap(), upstream)
    }
}

//! The programs of a run: the issuer with two domains, an upstream, and Envoy with `envoy.yaml`.

use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::Options;
use super::knowledge::Knowledge;
use super::{API, AUDIT, PASSWORD, SHOP, USERNAME, VAULT, VAULT_DOMAIN};
use crate::load::{published, since_epoch};
use crate::{Envoy, EnvoyConfig, Failure, Issuer, LogLevel, Upstream};

/// The shortest that the issuer offers, so that expiry is seen often.
const SHOP_TOKEN_LIFETIME: &str = "10";
/// Long enough for a token to outlive its key's withdrawal.
const VAULT_TOKEN_LIFETIME: &str = "60";
/// A set that may be kept for 1 s may be rotated after 3 s.
const JWKS_MAX_AGE: &str = "1";
/// Of the cache of verified tokens, per thread: room for the tokens that live, and full before the
/// warm-up is over. The 8 MiB that are its default would fill for most of an hour, which looks like
/// memory that grows.
const CACHE_BYTES_PER_SESSION: usize = 4096;

/// The running programs; they end when this is dropped, Envoy first.
pub(super) struct Stage {
    pub(super) envoy: Envoy,
    /// The issuer's data, for commands.
    pub(super) data: Arc<Issuer>,
    _upstream: Upstream,
    _folder: TempDir,
}

impl Stage {
    /// Starts everything; returns the issuer's server, too, for the one who kills it.
    pub(super) async fn open(
        options: Options,
        knowledge: &Knowledge,
    ) -> Result<(Self, Issuer), Failure> {
        let folder = TempDir::new().map_err(Failure::while_doing("a folder for the issuer"))?;
        let mut server = Issuer::new(folder.path())?;
        let data = Arc::new(Issuer::on_port(folder.path(), server.port()));
        for (domain, lifetime) in
            [(SHOP, SHOP_TOKEN_LIFETIME), (VAULT_DOMAIN, VAULT_TOKEN_LIFETIME)]
        {
            let options = ["--token-lifetime", lifetime, "--jwks-max-age", JWKS_MAX_AGE];
            data.domain_create(domain, &options)?;
            data.user_create(domain, USERNAME, PASSWORD)?;
        }
        server.start().await?;
        let upstream = Upstream::start(0).await?;
        let config = EnvoyConfig::for_test(server.port(), upstream.port())?;
        let config = config.policy(&policy(&server.url(), options))?;
        let envoy = Envoy::start_logging(&config, LogLevel::Warning).await?;
        knowledge.issuer_answers(since_epoch());
        for domain in [SHOP, VAULT_DOMAIN] {
            for key_id in published(&data, domain).await? {
                knowledge.published(domain, &key_id, since_epoch());
            }
        }
        Ok((Self { envoy, data, _upstream: upstream, _folder: folder }, server))
    }
}

/// The policy of `envoy.yaml`, for two domains, and with times that fit a rotation every 5 s.
fn policy(issuer: &str, options: Options) -> Value {
    let provider = |domain: &str| {
        json!({
            "issuer": format!("{issuer}/{domain}"),
            "audiences": [domain],
            // Issuer and gate have one clock here.
            "clock_skew_seconds": 0,
            "remote_jwks": {
                "http_uri": {
                    "uri": format!("{issuer}/{domain}/.well-known/jwks.json"),
                    "cluster": "issuer",
                    "timeout": "2s",
                },
                "retry_policy": {
                    "retry_back_off": { "base_interval": "0.2s", "max_interval": "1s" },
                },
            },
            "claim_to_headers": [{ "header_name": "x-user-id", "claim_name": "sub" }],
        })
    };
    let audit = json!({ "provider_name": SHOP, "audiences": ["audit"] });
    json!({
        "providers": { SHOP: provider(SHOP), VAULT_DOMAIN: provider(VAULT_DOMAIN) },
        "rules": [
            { "match": { "path": API }, "requires": { "provider_name": SHOP } },
            { "match": { "path": VAULT }, "requires": { "provider_name": VAULT_DOMAIN } },
            { "match": { "path": AUDIT }, "requires": { "provider_and_audiences": audit } },
        ],
        "verified_token_cache": { "max_bytes": CACHE_BYTES_PER_SESSION * options.sessions },
    })
}

//! What the tests of the vault and of the rotation stand on: moto behind a relay.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::Credentials;
use postern_issuer::{Clock, KeySet, KeySetId, SecretsManager, Timestamp, Vault};
use postern_tests::{Fault, FaultProxy, Moto};

pub(crate) const PREFIX: &str = "postern/test/";

/// Secrets Manager, and someone between it and the program.
pub(crate) struct Secrets {
    pub(crate) proxy: FaultProxy,
    pub(crate) client: Client,
    _moto: Moto,
}

impl Secrets {
    pub(crate) async fn start() -> Self {
        Self::with_function("http://127.0.0.1:9/none").await
    }

    pub(crate) async fn with_function(url: &str) -> Self {
        let moto = Moto::start(url).await.unwrap();
        let address = moto.url().trim_start_matches("http://").parse().unwrap();
        let proxy = FaultProxy::start(address).await.unwrap();
        let client = Client::new(&config(moto.url()));
        Self { proxy, client, _moto: moto }
    }

    /// A process of its own, as far as the vault is concerned.
    pub(crate) fn vault(&self) -> SecretsManager {
        SecretsManager::new(&self.config(), PREFIX.to_owned())
    }

    /// How the program reaches it.
    pub(crate) fn config(&self) -> SdkConfig {
        config(&self.proxy.url())
    }

    /// How often an operation was asked for.
    pub(crate) fn calls(&self, operation: &str) -> usize {
        self.proxy.requests(operation)
    }

    /// Secrets Manager is out of reach, or no longer.
    pub(crate) fn set_down(&self, down: bool) {
        if down {
            self.proxy.fail("", usize::MAX, Fault::HangUp);
        } else {
            self.proxy.mend();
        }
    }

    /// Has the next call of an operation carried out and its answer lost.
    pub(crate) fn lose_answer(&self, operation: &'static str) {
        self.proxy.fail(operation, 1, Fault::LoseAnswer);
    }

    pub(crate) async fn create(&self, name: &str, value: &str) {
        let request = self.client.create_secret().name(format!("{PREFIX}{name}"));
        request.secret_string(value).send().await.unwrap();
    }

    /// The labels of each version that has any, sorted.
    pub(crate) async fn labels(&self, name: &str) -> BTreeMap<String, Vec<String>> {
        let request = self.client.describe_secret().secret_id(format!("{PREFIX}{name}"));
        let versions = request.send().await.unwrap().version_ids_to_stages.unwrap_or_default();
        let labelled = versions.into_iter().filter(|(_, labels)| !labels.is_empty());
        labelled
            .map(|(version, mut labels)| {
                labels.sort();
                (version, labels)
            })
            .collect()
    }

    /// The version that has a label.
    pub(crate) async fn version(&self, name: &str, label: &str) -> Option<String> {
        let labels = self.labels(name).await;
        let has = |labels: &[String]| labels.iter().any(|found| found == label);
        labels.into_iter().find(|(_, labels)| has(labels)).map(|(version, _)| version)
    }

    /// Moves a label by hand.
    pub(crate) async fn label(
        &self,
        name: &str,
        label: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) {
        let request = self.client.update_secret_version_stage();
        let request = request.secret_id(format!("{PREFIX}{name}")).version_stage(label);
        let request = request.set_remove_from_version_id(from.map(str::to_owned));
        request.set_move_to_version_id(to.map(str::to_owned)).send().await.unwrap();
    }

    /// The key set that counts, by a vault that remembers nothing.
    pub(crate) async fn key_set(&self, name: &str) -> KeySet {
        let id = KeySetId::stored(name.to_owned());
        self.vault().key_set(&id).await.unwrap().unwrap()
    }
}

/// An account that there is none of, at an endpoint of this machine; as patient as the program.
pub(crate) fn config(endpoint: &str) -> SdkConfig {
    let retries = RetryConfig::standard()
        .with_max_attempts(5)
        .with_initial_backoff(Duration::from_millis(50))
        .with_max_backoff(Duration::from_millis(800));
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(Duration::from_secs(2))
        .operation_timeout(Duration::from_secs(6))
        .build();
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(aws_sdk_secretsmanager::config::SharedCredentialsProvider::new(
            Credentials::new("test", "test", None, None, "tests"),
        ))
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(retries)
        .timeout_config(timeouts)
        .sleep_impl(aws_sdk_secretsmanager::config::SharedAsyncSleep::new(Sleep))
        .build()
}

#[derive(Debug)]
struct Sleep;

impl aws_sdk_secretsmanager::config::AsyncSleep for Sleep {
    fn sleep(&self, duration: Duration) -> aws_sdk_secretsmanager::config::Sleep {
        aws_sdk_secretsmanager::config::Sleep::new(tokio::time::sleep(duration))
    }
}

/// A clock that is set by hand, and begins with the present: Secrets Manager's own dates are real.
pub(crate) struct VirtualClock(AtomicU64);

impl VirtualClock {
    pub(crate) fn start() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(postern_tests::now())))
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

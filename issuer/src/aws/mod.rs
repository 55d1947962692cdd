//! Both storage ports on AWS: the store in DynamoDB, the vault in Secrets Manager.

mod failure;

use std::{sync::Arc, time::Duration};

use aws_config::{
    BehaviorVersion, ConfigLoader, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};

pub(crate) use self::failure::AwsFailure;
use crate::{
    administration::Ports,
    clock::Clock,
    dynamodb::{DynamoDb, create_table},
    secrets_manager::SecretsManager,
    store::StoreError,
    vault::KeySetId,
};

/// How often one call is tried before it is given up.
const ATTEMPTS: u32 = 5;
/// The longest wait before the second try; it doubles with each try, up to [`LONGEST_PAUSE`].
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(50);
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_millis(800);
const CONNECT_LIMIT: Duration = Duration::from_secs(1);
const ATTEMPT_LIMIT: Duration = Duration::from_secs(2);
/// What all tries may take: shorter than the clients of an API wait.
pub(crate) const CALL_LIMIT: Duration = Duration::from_secs(6);

/// How AWS is reached: region, credentials and endpoints by the standard chains of the SDK,
/// throttled and lost calls tried again within seconds.
pub async fn sdk_config() -> SdkConfig {
    sdk_config_loader().load().await
}

/// The same, for a caller that knows more than the standard chains.
#[must_use]
pub fn sdk_config_loader() -> ConfigLoader {
    let client = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let retries = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_initial_backoff(FIRST_PAUSE)
        .with_max_backoff(LONGEST_PAUSE);
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_LIMIT)
        .operation_attempt_timeout(ATTEMPT_LIMIT)
        .operation_timeout(CALL_LIMIT)
        .build();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(client)
        .retry_config(retries)
        .timeout_config(timeouts)
}

/// What the issuer keeps on AWS.
pub struct Aws {
    config: SdkConfig,
    table: String,
    secret_prefix: String,
}

impl Aws {
    /// The table of that name, and the secrets whose names begin with `secret_prefix`. Nothing is
    /// asked for yet.
    pub async fn connect(table: String, secret_prefix: String) -> Self {
        Self { config: sdk_config().await, table, secret_prefix }
    }

    /// The ports on both.
    #[must_use]
    pub fn ports(&self, clock: Arc<dyn Clock>) -> Ports {
        let store = Arc::new(DynamoDb::new(&self.config, self.table.clone()));
        Ports { store, vault: Arc::new(self.vault()), clock }
    }

    /// The table's name.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// Makes the table.
    ///
    /// # Errors
    ///
    /// [`StoreError::AlreadyExists`], or a failure of the storage.
    pub async fn create_table(&self) -> Result<(), StoreError> {
        create_table(&self.config, &self.table).await
    }

    /// Lets `function`, an ARN, rotate a key set every so many days, for the first time then.
    ///
    /// # Errors
    ///
    /// A failure of the storage.
    pub async fn schedule_rotation(
        &self,
        key_set: &KeySetId,
        function: &str,
        days: u16,
    ) -> Result<(), StoreError> {
        self.vault().schedule_rotation(key_set, function, days).await
    }

    fn vault(&self) -> SecretsManager {
        SecretsManager::new(&self.config, self.secret_prefix.clone())
    }
}

//! A table for one test: on an emulator of its own, or where the environment points.
//!
//! With `POSTERN_DYNAMODB_ENDPOINT` set to a URL the tables are made there, such as on Amazon's
//! DynamoDB Local; set to `aws`, in the account and region of the standard credential chain. Their
//! names begin with `POSTERN_DYNAMODB_TABLE` (`postern-test`), so that a policy can name them. Every
//! table is deleted after its test. Faults need a proxy, which speaks to emulators only.

use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{Region, SdkConfig};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Credentials;
use aws_sdk_dynamodb::types::AttributeValue;
use postern_issuer::{DynamoDb, aws, create_table};
use postern_tests::{FaultProxy, MiniStack};

const REAL: &str = "aws";

/// A table, and how it is reached.
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) config: SdkConfig,
    endpoint: Option<SocketAddr>,
    /// It ends with the test.
    _emulator: Option<MiniStack>,
}

impl Table {
    /// Runs a test on a new table.
    pub(crate) async fn run<F>(test: impl FnOnce(Arc<Self>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let endpoint = std::env::var("POSTERN_DYNAMODB_ENDPOINT").ok();
        let table = Arc::new(Box::pin(Self::create(endpoint)).await);
        table.finish(Box::pin(test(Arc::clone(&table)))).await;
    }

    /// Runs a test on a new table that can be reached through a proxy.
    pub(crate) async fn run_with_faults<F>(test: impl FnOnce(Arc<Self>, FaultProxy) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let endpoint = std::env::var("POSTERN_DYNAMODB_ENDPOINT").ok();
        let endpoint = endpoint.filter(|endpoint| endpoint != REAL);
        let table = Arc::new(Box::pin(Self::create(endpoint)).await);
        let target = table.endpoint.expect("an emulator has an address");
        let proxy = FaultProxy::start(target).await.unwrap();
        table.finish(Box::pin(test(Arc::clone(&table), proxy))).await;
    }

    /// Deletes the table whether the test passes or not.
    async fn finish(&self, test: impl Future<Output = ()> + Send + 'static) {
        let outcome = tokio::spawn(test).await;
        self.client().delete_table().table_name(&self.name).send().await.unwrap();
        if let Err(failed) = outcome {
            resume_unwind(failed.into_panic());
        }
    }

    async fn create(endpoint: Option<String>) -> Self {
        let (config, url, emulator) = match endpoint.as_deref() {
            Some(REAL) => (aws::sdk_config().await, None, None),
            Some(url) => (config_of(url).await, Some(url.to_owned()), None),
            None => {
                let emulator = MiniStack::start().await.unwrap();
                (config_of(&emulator.url()).await, Some(emulator.url()), Some(emulator))
            }
        };
        let address =
            |url: String| url.trim_start_matches("http://").replace("localhost", "127.0.0.1");
        let endpoint = url.map(|url| address(url).parse().expect("http://address:port"));
        let prefix = std::env::var("POSTERN_DYNAMODB_TABLE");
        let prefix = prefix.unwrap_or_else(|_| "postern-test".to_owned());
        let name = format!("{prefix}-{:016x}", rand_core::RngCore::next_u64(&mut rand_core::OsRng));
        create_table(&config, &name).await.unwrap();
        Self { name, config, endpoint, _emulator: emulator }
    }

    /// A store on the table.
    pub(crate) fn store(&self) -> Arc<DynamoDb> {
        Arc::new(DynamoDb::new(&self.config, self.name.clone()))
    }

    /// A store on the table for a crowd: an emulator is slow where DynamoDB is not.
    pub(crate) fn patient_store(&self) -> Arc<DynamoDb> {
        let limit = Duration::from_secs(20);
        let limits = TimeoutConfig::builder().connect_timeout(limit).operation_timeout(limit);
        let config = self.config.to_builder().timeout_config(limits.build()).build();
        Arc::new(DynamoDb::new(&config, self.name.clone()))
    }

    /// A store on the table, with connections of its own, that sees it through a proxy.
    pub(crate) async fn store_behind(&self, proxy: &FaultProxy) -> Arc<DynamoDb> {
        Arc::new(DynamoDb::new(&config_of(&proxy.url()).await, self.name.clone()))
    }

    /// The SDK itself.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.config)
    }

    /// Sets one attribute of an item behind the store's back.
    pub(crate) async fn set(&self, key: [&str; 2], attribute: &str, value: AttributeValue) {
        let [partition, sort] = key.map(|key| AttributeValue::S(key.to_owned()));
        let update = self.client().update_item().table_name(&self.name);
        let update = update.key("pk", partition).key("sk", sort).update_expression("SET #a = :a");
        let update = update.expression_attribute_names("#a", attribute);
        update.expression_attribute_values(":a", value).send().await.unwrap();
    }

    /// An item as it is stored.
    pub(crate) async fn item(&self, key: [&str; 2]) -> Option<Item> {
        let [partition, sort] = key.map(|key| AttributeValue::S(key.to_owned()));
        let read = self.client().get_item().table_name(&self.name).consistent_read(true);
        read.key("pk", partition).key("sk", sort).send().await.unwrap().item
    }
}

/// An item as the SDK has it.
pub(crate) type Item = std::collections::HashMap<String, AttributeValue>;

/// As the program has it, but for the account.
pub(crate) async fn config_of(url: &str) -> SdkConfig {
    aws::sdk_config_loader()
        .endpoint_url(url)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
        .load()
        .await
}

//! Making the table, where no template does it.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::{
    Client,
    client::Waiters,
    error::{BuildError, ProvideErrorMetadata, SdkError},
    operation::create_table::CreateTableError,
    types::{
        AttributeDefinition, BillingMode, KeySchemaElement, KeyType,
        PointInTimeRecoverySpecification, ScalarAttributeType, TimeToLiveSpecification,
    },
};

use super::keys::{PARTITION, SORT};
use crate::store::StoreError;

/// DynamoDB takes some ten seconds for it.
const LIMIT: Duration = Duration::from_secs(120);
/// What emulators answer to what they do not have.
const UNKNOWN: &str = "UnknownOperationException";

/// Makes a table as the store needs it: billed by request, sessions and failed logins deleted after
/// their time, restorable to any moment of the last weeks.
///
/// # Errors
///
/// [`StoreError::AlreadyExists`], or a failure of the storage.
pub async fn create_table(config: &SdkConfig, name: &str) -> Result<(), StoreError> {
    let client = Client::new(config);
    let create = client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    let keys = [(PARTITION, KeyType::Hash), (SORT, KeyType::Range)];
    let create = keys.into_iter().try_fold(create, |create, (name, kind)| {
        let key = KeySchemaElement::builder().attribute_name(name).key_type(kind).build()?;
        let attribute = AttributeDefinition::builder().attribute_name(name);
        let attribute = attribute.attribute_type(ScalarAttributeType::S).build()?;
        Ok::<_, BuildError>(create.key_schema(key).attribute_definitions(attribute))
    });
    let create = create.map_err(StoreError::unavailable)?;
    if let Err(error) = create.send().await {
        return Err(match error.as_service_error() {
            Some(CreateTableError::ResourceInUseException(_)) => StoreError::AlreadyExists,
            _ => error.into(),
        });
    }
    let created = client.wait_until_table_exists().table_name(name).wait(LIMIT).await;
    created.map_err(StoreError::unavailable)?;
    expire_items(&client, name).await?;
    keep_past(&client, name).await
}

async fn expire_items(client: &Client, table: &str) -> Result<(), StoreError> {
    let expiration = TimeToLiveSpecification::builder().enabled(true).attribute_name("ttl");
    let expiration = expiration.build().map_err(StoreError::unavailable)?;
    let update = client.update_time_to_live().table_name(table);
    update.time_to_live_specification(expiration).send().await?;
    Ok(())
}

async fn keep_past(client: &Client, table: &str) -> Result<(), StoreError> {
    let recovery = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true);
    let recovery = recovery.build().map_err(StoreError::unavailable)?;
    let update = client.update_continuous_backups().table_name(table);
    match update.point_in_time_recovery_specification(recovery).send().await {
        Err(SdkError::ServiceError(answer)) if answer.err().code() == Some(UNKNOWN) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}

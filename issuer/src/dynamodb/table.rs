//! The table: reading, adding, changing and deleting one item.

use aws_config::SdkConfig;
use aws_sdk_dynamodb::{
    Client, operation::put_item::PutItemError, types::ReturnValuesOnConditionCheckFailure,
};

use super::{
    item::{Item, number},
    keys::{self, Key},
    update::{Update, Written, names_in},
};
use crate::store::StoreError;

/// There is no item of these keys.
pub(super) const NOT_THERE: &str = "attribute_not_exists(#pk)";

/// A table, and how it is reached.
#[derive(Clone)]
pub(super) struct Table {
    pub(super) client: Client,
    pub(super) name: String,
    /// How many entries of a list come at once; as many as fit, but for tests.
    pub(super) page_entries: Option<i32>,
}

impl Table {
    pub(super) fn new(config: &SdkConfig, name: String) -> Self {
        Self { client: Client::new(config), name, page_entries: None }
    }

    pub(super) async fn read(&self, key: Key) -> Result<Option<Item>, StoreError> {
        let read = self.client.get_item().table_name(&self.name).set_key(Some(key.item()));
        Ok(read.consistent_read(true).send().await?.item)
    }

    /// Adds an item unless there is one of its keys.
    pub(super) async fn add(&self, item: Item) -> Result<Written, StoreError> {
        let sent = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item))
            .condition_expression(NOT_THERE)
            .set_expression_attribute_names(Some(names_in(&[NOT_THERE])))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Written::Yes),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(refused)) => {
                    Ok(Written::No(refused.item().cloned()))
                }
                _ => Err(error.into()),
            },
        }
    }

    /// Writes an item, whatever was there.
    pub(super) async fn put(&self, item: Item) -> Result<(), StoreError> {
        self.client.put_item().table_name(&self.name).set_item(Some(item)).send().await?;
        Ok(())
    }

    pub(super) async fn update(&self, update: Update<'_>) -> Result<Written, StoreError> {
        update.send(&self.client, &self.name).await
    }

    /// Deletes an item, if it is there.
    pub(super) async fn delete(&self, key: Key) -> Result<(), StoreError> {
        let delete = self.client.delete_item().table_name(&self.name).set_key(Some(key.item()));
        delete.send().await?;
        Ok(())
    }

    /// Reads and writes what nothing depends on.
    pub(super) async fn probe(&self) -> Result<(), StoreError> {
        self.read(keys::ready()).await?;
        let update = Update {
            key: keys::ready(),
            change: "SET #tried = :yes",
            condition: "attribute_not_exists(#tried) OR #tried = :yes",
            values: vec![(":yes", number(1))],
        };
        match self.update(update).await? {
            Written::Yes => Ok(()),
            Written::No(_) => Err(StoreError::Damaged("trial")),
        }
    }
}

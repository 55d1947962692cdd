//! Several writes, such as of a thing and of its entry in a list: all or nothing.

use aws_sdk_dynamodb::{
    error::BuildError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        CancellationReason, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
        builders::PutBuilder,
    },
};

use super::{
    item::Item,
    patience::Patience,
    table::{NOT_THERE, Table},
    update::{Update, Written, names_in},
};
use crate::{aws::AwsFailure, store::StoreError};

/// Why a transaction is cancelled that may go through the next time.
const PASSING: [&str; 3] =
    ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
const TAKEN: &str = "ConditionalCheckFailed";

impl Table {
    /// Adds items, unless there is one of the keys of any of them, and `entry` with them. If there
    /// is, answers with the first.
    pub(super) async fn add_with_entry<const N: usize>(
        &self,
        items: [Item; N],
        entry: Item,
    ) -> Result<Written, StoreError> {
        let mut writes = Vec::with_capacity(N + 1);
        for item in items {
            writes.push(write(only_added(self.put_of(item)))?);
        }
        writes.push(write(self.put_of(entry).build())?);
        self.write_all(writes).await
    }

    /// Changes an item, if it still is as the change wants it, and writes `other` with it.
    pub(super) async fn update_with(
        &self,
        update: Update<'_>,
        other: Item,
    ) -> Result<Written, StoreError> {
        let other = write(self.put_of(other).build())?;
        self.write_all(vec![update.in_transaction(&self.name)?, other]).await
    }

    /// If a condition does not hold, answers with the first item of which one does not.
    ///
    /// The SDK gives every call a token by which DynamoDB knows a second try of it. A call after a
    /// cancelled one has another token, so the caller looks at the item that was in the way: it may
    /// be its own.
    async fn write_all(&self, writes: Vec<TransactWriteItem>) -> Result<Written, StoreError> {
        let add = self.client.transact_write_items().set_transact_items(Some(writes));
        let mut patience = Patience::new();
        loop {
            let Err(error) = add.clone().send().await else {
                return Ok(Written::Yes);
            };
            let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) =
                error.as_service_error()
            else {
                return Err(error.into());
            };
            let reasons = cancelled.cancellation_reasons();
            if let Some(taken) = reasons.iter().find(|reason| reason.code() == Some(TAKEN)) {
                return Ok(Written::No(taken.item().cloned()));
            }
            if !passes(reasons) {
                return Err(error.into());
            }
            if !patience.pause().await {
                return Err(StoreError::Busy(AwsFailure::of(&error).into()));
            }
        }
    }

    fn put_of(&self, item: Item) -> PutBuilder {
        Put::builder().table_name(&self.name).set_item(Some(item))
    }
}

fn only_added(put: PutBuilder) -> Result<Put, BuildError> {
    put.condition_expression(NOT_THERE)
        .set_expression_attribute_names(Some(names_in(&[NOT_THERE])))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .build()
}

fn write(put: Result<Put, BuildError>) -> Result<TransactWriteItem, StoreError> {
    let put = put.map_err(StoreError::unavailable)?;
    Ok(TransactWriteItem::builder().put(put).build())
}

fn passes(reasons: &[CancellationReason]) -> bool {
    let code =
        |reason: &CancellationReason| reason.code().is_some_and(|code| PASSING.contains(&code));
    reasons.iter().any(code)
}

//! Adding a thing together with its entry in a list: both or neither.

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
    update::{Written, names_in},
};
use crate::{aws::AwsFailure, store::StoreError};

/// Why a transaction is cancelled that may go through the next time.
const PASSING: [&str; 3] =
    ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
const TAKEN: &str = "ConditionalCheckFailed";

impl Table {
    /// Adds an item, unless there is one of its keys, and `entry` with it.
    ///
    /// The SDK gives every call a token by which DynamoDB knows a second try of it. A call after a
    /// cancelled one has another token, so the caller looks at the item that was in the way: it may
    /// be its own.
    pub(super) async fn add_with_entry(
        &self,
        item: Item,
        entry: Item,
    ) -> Result<Written, StoreError> {
        let mut patience = Patience::new();
        loop {
            let add = self.put(item.clone()).condition_expression(NOT_THERE);
            let add = add.set_expression_attribute_names(Some(names_in(&[NOT_THERE])));
            let add = add.return_values_on_condition_check_failure(
                ReturnValuesOnConditionCheckFailure::AllOld,
            );
            let sent = self
                .client
                .transact_write_items()
                .transact_items(write(add.build())?)
                .transact_items(write(self.put(entry.clone()).build())?)
                .send()
                .await;
            let Err(error) = sent else {
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

    fn put(&self, item: Item) -> PutBuilder {
        Put::builder().table_name(&self.name).set_item(Some(item))
    }
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

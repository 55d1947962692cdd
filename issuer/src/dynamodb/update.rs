//! One change of one item, on a condition.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    Client,
    operation::update_item::UpdateItemError,
    types::{
        self, AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
    },
};

use super::{item::Item, keys::Key};
use crate::store::StoreError;

/// What came of a write on a condition.
pub(super) enum Written {
    /// The condition held, and the item is as it was to be.
    Yes,
    /// It did not, and this is the item, if there is one.
    No(Option<Item>),
}

/// A change and what it is on condition of. In both expressions `#name` stands for the attribute
/// `name`, since many a plain word is reserved.
pub(super) struct Update<'u> {
    pub(super) key: Key,
    pub(super) change: &'u str,
    pub(super) condition: &'u str,
    pub(super) values: Vec<(&'u str, AttributeValue)>,
}

impl Update<'_> {
    pub(super) async fn send(self, client: &Client, table: &str) -> Result<Written, StoreError> {
        let values = self.values.into_iter().map(|(name, value)| (name.to_owned(), value));
        let sent = client
            .update_item()
            .table_name(table)
            .set_key(Some(self.key.item()))
            .update_expression(self.change)
            .condition_expression(self.condition)
            .set_expression_attribute_names(Some(names_in(&[self.change, self.condition])))
            .set_expression_attribute_values(Some(values.collect()))
            .return_values(ReturnValue::None)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Written::Yes),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                    Ok(Written::No(refused.item().cloned()))
                }
                _ => Err(error.into()),
            },
        }
    }
}

impl Update<'_> {
    /// As one write of several: all or nothing.
    pub(super) fn in_transaction(self, table: &str) -> Result<TransactWriteItem, StoreError> {
        let values = self.values.into_iter().map(|(name, value)| (name.to_owned(), value));
        let update = types::Update::builder()
            .table_name(table)
            .set_key(Some(self.key.item()))
            .update_expression(self.change)
            .condition_expression(self.condition)
            .set_expression_attribute_names(Some(names_in(&[self.change, self.condition])))
            .set_expression_attribute_values(Some(values.collect()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(StoreError::unavailable)?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}

/// What each `#name` of the expressions stands for.
pub(super) fn names_in(expressions: &[&str]) -> HashMap<String, String> {
    let is_end = |character: char| !(character.is_ascii_alphanumeric() || character == '_');
    let after_marks = expressions.iter().flat_map(|expression| expression.split('#').skip(1));
    let names = after_marks.filter_map(|text| text.split(is_end).next());
    names.map(|name| (format!("#{name}"), name.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_the_expressions_use() {
        let names = names_in(&["SET #a_b = :x, #c=#d", "attribute_exists(#pk) AND #a_b > :y"]);
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort();
        let expected = [("#a_b", "a_b"), ("#c", "c"), ("#d", "d"), ("#pk", "pk")];
        assert_eq!(names, expected.map(|(mark, name)| (mark.to_owned(), name.to_owned())));
    }
}

//! Lists: the keys first, page by page, and then what they are keys of.

use aws_sdk_dynamodb::{
    operation::query::builders::QueryFluentBuilder,
    types::{AttributeValue, KeysAndAttributes},
};

use super::{
    item::{Item, Reader, text},
    keys::{Key, Listing, PARTITION, Range, SORT},
    patience::Patience,
    table::Table,
    update::names_in,
};
use crate::store::StoreError;

/// What DynamoDB reads at once.
const BATCH: usize = 100;

/// Which of the keys are wanted: those whose items fulfil a condition.
pub(super) struct Wanted<'w> {
    pub(super) condition: &'w str,
    pub(super) values: Vec<(&'w str, AttributeValue)>,
}

impl Table {
    /// All sort keys of a listing without their prefix, in order.
    pub(super) async fn list(
        &self,
        listing: Listing,
        wanted: Option<Wanted<'_>>,
    ) -> Result<Vec<String>, StoreError> {
        let (mut names, mut after) = (Vec::new(), None);
        let query = self.query(&listing, wanted);
        loop {
            let page = query.clone().set_exclusive_start_key(after).send().await?;
            for item in page.items() {
                let name = Reader::new(item, "list").text(SORT)?.strip_prefix(listing.prefix);
                names.push(name.ok_or(StoreError::Damaged("list"))?.to_owned());
            }
            // A page may be empty, or end where nothing follows: only this tells the last one.
            after = page.last_evaluated_key;
            if after.is_none() {
                return Ok(names);
            }
        }
    }

    fn query(&self, listing: &Listing, wanted: Option<Wanted<'_>>) -> QueryFluentBuilder {
        let (condition, values) = wanted.map(|wanted| (wanted.condition, wanted.values)).unzip();
        let mut values = values.unwrap_or_default();
        values.push((":pk", text(&listing.partition)));
        // An empty text is no prefix to DynamoDB.
        let keys = if listing.prefix.is_empty() {
            "#pk = :pk"
        } else {
            values.push((":prefix", text(listing.prefix)));
            "#pk = :pk AND begins_with(#sk, :prefix)"
        };
        let names = names_in(&[keys, "#sk", condition.unwrap_or_default()]);
        let values = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        self.client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .key_condition_expression(keys)
            .set_filter_expression(condition.map(str::to_owned))
            .projection_expression("#sk")
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
            .set_limit(self.page_entries)
    }

    /// Some attributes of all items of a range, in order of their sort keys.
    pub(super) async fn range(
        &self,
        range: Range,
        attributes: &str,
    ) -> Result<Vec<Item>, StoreError> {
        let keys = "#pk = :pk AND #sk BETWEEN :first AND :last";
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .key_condition_expression(keys)
            .projection_expression(attributes)
            .set_expression_attribute_names(Some(names_in(&[keys, attributes])))
            .expression_attribute_values(":pk", text(&range.partition))
            .expression_attribute_values(":first", text(&range.first))
            .expression_attribute_values(":last", text(&range.last))
            .set_limit(self.page_entries);
        let (mut items, mut after) = (Vec::new(), None);
        loop {
            let page = query.clone().set_exclusive_start_key(after).send().await?;
            items.extend(page.items.unwrap_or_default());
            after = page.last_evaluated_key;
            if after.is_none() {
                return Ok(items);
            }
        }
    }

    /// The items of those keys, as far as they are there, in any order.
    pub(super) async fn read_all(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::new();
        for batch in keys.chunks(BATCH) {
            let mut left: Vec<Item> = batch.iter().map(Key::item).collect();
            let mut patience = Patience::new();
            while !left.is_empty() {
                left = self.read_some(left, &mut items).await?;
                if !left.is_empty() && !patience.pause().await {
                    return Err(StoreError::Busy("some items were left unread".into()));
                }
            }
        }
        Ok(items)
    }

    /// Reads as many as DynamoDB will at once; answers with the keys of the others.
    async fn read_some(
        &self,
        keys: Vec<Item>,
        items: &mut Vec<Item>,
    ) -> Result<Vec<Item>, StoreError> {
        let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true);
        let wanted = wanted.build().map_err(StoreError::unavailable)?;
        let read = self.client.batch_get_item().request_items(&self.name, wanted).send().await?;
        let responses = read.responses.unwrap_or_default();
        items.extend(responses.into_values().flatten());
        let left = read.unprocessed_keys.unwrap_or_default();
        Ok(left.into_values().flat_map(|left| left.keys).collect())
    }
}

/// Whether an item is the one of that key.
pub(super) fn is_of(item: &Item, key: &Key) -> bool {
    let is = |name, value: &str| item.get(name).is_some_and(|stored| *stored == text(value));
    is(PARTITION, &key.partition) && is(SORT, &key.sort)
}

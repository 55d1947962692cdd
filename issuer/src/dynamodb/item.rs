//! Attributes: how they are written, and read back without trust in what is there.

use std::collections::HashMap;

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};

use crate::{
    clock::Timestamp, domain::DomainName, secret::random_id, session::RefreshHash,
    store::StoreError, user::Username,
};

const WRITE_ID_BYTES: usize = 16;

/// An item, or a part of one.
pub(super) type Item = HashMap<String, AttributeValue>;

/// Tells one write from all others.
#[derive(Clone)]
pub(super) struct WriteId(String);

impl WriteId {
    pub(super) fn random() -> Self {
        Self(random_id(WRITE_ID_BYTES))
    }

    pub(super) fn value(&self) -> AttributeValue {
        text(&self.0)
    }

    /// Whether this write has left itself in that attribute.
    pub(super) fn stands_in(&self, item: Option<&Item>, attribute: &str) -> bool {
        let stored = item.and_then(|item| item.get(attribute)?.as_s().ok());
        stored == Some(&self.0)
    }
}

pub(super) fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

pub(super) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn binary(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

/// Puts attributes beside those that an item has.
pub(super) fn with<const N: usize>(mut item: Item, more: [(&str, AttributeValue); N]) -> Item {
    item.extend(more.into_iter().map(|(name, value)| (name.to_owned(), value)));
    item
}

/// Reads an item of one kind. What is missing or of another type is [`StoreError::Damaged`].
#[derive(Clone, Copy)]
pub(super) struct Reader<'i> {
    item: &'i Item,
    kind: &'static str,
}

impl<'i> Reader<'i> {
    pub(super) fn new(item: &'i Item, kind: &'static str) -> Self {
        Self { item, kind }
    }

    pub(super) fn damaged(self) -> StoreError {
        StoreError::Damaged(self.kind)
    }

    pub(super) fn text(self, name: &str) -> Result<&'i str, StoreError> {
        self.optional_text(name)?.ok_or_else(|| self.damaged())
    }

    pub(super) fn optional_text(self, name: &str) -> Result<Option<&'i str>, StoreError> {
        let text = |value: &'i AttributeValue| value.as_s().map_err(|_| self.damaged());
        Ok(self.item.get(name).map(text).transpose()?.map(String::as_str))
    }

    pub(super) fn number(self, name: &str) -> Result<u64, StoreError> {
        self.optional_number(name)?.ok_or_else(|| self.damaged())
    }

    pub(super) fn moment(self, name: &str) -> Result<Timestamp, StoreError> {
        self.number(name).map(Timestamp)
    }

    pub(super) fn optional_moment(self, name: &str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.optional_number(name)?.map(Timestamp))
    }

    pub(super) fn binary(self, name: &str) -> Result<&'i [u8], StoreError> {
        self.optional_binary(name)?.ok_or_else(|| self.damaged())
    }

    pub(super) fn hash(self, name: &str) -> Result<RefreshHash, StoreError> {
        self.optional_hash(name)?.ok_or_else(|| self.damaged())
    }

    pub(super) fn optional_hash(self, name: &str) -> Result<Option<RefreshHash>, StoreError> {
        let hash = |bytes: &[u8]| bytes.try_into().map(RefreshHash).map_err(|_| self.damaged());
        self.optional_binary(name)?.map(hash).transpose()
    }

    pub(super) fn domain_name(self, name: &str) -> Result<DomainName, StoreError> {
        self.text(name)?.parse().map_err(|_| StoreError::Damaged("domain name"))
    }

    pub(super) fn username(self, name: &str) -> Result<Username, StoreError> {
        self.text(name)?.parse().map_err(|_| StoreError::Damaged("username"))
    }

    pub(super) fn optional_number(self, name: &str) -> Result<Option<u64>, StoreError> {
        let number = |value: &AttributeValue| value.as_n().ok().and_then(|text| text.parse().ok());
        let number = |value: &AttributeValue| number(value).ok_or_else(|| self.damaged());
        self.item.get(name).map(number).transpose()
    }

    fn optional_binary(self, name: &str) -> Result<Option<&'i [u8]>, StoreError> {
        let binary = |value: &'i AttributeValue| value.as_b().map_err(|_| self.damaged());
        Ok(self.item.get(name).map(binary).transpose()?.map(AsRef::as_ref))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_of_another_type_is_damaged_and_not_shown() {
        let values = [("name", text("-7")), ("time", number(7)), ("hash", binary(&[1; 31]))];
        let item = with(Item::new(), values);
        let reader = Reader::new(&item, "thing");
        let refused = [
            reader.text("time").err(),
            reader.text("none").err(),
            reader.number("name").err(),
            reader.moment("hash").err(),
            reader.hash("hash").err(),
            reader.optional_hash("name").err(),
            reader.binary("time").err(),
        ];
        for error in refused {
            assert_eq!(error.unwrap().to_string(), "stored thing is damaged");
        }
        assert_eq!(reader.optional_moment("none").unwrap(), None);
        assert_eq!(reader.number("time").unwrap(), 7);
    }

    #[test]
    fn a_number_that_is_none_of_ours_is_damaged() {
        for digits in ["-1", "1.5", "1e3", "18446744073709551616"] {
            let value = [("time", AttributeValue::N(digits.to_owned()))];
            let item = with(Item::new(), value);
            assert!(Reader::new(&item, "thing").number("time").is_err(), "{digits}");
        }
    }
}

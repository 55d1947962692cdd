//! The calls to Secrets Manager, each as its documentation promises it.

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    types::RotationRulesType,
};
use zeroize::Zeroizing;

use super::document::{Document, text};
use crate::{clock::Timestamp, key_set::KeySet, secret::SecretBytes, store::StoreError};

/// The label of the version that counts.
pub(crate) const CURRENT: &str = "AWSCURRENT";
/// The label of the version that a rotation is making.
pub(crate) const PENDING: &str = "AWSPENDING";
/// The label that Secrets Manager gives to what was current before.
pub(super) const PREVIOUS: &str = "AWSPREVIOUS";

const NOT_FOUND: &str = "ResourceNotFoundException";
const EXISTS: &str = "ResourceExistsException";

/// All secrets whose names begin with one prefix.
pub(crate) struct Secrets {
    client: Client,
    prefix: String,
}

/// One of them, by name or ARN.
pub(crate) struct Secret {
    client: Client,
    id: String,
}

/// A version of a secret.
pub(crate) struct Version {
    pub(crate) id: String,
    pub(crate) document: Document,
}

/// What is known of a secret besides its value.
pub(crate) struct Description {
    pub(crate) name: String,
    pub(crate) rotates: bool,
    pub(crate) last_rotated: Option<Timestamp>,
    labels: HashMap<String, Vec<String>>,
}

impl Secrets {
    pub(crate) fn new(config: &SdkConfig, prefix: String) -> Self {
        Self { client: Client::new(config), prefix }
    }

    /// The secret of a key set.
    pub(crate) fn of(&self, key_set_id: &str) -> Secret {
        self.at(format!("{}{key_set_id}", self.prefix))
    }

    /// A secret as someone else calls it: not necessarily one with the prefix.
    pub(crate) fn at(&self, id: String) -> Secret {
        Secret { client: self.client.clone(), id }
    }

    /// What `name` says behind the prefix.
    pub(crate) fn key_set_id<'n>(&self, name: &'n str) -> Option<&'n str> {
        name.strip_prefix(&self.prefix)
    }
}

impl Secret {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The version that counts, if the secret exists and has one.
    pub(crate) async fn current(&self) -> Result<Option<Version>, StoreError> {
        self.read(None).await
    }

    /// The value of a version, if it has one yet.
    pub(crate) async fn version(&self, id: &str) -> Result<Option<Document>, StoreError> {
        Ok(self.read(Some(id)).await?.map(|version| version.document))
    }

    /// `AWSCURRENT` is always asked for: the default is not the same everywhere.
    async fn read(&self, version: Option<&str>) -> Result<Option<Version>, StoreError> {
        let request = self.client.get_secret_value().secret_id(&self.id);
        let request = match version {
            Some(id) => request.version_id(id),
            None => request.version_stage(CURRENT),
        };
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if code_of(&error) == Some(NOT_FOUND) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let value = Zeroizing::new(answer.secret_string.unwrap_or_default());
        let id = answer.version_id.ok_or(StoreError::Damaged("secret"))?;
        Ok(Some(Version { id, document: Document::parse(&value)? }))
    }

    pub(crate) async fn describe(&self) -> Result<Option<Description>, StoreError> {
        let answer = match self.client.describe_secret().secret_id(&self.id).send().await {
            Ok(answer) => answer,
            Err(error) if code_of(&error) == Some(NOT_FOUND) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let last_rotated = answer.last_rotated_date.and_then(|date| date.secs().try_into().ok());
        Ok(Some(Description {
            name: answer.name.ok_or(StoreError::Damaged("secret"))?,
            rotates: answer.rotation_enabled == Some(true),
            last_rotated: last_rotated.map(Timestamp),
            labels: answer.version_ids_to_stages.unwrap_or_default(),
        }))
    }

    /// Makes the secret, or answers that there is one of the name.
    pub(super) async fn create(&self, key_set: &KeySet) -> Result<bool, StoreError> {
        // A call that is sent again because its answer was lost succeeds: it has the same token.
        let request = self.client.create_secret().name(&self.id).client_request_token(version_id());
        let request = request.description("The signing keys of a domain, kept by Postern");
        match request.secret_string(text(key_set)?.as_str()).send().await {
            Ok(_) => Ok(true),
            Err(error) if code_of(&error) == Some(EXISTS) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Adds the version `id` with a label that is not `AWSCURRENT`.
    pub(crate) async fn put(
        &self,
        id: &str,
        key_set: &KeySet,
        label: &str,
    ) -> Result<(), StoreError> {
        let request = self.client.put_secret_value().secret_id(&self.id).client_request_token(id);
        let request = request.version_stages(label).secret_string(text(key_set)?.as_str());
        request.send().await?;
        Ok(())
    }

    /// Makes the version `id` the current one instead of `replaced`. Secrets Manager refuses when
    /// the label is elsewhere, and moves `AWSPREVIOUS` along.
    pub(super) async fn move_current(&self, id: &str, replaced: &str) -> Result<(), StoreError> {
        let request = self.client.update_secret_version_stage().secret_id(&self.id);
        let request = request.version_stage(CURRENT).move_to_version_id(id);
        request.remove_from_version_id(replaced).send().await?;
        Ok(())
    }

    /// Takes a label off a version. One without labels cannot be found by readers any more, and
    /// Secrets Manager deletes it in time.
    pub(crate) async fn remove_label(&self, label: &str, version: &str) -> Result<(), StoreError> {
        let request = self.client.update_secret_version_stage().secret_id(&self.id);
        request.version_stage(label).remove_from_version_id(version).send().await?;
        Ok(())
    }

    pub(super) async fn schedule_rotation(
        &self,
        function_arn: &str,
        days: u16,
    ) -> Result<(), StoreError> {
        let rules = RotationRulesType::builder().automatically_after_days(days.into()).build();
        let request = self.client.rotate_secret().secret_id(&self.id);
        let request = request.rotation_lambda_arn(function_arn).rotation_rules(rules);
        request.rotate_immediately(false).send().await?;
        Ok(())
    }
}

impl Version {
    pub(super) fn holds_key_set(&self) -> bool {
        matches!(self.document, Document::KeySet(_))
    }

    pub(super) fn into_key_set(self) -> Option<KeySet> {
        match self.document {
            Document::KeySet(key_set) => Some(*key_set),
            Document::Placeholder { .. } => None,
        }
    }
}

impl Description {
    /// Whether that version has that label.
    pub(crate) fn has(&self, version: &str, label: &str) -> bool {
        self.labels.get(version).is_some_and(|labels| labels.iter().any(|found| found == label))
    }

    /// Whether that version has any label at all.
    pub(crate) fn knows(&self, version: &str) -> bool {
        self.labels.get(version).is_some_and(|labels| !labels.is_empty())
    }

    /// Every label and the version that has it.
    pub(super) fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().flat_map(|(version, labels)| {
            labels.iter().map(move |label| (label.as_str(), version.as_str()))
        })
    }
}

fn code_of<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

/// A random UUID (RFC 9562, version 4), which AWS recommends for the ids of versions.
pub(super) fn version_id() -> String {
    let random = SecretBytes::random(16);
    let mut text = String::with_capacity(36);
    for (index, byte) in random.expose().iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let byte = match index {
            6 => byte & 0x0f | 0x40,
            8 => byte & 0x3f | 0x80,
            _ => *byte,
        };
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_ids_are_random_uuids() {
        let (id, other) = (version_id(), version_id());
        assert_ne!(id, other);
        assert_eq!(id.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_eq!(&id[14..15], "4");
        assert!("89ab".contains(&id[19..20]));
    }
}

//! What a rotation is about: one version of one domain's secret.

use super::{RotationEvent, RotationFailure, SecretRotation};
use crate::{
    clock::Timestamp,
    domain::{Domain, DomainName},
    secrets_manager::{CURRENT, Document, PENDING, Secret, Version},
    store::StoreError,
};

pub(super) struct Subject {
    pub(super) secret: Secret,
    /// The secret's name.
    pub(super) name: String,
    /// Whose keys it holds.
    pub(super) domain: DomainName,
    /// The version that the rotation makes.
    pub(super) version: String,
    /// Whether that is the current one already.
    pub(super) is_promoted: bool,
    pub(super) last_rotated: Option<Timestamp>,
}

impl SecretRotation {
    /// What the event is about, if it is any of ours and the version is the one that a rotation has
    /// to do with.
    pub(super) async fn subject(&self, event: &RotationEvent) -> Result<Subject, RotationFailure> {
        let secret = self.secrets.at(event.secret_id.clone());
        let unknown = || RotationFailure::UnknownSecret(event.secret_id.clone());
        let described = secret.describe().await?.ok_or_else(unknown)?;
        let (name, version) = (described.name.clone(), event.client_request_token.clone());
        // An ARN ends otherwise than the name.
        let domain = self.secrets.key_set_id(&name).and_then(|id| id.parse().ok());
        let domain = domain.ok_or_else(|| RotationFailure::ForeignSecret(name.clone()))?;
        if !described.rotates {
            return Err(RotationFailure::Disabled(name));
        }
        if !described.knows(&version) {
            return Err(RotationFailure::UnknownVersion(name));
        }
        let is_promoted = described.has(&version, CURRENT);
        if !is_promoted && !described.has(&version, PENDING) {
            return Err(RotationFailure::WrongVersion(name));
        }
        let last_rotated = described.last_rotated;
        Ok(Subject { secret, name, domain, version, is_promoted, last_rotated })
    }

    /// The domain whose keys are in the secret.
    pub(super) async fn domain_of(&self, subject: &Subject) -> Result<Domain, RotationFailure> {
        let domain = self.store.domain(&subject.domain).await?;
        let domain = domain.filter(|domain| domain.key_set.as_str() == subject.domain.as_str());
        domain.ok_or_else(|| RotationFailure::UnknownDomain(subject.domain.clone()))
    }
}

impl Subject {
    pub(super) async fn current(&self) -> Result<Version, RotationFailure> {
        let current = self.secret.current().await?;
        current.ok_or_else(|| self.no_value("current"))
    }

    /// The value of the pending version, if it has one by now.
    pub(super) async fn pending(&self) -> Result<Option<Document>, RotationFailure> {
        match self.secret.version(&self.version).await {
            Err(StoreError::Damaged(_)) => {
                Err(self.abandoned(RotationFailure::Misfit("it cannot be read")).await)
            }
            outcome => Ok(outcome?),
        }
    }

    pub(super) fn no_value(&self, version: &'static str) -> RotationFailure {
        RotationFailure::NoValue { secret: self.name.clone(), version }
    }

    /// Ends the rotation if `failure` says that it never can be finished: while a version is
    /// pending, Secrets Manager starts no other.
    pub(super) async fn abandoned(&self, failure: RotationFailure) -> RotationFailure {
        if failure.is_final()
            && let Err(error) = self.secret.remove_label(PENDING, &self.version).await
        {
            tracing::warn!(%error, secret = self.name, "the rotation is refused and stays pending");
        }
        failure
    }
}

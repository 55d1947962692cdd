//! The rotation function of Secrets Manager: the four steps that make the next key sign.

mod failure;
mod steps;
mod subject;

use std::sync::Arc;

use aws_config::SdkConfig;
use serde::Deserialize;

pub use self::failure::RotationFailure;
use crate::{clock::Clock, secrets_manager::Secrets, store::Store};

/// What Secrets Manager calls the rotation function with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RotationEvent {
    /// What is to be done.
    pub step: RotationStep,
    /// The secret's ARN, or its name.
    pub secret_id: String,
    /// The id of the version that the rotation makes.
    pub client_request_token: String,
}

/// The steps of a rotation, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RotationStep {
    /// Makes the new key set.
    CreateSecret,
    /// Would tell others of it: there is nobody to tell, since edges fetch.
    SetSecret,
    /// Makes sure that the new key set works, and that no edge lacks the key that is to sign.
    TestSecret,
    /// Makes it the current one.
    FinishSecret,
}

/// Rotates the key sets that [`SecretsManager`](crate::SecretsManager) keeps.
///
/// A step may be run again at any time, whatever an earlier run of it has done or not. What was
/// made by `createSecret` can be promoted by `finishSecret` within 15 minutes, and no later.
pub struct SecretRotation {
    secrets: Secrets,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl SecretRotation {
    /// For the secrets whose names begin with `prefix`. The domains' settings are read from `store`,
    /// which is also told of each new generation.
    #[must_use]
    pub fn new(
        config: &SdkConfig,
        prefix: String,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { secrets: Secrets::new(config, prefix), store, clock }
    }

    /// Carries out one step.
    ///
    /// # Errors
    ///
    /// [`RotationFailure`]: why the rotation stops here. Nothing of it counts then, unless it was
    /// the end of `finishSecret` that failed, which another run completes.
    pub async fn handle(&self, event: &RotationEvent) -> Result<(), RotationFailure> {
        let subject = self.subject(event).await?;
        match event.step {
            RotationStep::FinishSecret => self.finish(&subject).await?,
            // It was finished before.
            _ if subject.is_promoted => return Ok(()),
            RotationStep::CreateSecret => self.create(&subject).await?,
            RotationStep::SetSecret => self.set(&subject).await?,
            RotationStep::TestSecret => self.test(&subject).await?,
        }
        tracing::info!(secret = subject.name, step = ?event.step, "a step of a rotation is done");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_as_secrets_manager_writes_them() {
        let steps = ["createSecret", "setSecret", "testSecret", "finishSecret"];
        let read = steps.map(|step| {
            let event = serde_json::json!({
                "Step": step,
                "SecretId": "arn:aws:secretsmanager:eu-central-1:1:secret:postern/shop-a1b2c3",
                "ClientRequestToken": "d3b0c5b4-5a53-4f4b-9f3c-0a8f4e6f7a10",
                "RotationToken": "of a role that this function does not take",
            });
            serde_json::from_value::<RotationEvent>(event).unwrap().step
        });
        use RotationStep::{CreateSecret, FinishSecret, SetSecret, TestSecret};
        assert_eq!(read, [CreateSecret, SetSecret, TestSecret, FinishSecret]);
        let unknown = serde_json::json!({
            "Step": "dropSecret", "SecretId": "postern/shop", "ClientRequestToken": "1"
        });
        assert!(serde_json::from_value::<RotationEvent>(unknown).is_err());
    }
}

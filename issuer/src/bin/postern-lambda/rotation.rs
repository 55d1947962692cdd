//! The rotation function of Secrets Manager.

use std::sync::Arc;

use lambda_runtime::{LambdaEvent, service_fn};
use postern_issuer::{DynamoDb, RotationEvent, SecretRotation, SystemClock, aws};
use serde_json::Value;

use crate::{failure::Failure, initialisation::Initialisation, variables};

/// Carries out steps of rotations.
pub(crate) async fn run(initialisation: Initialisation) -> Result<(), lambda_runtime::Error> {
    let (table, prefix) = match settings() {
        Ok(settings) => settings,
        Err(error) => return Err(initialisation.fail(&error).await),
    };
    let config = aws::sdk_config().await;
    let store = Arc::new(DynamoDb::new(&config, table));
    let rotation = SecretRotation::new(&config, prefix, store, Arc::new(SystemClock));
    let rotation = Arc::new(rotation);
    let handle = move |event| {
        let rotation = Arc::clone(&rotation);
        async move { answer(&rotation, event).await }
    };
    lambda_runtime::run(service_fn(handle)).await
}

fn settings() -> Result<(String, String), String> {
    Ok((variables::needed("POSTERN_TABLE")?, variables::needed("POSTERN_SECRET_PREFIX")?))
}

async fn answer(rotation: &SecretRotation, event: LambdaEvent<Value>) -> Result<(), Failure> {
    let refused = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "a step of a rotation failed");
        Failure::new("Postern.Rotation", &error)
    };
    let event: RotationEvent = serde_json::from_value(event.payload)
        .map_err(|_| refused(&"the event is not one of a rotation"))?;
    rotation.handle(&event).await.map_err(|error| refused(&error))
}

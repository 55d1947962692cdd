//! The Lambda authorizer of API Gateway.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lambda_runtime::{LambdaEvent, service_fn};
use postern_issuer::authorizer::{Authorizer, AuthorizerError, Settings, SettingsError};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::{failure::Failure, initialisation::Initialisation, variables};

/// Decides on requests.
pub(crate) async fn run(initialisation: Initialisation) -> Result<(), lambda_runtime::Error> {
    let mut authorizer = match authorizer() {
        Ok(authorizer) => authorizer,
        Err(error) => return Err(initialisation.fail(&error).await),
    };
    // An issuer that does not answer now may later.
    authorizer.fetch_keys().await;
    let authorizer = Arc::new(Mutex::new(authorizer));
    let decide = move |event| {
        let authorizer = Arc::clone(&authorizer);
        async move { answer(&authorizer, event).await }
    };
    lambda_runtime::run(service_fn(decide)).await
}

fn authorizer() -> Result<Authorizer, SettingsError> {
    Authorizer::new(Settings::read(variables::optional)?, now)
}

async fn answer(
    authorizer: &Mutex<Authorizer>,
    event: LambdaEvent<Value>,
) -> Result<Value, Failure> {
    let answer = authorizer.lock().await.answer(&event.payload).await;
    answer.map_err(|error| match error {
        // Whose reason the gate has told.
        AuthorizerError::Unauthorized { .. } | AuthorizerError::KeysUnavailable => {
            Failure::new("Postern.Denied", &error)
        }
        error => {
            tracing::error!(%error, "event refused");
            Failure::new("Postern.Event", &error)
        }
    })
}

fn now() -> Duration {
    // A clock set before 1970 reads as 0; every token is then in the future, so refused.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

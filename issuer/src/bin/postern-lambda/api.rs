//! The issuer behind API Gateway.

use std::{sync::Arc, time::Duration};

use axum::{Router, http::HeaderName};
use lambda_runtime::{LambdaEvent, service_fn};
use postern_issuer::{
    DomainName, Issuer, IssuerUrl, KeySetId, Origin, Store, SystemClock, Vault, aws::Aws, lambda,
    router,
};
use serde_json::Value;
use tokio::{join, time::timeout};

use crate::{failure::Failure, initialisation::Initialisation, variables};

/// How long the first event may be held up by connections that do not come about.
const WARM_UP_LIMIT: Duration = Duration::from_secs(1);
/// A name that is looked up for the sake of the connection.
const NOBODY: &str = "postern-warm-up";

/// What the function is set up with.
struct Settings {
    table: String,
    secret_prefix: String,
    url: IssuerUrl,
    token_header: HeaderName,
    origins: Vec<Origin>,
}

impl Settings {
    fn read() -> Result<Self, String> {
        let url = variables::needed("POSTERN_ISSUER_URL")?;
        let header = variables::optional("POSTERN_TOKEN_HEADER");
        let origins = variables::optional("POSTERN_ALLOW_ORIGIN").unwrap_or_default();
        let origins = origins.split(',').map(str::trim).filter(|origin| !origin.is_empty());
        Ok(Self {
            table: variables::needed("POSTERN_TABLE")?,
            secret_prefix: variables::needed("POSTERN_SECRET_PREFIX")?,
            url: variables::parsed("POSTERN_ISSUER_URL", &url)?,
            token_header: variables::parsed(
                "POSTERN_TOKEN_HEADER",
                header.as_deref().unwrap_or("authorization"),
            )?,
            origins: origins
                .map(|origin| variables::parsed("POSTERN_ALLOW_ORIGIN", origin))
                .collect::<Result<_, _>>()?,
        })
    }
}

/// Answers requests.
pub(crate) async fn run(initialisation: Initialisation) -> Result<(), lambda_runtime::Error> {
    let settings = match Settings::read() {
        Ok(settings) => settings,
        Err(error) => return Err(initialisation.fail(&error).await),
    };
    let aws = Aws::connect(settings.table, settings.secret_prefix).await;
    let ports = aws.ports(Arc::new(SystemClock));
    warm_up(ports.store.as_ref(), ports.vault.as_ref()).await;
    let issuer = Issuer::new(ports, settings.url);
    let router = router(Arc::new(issuer), settings.token_header, &settings.origins);
    lambda_runtime::run(service_fn(move |event| answer(router.clone(), event))).await
}

async fn answer(router: Router, event: LambdaEvent<Value>) -> Result<Value, Failure> {
    let answer = lambda::answer(router, &event.payload).await;
    answer.map_err(|error| {
        tracing::error!(%error, "event refused");
        Failure::new("Postern.Event", &error)
    })
}

/// Opens the connections that the first request needs. What fails here may work by then.
async fn warm_up(store: &dyn Store, vault: &dyn Vault) {
    let Ok(nobody) = NOBODY.parse::<DomainName>() else { return };
    let key_set = vault.id_for(&nobody);
    let connections = async { join!(store.domain(&nobody), warm_up_vault(vault, &key_set)) };
    match timeout(WARM_UP_LIMIT, connections).await {
        Ok((Ok(_), ())) => {}
        Ok((Err(error), ())) => tracing::warn!(%error, "the store is not warm"),
        Err(_) => tracing::warn!("the storage is not warm: no answer in time"),
    }
}

/// That there is no such secret, or that it may not be read, is an answer.
async fn warm_up_vault(vault: &dyn Vault, nobody: &KeySetId) {
    let _ = vault.key_set(nobody).await;
}

//! The time before the first event, and its failures.

use std::{fmt::Display, time::Duration};

use axum::{body::Body, http::Request};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::json;
use tokio::time::timeout;

use crate::variables;

const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";
const MEMORY: &str = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";
/// What Lambda tells every function, and what its runtime's client asks for.
const ALWAYS_SET: [&str; 3] = ["AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION", MEMORY];
const REPORT_LIMIT: Duration = Duration::from_secs(1);

/// A function that takes no events yet.
pub(crate) struct Initialisation {
    runtime_api: String,
}

impl Initialisation {
    /// Makes sure that Lambda has started the process: its client would panic otherwise.
    pub(crate) fn begin() -> Result<Self, String> {
        let not_lambda = |error| format!("this is not Lambda: {error}");
        let runtime_api = variables::needed(RUNTIME_API).map_err(not_lambda)?;
        for name in ALWAYS_SET {
            let value = variables::needed(name).map_err(not_lambda)?;
            if name == MEMORY {
                variables::parsed::<i32>(name, &value).map_err(not_lambda)?;
            }
        }
        Ok(Self { runtime_api })
    }

    /// Tells Lambda that there will be no function, and why; so its caller and its log say it.
    pub(crate) async fn fail(&self, reason: &impl Display) -> lambda_runtime::Error {
        let reason = reason.to_string();
        // The process says it, too, and its end is what counts.
        let _ = timeout(REPORT_LIMIT, self.report(&reason)).await;
        reason.into()
    }

    async fn report(&self, reason: &str) -> Option<()> {
        let client: Client<HttpConnector, Body> =
            Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        let body = json!({
            "errorMessage": reason,
            "errorType": "Postern.InitError",
            "stackTrace": [],
        });
        // With or without a scheme, as the runtime's own client takes it.
        let address = self.runtime_api.trim_start_matches("http://");
        let request = Request::post(format!("http://{address}/2018-06-01/runtime/init/error"))
            .header("content-type", "application/json")
            .header("lambda-runtime-function-error-type", "Postern.InitError")
            .body(Body::from(body.to_string()))
            .ok()?;
        client.request(request).await.ok().map(|_| ())
    }
}

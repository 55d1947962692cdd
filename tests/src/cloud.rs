//! The issuer on AWS, emulated: its functions behind API Gateway, its table, its secrets and their
//! rotation.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::issuer::run_postern;
use crate::{
    Client, Failure, FunctionServer, HttpApi, LambdaFunction, MiniStack, Moto, Protocol, Request,
};

const TABLE: &str = "postern-prod";
const SECRET_PREFIX: &str = "postern/prod/";
/// What rotates the domains' keys.
const ROTATION: &str = "arn:aws:lambda:us-east-1:000000000000:function:postern-rotation";
/// What AWS's tools send; the emulator reads the names of the region and the service in it.
const SIGNATURE: &str = "AWS4-HMAC-SHA256 \
     Credential=test/20260101/us-east-1/secretsmanager/aws4_request, \
     SignedHeaders=host, Signature=0";

/// DynamoDB, Lambda and API Gateway of `MiniStack`, Secrets Manager of moto, and the rotation function
/// under Amazon's emulator of the Lambda runtime.
#[derive(Debug)]
pub struct Cloud {
    /// The API: the issuer, and a service behind the authorizer.
    pub api: HttpApi,
    stack: MiniStack,
    moto: Moto,
    _rotation: FunctionServer,
    _folder: TempDir,
}

impl Cloud {
    /// Starts all of it, with no domain yet. Requests for `/orders` go to `upstream` where the
    /// authorizer of `domain` lets them.
    ///
    /// # Errors
    /// When something is missing or does not start.
    pub async fn start(upstream: u16, domain: &str) -> Result<Self, Failure> {
        let folder = TempDir::new().map_err(Failure::while_doing("a folder for functions"))?;
        let stack = MiniStack::start().await?;
        // The function is told where the secrets are, and they where the function is.
        let function = Arc::new(OnceLock::<LambdaFunction>::new());
        let called = Arc::clone(&function);
        let rotation = FunctionServer::start(move |event| {
            let called = Arc::clone(&called);
            async move { invoke(called.get(), &event).await }
        });
        let rotation = rotation.await?;
        let moto = Moto::start(&rotation.url()).await?;
        let variables = variables(&stack, &moto);
        let started = LambdaFunction::start(folder.path(), "rotation", variables).await?;
        function.set(started).map_err(|_| Failure::new("two rotation functions"))?;
        let api = HttpApi::create(&stack).await?;
        let cloud = Self { api, stack, moto, _rotation: rotation, _folder: folder };
        cloud.postern(&["table", "create"], "")?;
        cloud.deploy(upstream, domain).await?;
        Ok(cloud)
    }

    /// The port of the emulator of API Gateway.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.stack.address().port()
    }

    /// Runs `postern --aws` and returns what it prints.
    ///
    /// # Errors
    /// When the command fails.
    pub fn postern(&self, arguments: &[&str], input: &str) -> Result<String, Failure> {
        let variables = variables(&self.stack, &self.moto);
        run_postern(&[arguments, &["--aws"]].concat(), &variables, input)
    }

    /// Has Secrets Manager rotate a domain's keys now, by the four steps.
    ///
    /// # Errors
    /// When a step fails.
    pub async fn rotate(&self, domain: &str) -> Result<(), Failure> {
        let body = json!({
            "SecretId": format!("{SECRET_PREFIX}{domain}"),
            "RotationLambdaARN": ROTATION,
            "RotationRules": {"AutomaticallyAfterDays": 30},
        });
        let address = self.moto.url().trim_start_matches("http://").parse::<SocketAddr>();
        let address = address.map_err(|_| Failure::new("moto has no address"))?;
        let request = Request::post("/", &body)
            .header("x-amz-target", "secretsmanager.RotateSecret")
            .header("authorization", SIGNATURE);
        let answer = Client::new(Protocol::Http1, address).send(request).await?;
        if answer.status == 200 {
            return Ok(());
        }
        Err(Failure::new(format!("RotateSecret: {} {}", answer.status, answer.body)))
    }

    async fn deploy(&self, upstream: u16, domain: &str) -> Result<(), Failure> {
        let issuer_url = ("POSTERN_ISSUER_URL", self.api.url());
        let mut api = variables(&self.stack, &self.moto);
        api.push(issuer_url.clone());
        self.api.postern("api", object(api)).await?;
        self.api.route("$default", "api", None).await?;
        let authorizer = vec![issuer_url, ("POSTERN_DOMAIN", domain.to_owned())];
        self.api.postern("authorizer", object(authorizer)).await?;
        let simple = object(vec![("enableSimpleResponses", true)]);
        let authorizer = self.api.authorizer("2.0", simple).await?;
        let orders = json!({
            "integrationType": "HTTP_PROXY",
            "integrationMethod": "GET",
            "integrationUri": format!("http://127.0.0.1:{upstream}"),
            "payloadFormatVersion": "1.0",
        });
        self.api.route_to("GET /orders", &orders, Some(&authorizer)).await
    }
}

pub(crate) fn variables(stack: &MiniStack, moto: &Moto) -> Vec<(&'static str, String)> {
    let mut variables = stack.environment().to_vec();
    variables.retain(|(name, _)| *name != "AWS_ENDPOINT_URL_SECRETS_MANAGER");
    variables.push(("AWS_ENDPOINT_URL_SECRETS_MANAGER", moto.url().to_owned()));
    variables.push(("POSTERN_TABLE", TABLE.to_owned()));
    variables.push(("POSTERN_SECRET_PREFIX", SECRET_PREFIX.to_owned()));
    variables
}

fn object<T: Into<Value>>(members: Vec<(&str, T)>) -> Map<String, Value> {
    members.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

async fn invoke(function: Option<&LambdaFunction>, event: &Value) -> Result<Value, String> {
    let function = function.ok_or("the function has not started yet")?;
    let answer = function.invoke(event).await.map_err(|failure| failure.to_string())?;
    match answer.get("errorMessage") {
        Some(message) => Err(message.as_str().unwrap_or_default().to_owned()),
        None => Ok(answer),
    }
}

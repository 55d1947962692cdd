//! An HTTP API of `MiniStack`, with functions of the built program behind it.

use std::path::Path;
use std::process::{Command, Stdio};

use base64ct::{Base64, Encoding};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::{Client, Failure, MiniStack, Protocol, Request, Response, aws_tool, lambda_program};

/// Where things are that are created without a signature.
const REGION: &str = "us-east-1";
const ACCOUNT: &str = "000000000000";
/// The stage of every API here: a part of its URL, and of no path that the functions see.
const STAGE: &str = "prod";

/// An HTTP API with one stage, `prod`.
#[derive(Debug)]
pub struct HttpApi {
    client: Client,
    stack: String,
    id: String,
    folder: TempDir,
}

impl HttpApi {
    /// One without routes.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub async fn create(stack: &MiniStack) -> Result<Self, Failure> {
        let folder = TempDir::new().map_err(Failure::while_doing("a folder for packages"))?;
        let client = Client::new(Protocol::Http1, stack.address());
        let mut api = Self { client, stack: stack.url(), id: String::new(), folder };
        let created = json!({"name": "postern", "protocolType": "HTTP"});
        api.id = member(&api.post("/v2/apis", &created).await?, "apiId")?;
        api.add("stages", &json!({"stageName": STAGE, "autoDeploy": true})).await?;
        Ok(api)
    }

    /// Where the emulator has a path of the API.
    #[must_use]
    pub fn target(&self, path: &str) -> String {
        format!("/_aws/execute-api/{}/{STAGE}{path}", self.id)
    }

    /// The URL of the stage.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}{}", self.stack, self.target(""))
    }

    /// Sends a request whose target is a path of the API.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(&self, request: Request) -> Result<Response, Failure> {
        let target = self.target(&request.target);
        self.client.send(Request { target, ..request }).await
    }

    /// Adds something to the API: a kind of its resources, and what it is to be.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub async fn add(&self, kind: &str, what: &Value) -> Result<Value, Failure> {
        self.post(&format!("/v2/apis/{}/{kind}", self.id), what).await
    }

    /// Creates a function of a file, which becomes all of its package.
    ///
    /// # Errors
    /// When it cannot be packaged or the emulator refuses.
    pub async fn function(
        &self,
        name: &str,
        runtime: &str,
        handler: &str,
        file: &Path,
        variables: Map<String, Value>,
    ) -> Result<(), Failure> {
        let function = json!({
            "FunctionName": name, "Runtime": runtime, "Handler": handler, "Timeout": 10,
            "Role": format!("arn:aws:iam::{ACCOUNT}:role/postern"),
            "Code": {"ZipFile": zip(self.folder.path(), file)?},
            "Environment": {"Variables": variables},
        });
        self.post("/2015-03-31/functions", &function).await.map(drop)
    }

    /// Creates a function of the built program, in the role that `handler` names and with that name.
    ///
    /// # Errors
    /// As [`HttpApi::function`], or when the program does not build.
    pub async fn postern(
        &self,
        handler: &str,
        variables: Map<String, Value>,
    ) -> Result<(), Failure> {
        let file = self.folder.path().join("bootstrap");
        // Not the program itself: as it is built for tests, it is too large to be posted.
        let script = format!("#!/bin/sh\nexec '{}'\n", lambda_program()?.display());
        std::fs::write(&file, script).map_err(Failure::while_doing("a package for Lambda"))?;
        self.function(handler, "provided.al2023", handler, &file, variables).await
    }

    /// Routes to a function.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub async fn route(
        &self,
        key: &str,
        function: &str,
        authorizer: Option<&str>,
    ) -> Result<(), Failure> {
        let integration = json!({
            "integrationType": "AWS_PROXY", "payloadFormatVersion": "2.0",
            "integrationUri": function_arn(function),
        });
        self.route_to(key, &integration, authorizer).await
    }

    /// Routes to an integration, as API Gateway describes it.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub async fn route_to(
        &self,
        key: &str,
        integration: &Value,
        authorizer: Option<&str>,
    ) -> Result<(), Failure> {
        let integration = member(&self.add("integrations", integration).await?, "integrationId")?;
        let mut route = Map::new();
        route.insert("routeKey".to_owned(), json!(key));
        route.insert("target".to_owned(), json!(format!("integrations/{integration}")));
        if let Some(authorizer) = authorizer {
            route.insert("authorizationType".to_owned(), json!("CUSTOM"));
            route.insert("authorizerId".to_owned(), json!(authorizer));
        }
        self.add("routes", &Value::Object(route)).await.map(drop)
    }

    /// Adds an authorizer that asks the function `authorizer`, and answers with its id.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub async fn authorizer(
        &self,
        version: &str,
        changes: Map<String, Value>,
    ) -> Result<String, Failure> {
        let function = function_arn("authorizer");
        let uri = format!(
            "arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{function}/invocations"
        );
        let mut authorizer = json!({
            "name": format!("authorizer-{version}"),
            "authorizerType": "REQUEST",
            "authorizerPayloadFormatVersion": version,
            "authorizerUri": uri,
            "identitySource": ["$request.header.Authorization"],
            "authorizerResultTtlInSeconds": 300,
        });
        if let Some(members) = authorizer.as_object_mut() {
            members.extend(changes);
        }
        member(&self.add("authorizers", &authorizer).await?, "authorizerId")
    }

    async fn post(&self, target: &str, what: &Value) -> Result<Value, Failure> {
        let answer = self.client.send(Request::post(target, what)).await?;
        if !matches!(answer.status, 200 | 201) {
            return Err(Failure::new(format!("{target}: {} {}", answer.status, answer.body)));
        }
        serde_json::from_str(&answer.body).map_err(Failure::while_doing("an answer of AWS"))
    }
}

fn member(created: &Value, name: &str) -> Result<String, Failure> {
    let text = created.get(name).and_then(Value::as_str).map(str::to_owned);
    text.ok_or_else(|| Failure::new(format!("no `{name}` in {created}")))
}

fn function_arn(name: &str) -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}")
}

fn zip(folder: &Path, file: &Path) -> Result<String, Failure> {
    let failed = || Failure::while_doing("a package for Lambda");
    let package = folder.join("package.zip");
    let mut zip = Command::new(aws_tool("python")?);
    zip.args(["-m", "zipfile", "-c"]).arg(&package).arg(file).stdin(Stdio::null());
    if !zip.status().map_err(failed())?.success() {
        return Err(Failure::new("python cannot make a zip"));
    }
    Ok(Base64::encode_string(&std::fs::read(&package).map_err(failed())?))
}

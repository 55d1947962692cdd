//! The whole of it: an HTTP API of `MiniStack` in front of the issuer and of a service, with the
//! authorizer between; all three run as the programs that Lambda would run.

use std::path::Path;
use std::process::Command;

use base64ct::{Base64, Encoding};
use postern_tests::{Client, MiniStack, Protocol, Request, Response, aws_tool, lambda_program};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::lambda::api::{PASSWORD, PREFIX, TABLE, shop};

const REGION: &str = "eu-central-1";
const ACCOUNT: &str = "000000000000";
const STAGE: &str = "prod";
/// A service that tells what the authorizer has told it.
const SERVICE: &str = "import json\n\
    def handler(event, context):\n    \
    authorizer = event['requestContext'].get('authorizer', {})\n    \
    return {'statusCode': 200, 'body': json.dumps(authorizer)}\n";

/// An HTTP API.
struct Gateway {
    stack: MiniStack,
    client: Client,
    id: String,
    folder: TempDir,
}

impl Gateway {
    async fn start() -> Self {
        let stack = shop().await;
        let client = Client::new(Protocol::Http1, stack.address());
        let folder = TempDir::new().unwrap();
        let mut gateway = Self { stack, client, id: String::new(), folder };
        let api = json!({"name": "shop", "protocolType": "HTTP"});
        gateway.id = id(&gateway.create("/v2/apis", &api).await, "apiId");
        gateway.add("stages", &json!({"stageName": STAGE, "autoDeploy": true})).await;
        gateway
    }

    /// What a client calls.
    fn target(&self, path: &str) -> String {
        format!("/_aws/execute-api/{}/{STAGE}{path}", self.id)
    }

    /// The URL of the stage.
    fn url(&self) -> String {
        format!("{}{}", self.stack.url(), self.target(""))
    }

    async fn ask(&self, request: Request) -> Response {
        let target = self.target(&request.target);
        self.client.send(Request { target, ..request }).await.unwrap()
    }

    async fn get(&self, path: &str, token: &str) -> u16 {
        self.ask(Request::get(path).bearer(token)).await.status
    }

    async fn create(&self, target: &str, what: &Value) -> Value {
        // Where it is created is what the credentials are for; who signs is not looked at.
        let service = if target.starts_with("/v2/") { "apigateway" } else { "lambda" };
        let scope = format!("test/20260101/{REGION}/{service}/aws4_request");
        let signature =
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none");
        let request = Request::post(target, what).header("authorization", signature);
        let answer = self.client.send(request).await.unwrap();
        assert!(matches!(answer.status, 200 | 201), "{target}: {} {}", answer.status, answer.body);
        answer.json()
    }

    /// Adds something to the API.
    async fn add(&self, kind: &str, what: &Value) -> Value {
        self.create(&format!("/v2/apis/{}/{kind}", self.id), what).await
    }

    async fn function(&self, name: &str, runtime: &str, handler: &str, file: &Path, env: Value) {
        let function = json!({
            "FunctionName": name, "Runtime": runtime, "Handler": handler, "Timeout": 10,
            "Role": format!("arn:aws:iam::{ACCOUNT}:role/postern"),
            "Code": {"ZipFile": zip(self.folder.path(), file)},
            "Environment": {"Variables": env},
        });
        self.create("/2015-03-31/functions", &function).await;
    }

    /// The built program in the role that `handler` names.
    async fn postern(&self, handler: &str, env: Value) {
        let file = self.folder.path().join("bootstrap");
        // Not the program itself: as it is built for tests, it is too large to be posted.
        let program = lambda_program().unwrap();
        std::fs::write(&file, format!("#!/bin/sh\nexec '{}'\n", program.display())).unwrap();
        self.function(handler, "provided.al2023", handler, &file, env).await;
    }

    async fn route(&self, key: &str, function: &str, authorizer: Option<&str>) {
        let integration = json!({
            "integrationType": "AWS_PROXY", "payloadFormatVersion": "2.0",
            "integrationUri": function_arn(function),
        });
        let integration = id(&self.add("integrations", &integration).await, "integrationId");
        let mut route = json!({"routeKey": key, "target": format!("integrations/{integration}")});
        if let Some(authorizer) = authorizer {
            route["authorizationType"] = json!("CUSTOM");
            route["authorizerId"] = json!(authorizer);
        }
        self.add("routes", &route).await;
    }

    async fn authorizer(&self, version: &str, changes: Value) -> String {
        let uri = function_arn("authorizer");
        let mut authorizer = json!({
            "name": format!("authorizer-{version}"),
            "authorizerType": "REQUEST",
            "authorizerPayloadFormatVersion": version,
            "authorizerUri": format!(
                "arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{uri}/invocations"
            ),
            "identitySource": ["$request.header.Authorization"],
            "authorizerResultTtlInSeconds": 300,
        });
        for (name, value) in changes.as_object().unwrap() {
            authorizer[name] = value.clone();
        }
        id(&self.add("authorizers", &authorizer).await, "authorizerId")
    }
}

fn id(created: &Value, name: &str) -> String {
    created[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {created}")).to_owned()
}

fn function_arn(name: &str) -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}")
}

fn zip(folder: &Path, file: &Path) -> String {
    let package = folder.join("package.zip");
    let _ = std::fs::remove_file(&package);
    let mut command = Command::new(aws_tool("python").unwrap());
    command.args(["-m", "zipfile", "-c"]).arg(&package).arg(file);
    assert!(command.status().unwrap().success());
    Base64::encode_string(&std::fs::read(&package).unwrap())
}

/// The issuer, the authorizer for its domain `shop`, and a service.
async fn shop_behind_a_gateway(policy: Option<&Value>) -> Gateway {
    let gateway = Gateway::start().await;
    let mut api: serde_json::Map<String, Value> = gateway
        .stack
        .environment()
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    api.insert("POSTERN_TABLE".into(), TABLE.into());
    api.insert("POSTERN_SECRET_PREFIX".into(), PREFIX.into());
    api.insert("POSTERN_ISSUER_URL".into(), gateway.url().into());
    gateway.postern("api", Value::Object(api)).await;
    gateway.route("$default", "api", None).await;
    let settings = match policy {
        None => json!({"POSTERN_ISSUER_URL": gateway.url(), "POSTERN_DOMAIN": "shop"}),
        Some(policy) => {
            json!({"POSTERN_POLICY": policy.to_string().replace("ISSUER", &gateway.url())})
        }
    };
    gateway.postern("authorizer", settings).await;
    let service = gateway.folder.path().join("service.py");
    std::fs::write(&service, SERVICE).unwrap();
    gateway.function("service", "python3.11", "service.handler", &service, json!({})).await;
    gateway
}

async fn login(gateway: &Gateway) -> String {
    let body = json!({"domain": "shop", "username": "ada", "password": PASSWORD});
    let answer = gateway.ask(Request::post("/login", &body)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.text("token")
}

#[tokio::test]
async fn a_login_opens_every_route_and_tells_the_service_whose_it_is() {
    let gateway = shop_behind_a_gateway(None).await;
    let simple = gateway.authorizer("2.0", json!({"enableSimpleResponses": true})).await;
    let iam = gateway.authorizer("1.0", json!({})).await;
    for (key, authorizer) in [("GET /simple/{proxy+}", &simple), ("GET /iam/{proxy+}", &iam)] {
        gateway.route(key, "service", Some(authorizer)).await;
    }
    let token = login(&gateway).await;
    for kind in ["simple", "iam"] {
        // The second answer is remembered, and was given for another path.
        for path in ["orders", "items"] {
            let request = Request::get(&format!("/{kind}/{path}")).bearer(&token);
            let answer = gateway.ask(request).await;
            assert_eq!(answer.status, 200, "{kind} {path} {}", answer.body);
            let told = answer.json();
            assert_eq!(told["lambda"]["domain"], "shop", "{told}");
            assert_eq!(told["lambda"]["code"], "allowed", "{told}");
        }
        let without = gateway.ask(Request::get(&format!("/{kind}/orders"))).await;
        assert_eq!(without.status, 401, "the gateway itself asks for the identity source");
        // AWS answers 401 to the error `Unauthorized`; MiniStack makes every error of an authorizer
        // a 500.
        assert_eq!(gateway.get(&format!("/{kind}/orders"), "a.b.c").await, 500);
    }
}

#[tokio::test]
async fn where_paths_differ_what_was_allowed_for_one_opens_no_other() {
    let policy = json!({
        "providers": {"shop": {
            "issuer": "ISSUER/shop",
            "remote_jwks": {"http_uri": {"uri": "ISSUER/shop/.well-known/jwks.json"}},
        }},
        "rules": [
            {
                "match": {"prefix": "/admin/"}, "requires": {"provider_name": "shop"},
                "scopes": ["admin"],
            },
            {"match": {"prefix": "/"}, "requires": {"provider_name": "shop"}},
        ],
    });
    let gateway = shop_behind_a_gateway(Some(&policy)).await;
    // As the documentation of the authorizer warns: remembered by the token alone.
    let by_token = gateway.authorizer("1.0", json!({})).await;
    let by_path = json!({
        "identitySource": ["$request.header.Authorization", "$context.path", "$context.httpMethod"],
        "enableSimpleResponses": true,
    });
    let by_path = gateway.authorizer("2.0", by_path).await;
    for (key, authorizer) in [
        ("GET /orders", &by_token),
        ("GET /items", &by_token),
        ("GET /admin/token", &by_token),
        ("GET /carts", &by_path),
        ("GET /admin/path", &by_path),
    ] {
        gateway.route(key, "service", Some(authorizer)).await;
    }
    let token = login(&gateway).await;
    assert_eq!(gateway.get("/orders", &token).await, 200);
    assert_eq!(gateway.get("/admin/token", &token).await, 403);
    // Too strict, and never too lax: the policy was for `/orders`.
    assert_eq!(gateway.get("/items", &token).await, 403);
    assert_eq!(gateway.get("/carts", &token).await, 200);
    assert_eq!(gateway.get("/admin/path", &token).await, 403);
}

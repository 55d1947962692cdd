//! The whole of it: an HTTP API of `MiniStack` in front of the issuer and of a service, with the
//! authorizer between; all three run as the programs that Lambda would run.

use postern_tests::{HttpApi, MiniStack, Request, Response};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::lambda::api::{PASSWORD, PREFIX, TABLE, shop};

/// A service that tells what the authorizer has told it.
const SERVICE: &str = "import json\n\
    def handler(event, context):\n    \
    authorizer = event['requestContext'].get('authorizer', {})\n    \
    return {'statusCode': 200, 'body': json.dumps(authorizer)}\n";

/// An HTTP API, and the emulator that has it.
struct Gateway {
    api: HttpApi,
    _stack: MiniStack,
}

impl Gateway {
    async fn ask(&self, request: Request) -> Response {
        self.api.send(request).await.unwrap()
    }

    async fn get(&self, path: &str, token: &str) -> u16 {
        self.ask(Request::get(path).bearer(token)).await.status
    }

    async fn route(&self, key: &str, function: &str, authorizer: Option<&str>) {
        self.api.route(key, function, authorizer).await.unwrap();
    }

    async fn authorizer(&self, version: &str, changes: Value) -> String {
        self.api.authorizer(version, object(changes)).await.unwrap()
    }
}

fn object(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

/// The issuer, the authorizer for its domain `shop`, and a service.
async fn shop_behind_a_gateway(policy: Option<&Value>) -> Gateway {
    let stack = shop().await;
    let api = HttpApi::create(&stack).await.unwrap();
    let (folder, url) = (TempDir::new().unwrap(), api.url());
    let mut variables: Map<String, Value> =
        stack.environment().into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    variables.insert("POSTERN_TABLE".into(), TABLE.into());
    variables.insert("POSTERN_SECRET_PREFIX".into(), PREFIX.into());
    variables.insert("POSTERN_ISSUER_URL".into(), url.as_str().into());
    api.postern("api", variables).await.unwrap();
    api.route("$default", "api", None).await.unwrap();
    let settings = match policy {
        None => json!({"POSTERN_ISSUER_URL": url, "POSTERN_DOMAIN": "shop"}),
        // Paths decide, and one authorizer below wants simple responses all the same.
        Some(policy) => json!({
            "POSTERN_POLICY": policy.to_string().replace("ISSUER", &url),
            "POSTERN_RESPONSE": "simple",
        }),
    };
    api.postern("authorizer", object(settings)).await.unwrap();
    let service = folder.path().join("service.py");
    std::fs::write(&service, SERVICE).unwrap();
    let created = api.function("service", "python3.11", "service.handler", &service, Map::new());
    created.await.unwrap();
    Gateway { api, _stack: stack }
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

//! The issuer, by events of each of its sources.

use std::sync::Arc;

use postern_issuer::{
    DomainSettings, DynamoDb, Ports, SecretText, SecretsManager, SigningAlgorithm, SystemClock,
    create_table,
};
use postern_tests::{LambdaFunction, MiniStack};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::table::config_of;

pub(crate) const TABLE: &str = "postern";
pub(crate) const PREFIX: &str = "postern/test/";
pub(crate) const PASSWORD: &str = "correct horse";

/// A domain `shop` with the user `ada`, in an emulator.
pub(crate) async fn shop() -> MiniStack {
    let stack = MiniStack::start().await.unwrap();
    let config = config_of(&stack.url()).await;
    create_table(&config, TABLE).await.unwrap();
    let ports = Ports {
        store: Arc::new(DynamoDb::new(&config, TABLE.to_owned())),
        vault: Arc::new(SecretsManager::new(&config, PREFIX.to_owned())),
        clock: Arc::new(SystemClock),
    };
    let settings = DomainSettings {
        audience: "shop".to_owned(),
        token_lifetime: 300,
        session_lifetime: 3600,
        jwks_max_age: 120,
    };
    let shop = "shop".parse().unwrap();
    let name = "shop".parse().unwrap();
    ports.create_domain(name, SigningAlgorithm::Es256, settings).await.unwrap();
    let password = SecretText::new(PASSWORD.to_owned());
    ports.create_user(&shop, "ada".parse().unwrap(), password).await.unwrap();
    stack
}

/// The services that call the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Rest,
    Http,
    FunctionUrl,
    LoadBalancer,
    LoadBalancerWithLists,
}

const SOURCES: [Source; 5] = [
    Source::Rest,
    Source::Http,
    Source::FunctionUrl,
    Source::LoadBalancer,
    Source::LoadBalancerWithLists,
];

/// What a source tells of a request.
fn event(source: Source, method: &str, path: &str, tokens: &[&str], body: Option<&str>) -> Value {
    let mut lists = json!({"content-type": ["application/json"], "host": ["auth.example.com"]});
    let mut single = json!({"content-type": "application/json", "host": "auth.example.com"});
    if !tokens.is_empty() {
        lists["authorization"] = json!(tokens);
        single["authorization"] = json!(tokens.last());
    }
    match source {
        Source::Rest => json!({
            "resource": "/{proxy+}", "path": path, "httpMethod": method,
            "headers": single, "multiValueHeaders": lists,
            "queryStringParameters": null, "multiValueQueryStringParameters": null,
            "pathParameters": {"proxy": path}, "stageVariables": null,
            "requestContext": {
                "resourcePath": "/{proxy+}", "httpMethod": method, "stage": "prod",
                "path": format!("/prod{path}"), "apiId": "a1b2c3", "protocol": "HTTP/1.1",
                "domainName": "a1b2c3.execute-api.eu-central-1.amazonaws.com",
            },
            "body": body, "isBase64Encoded": false,
        }),
        Source::Http | Source::FunctionUrl => {
            single["authorization"] = json!(tokens.join(","));
            let is_http = source == Source::Http;
            let path = if is_http { format!("/prod{path}") } else { path.to_owned() };
            let name = if is_http { "a1b2c3.execute-api" } else { "a1b2c3.lambda-url" };
            json!({
                "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
                "headers": single,
                "requestContext": {
                    "accountId": "123456789012", "apiId": "a1b2c3",
                    "domainName": format!("{name}.eu-central-1.amazonaws.com"),
                    "http": {"method": method, "path": path, "protocol": "HTTP/1.1"},
                    "routeKey": "$default", "stage": if is_http { "prod" } else { "$default" },
                },
                "body": body, "isBase64Encoded": false,
            })
        }
        Source::LoadBalancer => json!({
            "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:x"}},
            "httpMethod": method, "path": path, "queryStringParameters": {},
            "headers": single, "body": body.unwrap_or_default(), "isBase64Encoded": false,
        }),
        Source::LoadBalancerWithLists => json!({
            "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:x"}},
            "httpMethod": method, "path": path, "multiValueQueryStringParameters": {},
            "multiValueHeaders": lists, "body": body.unwrap_or_default(), "isBase64Encoded": false,
        }),
    }
}

/// A header of the answer, wherever the source wants it.
fn header<'a>(answer: &'a Value, name: &str) -> Option<&'a str> {
    answer["headers"][name].as_str().or_else(|| answer["multiValueHeaders"][name][0].as_str())
}

fn body(answer: &Value) -> Value {
    serde_json::from_str(answer["body"].as_str().unwrap_or_default()).unwrap_or_default()
}

#[tokio::test]
async fn each_source_logs_in_and_is_answered_as_the_server_answers() {
    let stack = shop().await;
    let folder = TempDir::new().unwrap();
    let mut variables = stack.environment().to_vec();
    variables.push(("POSTERN_TABLE", TABLE.to_owned()));
    variables.push(("POSTERN_SECRET_PREFIX", PREFIX.to_owned()));
    variables.push(("POSTERN_ISSUER_URL", "https://auth.example.com".to_owned()));
    let function = LambdaFunction::start(folder.path(), "api", variables).await.unwrap();
    let login = json!({"domain": "shop", "username": "ada", "password": PASSWORD}).to_string();
    for source in SOURCES {
        let ask = async |method: &str, path: &str, tokens: &[&str], body: Option<&str>| {
            function.invoke(&event(source, method, path, tokens, body)).await.unwrap()
        };
        let answer = ask("POST", "/login", &[], Some(&login)).await;
        assert_eq!(answer["statusCode"], 200, "{source:?} {answer}");
        assert_eq!(header(&answer, "content-type"), Some("application/json"), "{source:?}");
        assert_eq!(header(&answer, "cache-control"), Some("no-store"), "{source:?}");
        let token = body(&answer)["token"].as_str().unwrap().to_owned();
        let bearer = format!("Bearer {token}");

        let answer = ask("GET", "/auth", &[&bearer], None).await;
        assert_eq!(answer["statusCode"], 200, "{source:?} {answer}");
        // A service that looked at the last one only would let this in.
        if source != Source::LoadBalancer {
            let answer = ask("GET", "/auth", &["Bearer a.b.c", &bearer], None).await;
            assert_eq!(answer["statusCode"], 403, "{source:?} {answer}");
        }
        let answer = ask("HEAD", "/refresh", &[&bearer], None).await;
        assert_eq!(answer["statusCode"], 405, "{source:?} {answer}");
        let answer = ask("GET", "/refresh", &[&bearer], None).await;
        assert_eq!(answer["statusCode"], 200, "{source:?} {answer}");

        let wrong = login.replace(PASSWORD, "wrong");
        let answer = ask("POST", "/login", &[], Some(&wrong)).await;
        assert_eq!(answer["statusCode"], 400, "{source:?} {answer}");
        let answer = ask("GET", "/auth", &[], None).await;
        assert_eq!(answer["statusCode"], 401, "{source:?} {answer}");
        let answer = ask("GET", "/prod/login", &[], None).await;
        assert_eq!(answer["statusCode"], 404, "{source:?} {answer}");
        let answer = ask("GET", "/login", &[], None).await;
        assert_eq!(answer["statusCode"], 405, "{source:?} {answer}");

        let keys = "/shop/.well-known/jwks.json";
        let answer = ask("GET", keys, &[], None).await;
        assert_eq!(answer["statusCode"], 200, "{source:?} {answer}");
        assert!(header(&answer, "etag").is_some_and(|etag| etag.starts_with('"')), "{answer}");
        let answer = ask("HEAD", keys, &[], None).await;
        assert_eq!((&answer["statusCode"], &answer["body"]), (&json!(200), &json!("")));
    }
    let mut encoded = event(Source::Http, "POST", "/login", &[], None);
    encoded["body"] =
        json!(<base64ct::Base64 as base64ct::Encoding>::encode_string(login.as_bytes()));
    encoded["isBase64Encoded"] = json!(true);
    let answer = function.invoke(&encoded).await.unwrap();
    assert_eq!(answer["statusCode"], 200, "{answer}");

    let refused = function.invoke(&json!({"Records": []})).await.unwrap();
    assert_eq!(refused["errorMessage"], "the event is of no kind that this function takes");
    let log = function.log();
    assert!(log.contains("request method=POST path=\"/login\" status=200"), "{log}");
    assert!(!log.contains(PASSWORD) && !log.contains("eyJ"), "{log}");
}

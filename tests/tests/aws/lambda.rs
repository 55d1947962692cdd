//! The Lambda functions, each as the built program under Amazon's Runtime Interface Emulator.

pub(crate) mod api;
mod authorizer;

use postern_tests::LambdaFunction;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A handler, its variables, and which of them is at fault.
type Case<'a> = (&'a str, Vec<(&'a str, &'a str)>, &'a str);

const NO_VARIABLES: [(&str, &str); 0] = [];

#[tokio::test]
async fn a_handler_of_another_name_ends_the_function_and_says_so() {
    for handler in ["bootstrap", "API", "api.handler"] {
        let error = initialisation_error(handler, &NO_VARIABLES).await;
        let expected = "the function's handler is none of `api`, `authorizer`, `rotation`";
        assert_eq!(error["errorMessage"], expected, "{handler}");
    }
}

#[tokio::test]
async fn what_is_not_set_or_wrong_ends_the_function_and_is_named() {
    let api = [
        ("POSTERN_TABLE", "postern"),
        ("POSTERN_SECRET_PREFIX", "postern/"),
        ("POSTERN_ISSUER_URL", "https://auth.example.com"),
    ];
    let mut cases: Vec<Case> = Vec::new();
    for (name, _) in api {
        let rest = api.into_iter().filter(|(other, _)| *other != name).collect();
        cases.push(("api", rest, name));
    }
    let with = |name, value| api.into_iter().chain([(name, value)]).collect::<Vec<_>>();
    cases.push(("api", with("POSTERN_TOKEN_HEADER", "a b"), "POSTERN_TOKEN_HEADER"));
    cases.push(("api", with("POSTERN_ALLOW_ORIGIN", "app"), "POSTERN_ALLOW_ORIGIN"));
    cases.push(("rotation", vec![api[0]], "POSTERN_SECRET_PREFIX"));
    cases.push(("authorizer", vec![api[2]], "POSTERN_DOMAIN"));
    cases.push(("authorizer", vec![("POSTERN_POLICY", "{\"rules\": 1}")], "POSTERN_POLICY"));
    for (handler, variables, named) in cases {
        let error = initialisation_error(handler, &variables).await;
        let message = error["errorMessage"].as_str().unwrap_or_default();
        assert!(message.starts_with(&format!("`{named}`")), "{handler} {named}: {error}");
        assert_eq!(error["errorType"], "Postern.InitError");
    }
}

#[tokio::test]
async fn a_rotation_that_cannot_be_is_refused_and_its_reason_reported() {
    let stack = api::shop().await;
    let folder = TempDir::new().unwrap();
    let mut variables = stack.environment().to_vec();
    variables.push(("POSTERN_TABLE", api::TABLE.to_owned()));
    variables.push(("POSTERN_SECRET_PREFIX", api::PREFIX.to_owned()));
    let function = LambdaFunction::start(folder.path(), "rotation", variables).await.unwrap();
    let malformed = function.invoke(&json!({"Step": "dropSecret"})).await.unwrap();
    assert_eq!(malformed["errorMessage"], "the event is not one of a rotation");
    // Secrets Manager has begun no rotation to this version.
    let event = json!({
        "Step": "createSecret", "SecretId": format!("{}shop", api::PREFIX),
        "ClientRequestToken": "d3b0c5b4-5a53-4f4b-9f3c-0a8f4e6f7a10",
    });
    let refused = function.invoke(&event).await.unwrap();
    assert_eq!(refused["errorType"], "Postern.Rotation", "{refused}");
    let reason = refused["errorMessage"].as_str().unwrap();
    assert!(function.log().contains(reason), "{refused}");
}

#[tokio::test]
async fn the_issuer_answers_under_the_runtime_of_cargo_lambda_too() {
    let stack = api::shop().await;
    let folder = TempDir::new().unwrap();
    let mut variables = stack.environment().to_vec();
    variables.push(("POSTERN_TABLE", api::TABLE.to_owned()));
    variables.push(("POSTERN_SECRET_PREFIX", api::PREFIX.to_owned()));
    variables.push(("POSTERN_ISSUER_URL", "https://auth.example.com".to_owned()));
    let started = LambdaFunction::start_with_cargo_lambda(folder.path(), "api", variables).await;
    let event = json!({
        "version": "2.0", "routeKey": "$default", "rawPath": "/shop/.well-known/jwks.json",
        "rawQueryString": "", "headers": {"host": "auth.example.com"}, "isBase64Encoded": false,
        "requestContext": {
            "apiId": "a1b2c3", "stage": "$default", "domainName": "auth.example.com",
            "http": {"method": "GET", "path": "/shop/.well-known/jwks.json"},
        },
    });
    let answer = started.unwrap().invoke(&event).await.unwrap();
    assert_eq!(answer["statusCode"], 200, "{answer}");
    let keys: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 2);
}

async fn initialisation_error(handler: &str, variables: &[(&str, &str)]) -> Value {
    let folder = TempDir::new().unwrap();
    let variables = variables.iter().copied();
    let function = LambdaFunction::start(folder.path(), handler, variables).await.unwrap();
    function.invoke(&json!({})).await.unwrap()
}

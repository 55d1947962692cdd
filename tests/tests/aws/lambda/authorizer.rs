//! The authorizer, with the keys of a real issuer.

use postern_tests::{Issuer, LambdaFunction};
use serde_json::{Value, json};
use tempfile::TempDir;

const STAGE: &str = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3/prod/";

/// Every kind of event, for a request with this token.
fn events(token: &str) -> [Value; 4] {
    let bearer = format!("Bearer {token}");
    let name = "a1b2c3.execute-api.eu-central-1.amazonaws.com";
    let request = json!({
        "type": "REQUEST", "methodArn": format!("{STAGE}GET/orders"), "resource": "/orders",
        "path": "/orders", "httpMethod": "GET",
        "headers": {"authorization": bearer}, "multiValueHeaders": {"authorization": [bearer]},
        "requestContext": {"stage": "prod", "apiId": "a1b2c3", "domainName": name},
    });
    let mut connect = request.clone();
    connect["methodArn"] = json!(format!("{STAGE}$connect"));
    for absent in ["resource", "path", "httpMethod"] {
        connect.as_object_mut().unwrap().remove(absent);
    }
    [
        json!({
            "type": "TOKEN", "authorizationToken": bearer,
            "methodArn": format!("{STAGE}GET/orders"),
        }),
        request,
        connect,
        json!({
            "version": "2.0", "type": "REQUEST", "routeArn": format!("{STAGE}GET/orders"),
            "identitySource": [bearer], "rawPath": "/prod/orders", "rawQueryString": "",
            "headers": {"authorization": bearer},
            "requestContext": {
                "stage": "prod", "apiId": "a1b2c3", "domainName": name,
                "http": {"method": "GET", "path": "/prod/orders"},
            },
        }),
    ]
}

fn is_allowed(answer: &Value) -> bool {
    answer["isAuthorized"] == true || answer["policyDocument"]["Statement"][0]["Effect"] == "Allow"
}

async fn issuer(folder: &TempDir) -> Issuer {
    let mut issuer = Issuer::new(folder.path()).unwrap();
    for domain in ["shop", "other"] {
        issuer.domain_create(domain, &[]).unwrap();
        issuer.user_create(domain, "ada", "correct horse").unwrap();
    }
    issuer.start().await.unwrap();
    issuer
}

#[tokio::test]
async fn tokens_of_the_domain_pass_in_every_kind_of_event_and_through_an_outage() {
    let folder = TempDir::new().unwrap();
    let mut issuer = issuer(&folder).await;
    let variables = [("POSTERN_ISSUER_URL", issuer.url()), ("POSTERN_DOMAIN", "shop".to_owned())];
    let function = LambdaFunction::start(folder.path(), "authorizer", variables).await.unwrap();
    let token = issuer.token("shop", "ada", "correct horse").await.unwrap();
    let foreign = issuer.token("other", "ada", "correct horse").await.unwrap();
    let forged = format!("{}AAAA", token.get(..token.len() - 4).unwrap());
    for event in events(&token) {
        let answer = function.invoke(&event).await.unwrap();
        assert!(is_allowed(&answer), "{answer}");
        assert_eq!(answer["context"]["domain"], "shop");
        assert_eq!(answer["context"]["code"], "allowed");
        if let Some(resource) = answer["policyDocument"]["Statement"][0]["Resource"].as_str() {
            assert_eq!(resource, format!("{STAGE}*"));
        }
    }
    for (token, code) in [(&foreign, "issuer_unknown"), (&forged, "signature_invalid")] {
        for event in events(token) {
            // API Gateway answers 401 to exactly this message.
            let answer = function.invoke(&event).await.unwrap();
            assert_eq!(answer["errorMessage"], "Unauthorized", "{answer}");
        }
        let log = function.log();
        let lines = log.lines().filter(|line| line.contains(&format!("denied code=\"{code}\"")));
        assert_eq!(lines.count(), 4, "{log}");
    }
    issuer.kill();
    for event in events(&token) {
        assert!(is_allowed(&function.invoke(&event).await.unwrap()), "the keys are at hand");
    }
    let log = function.log();
    assert!(!log.contains("eyJ"), "{log}");
}

#[tokio::test]
async fn a_key_that_is_new_is_fetched_when_a_token_names_it() {
    let folder = TempDir::new().unwrap();
    let issuer = issuer(&folder).await;
    let variables = [("POSTERN_ISSUER_URL", issuer.url()), ("POSTERN_DOMAIN", "shop".to_owned())];
    let function = LambdaFunction::start(folder.path(), "authorizer", variables).await.unwrap();
    let old = issuer.token("shop", "ada", "correct horse").await.unwrap();
    let [event, ..] = events(&old);
    assert!(is_allowed(&function.invoke(&event).await.unwrap()));
    // All that it knows of is withdrawn, but for the next one; and then that, too.
    for _ in 0..2 {
        issuer.postern(&["keys", "rotate", "shop", "--compromised"], "").unwrap();
    }
    // An unknown key is asked for at most every five seconds.
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let fresh = issuer.token("shop", "ada", "correct horse").await.unwrap();
    let [event, ..] = events(&fresh);
    let answer = function.invoke(&event).await.unwrap();
    assert!(is_allowed(&answer), "{answer} {}", function.log());
    let [event, ..] = events(&old);
    let answer = function.invoke(&event).await.unwrap();
    assert_eq!(answer["errorMessage"], "Unauthorized", "what was withdrawn is refused");
}

#[tokio::test]
async fn without_keys_nothing_is_let_in() {
    let folder = TempDir::new().unwrap();
    let mut issuer = issuer(&folder).await;
    let token = issuer.token("shop", "ada", "correct horse").await.unwrap();
    issuer.stop();
    // Its port stays its own until the function has others.
    let port = std::net::TcpListener::bind(("127.0.0.1", issuer.port())).unwrap();
    let variables = [("POSTERN_ISSUER_URL", issuer.url()), ("POSTERN_DOMAIN", "shop".to_owned())];
    let function = LambdaFunction::start(folder.path(), "authorizer", variables).await.unwrap();
    drop(port);
    for event in events(&token) {
        let answer = function.invoke(&event).await.unwrap();
        assert_eq!(answer["errorMessage"], "keys_unavailable", "{answer}");
    }
    issuer.start().await.unwrap();
    // It is asked again after a while that doubles: a second, two, four.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let [event, ..] = events(&token);
    assert!(is_allowed(&function.invoke(&event).await.unwrap()), "{}", function.log());
}

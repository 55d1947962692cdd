//! Events as AWS documents them, and what comes of them.

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, header::AUTHORIZATION},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{EventError, answer};

/// Tells what reached it.
async fn echo(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let tokens = parts.headers.get_all(AUTHORIZATION).iter();
    let tokens: Vec<&str> = tokens.filter_map(|value| value.to_str().ok()).collect();
    let body = axum::body::to_bytes(body, 1024).await.unwrap();
    let seen = json!({
        "method": parts.method.as_str(),
        "target": parts.uri.to_string(),
        "tokens": tokens,
        "body": String::from_utf8_lossy(&body),
        "cookie": parts.headers.contains_key("cookie"),
    });
    let headers = [("vary", "origin"), ("content-type", "application/json")];
    let mut response = (StatusCode::CREATED, headers, seen.to_string()).into_response();
    response.headers_mut().append("vary", "accept".parse().unwrap());
    response.headers_mut().append("set-cookie", "a=1".parse().unwrap());
    response
}

async fn try_answer(event: &Value) -> Result<Value, EventError> {
    answer(Router::new().fallback(echo), event).await
}

async fn seen(event: &Value) -> Value {
    let answer = try_answer(event).await.unwrap();
    assert_eq!(answer["statusCode"], 201);
    assert_eq!(answer["isBase64Encoded"], false);
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
}

fn rest() -> Value {
    json!({
        "resource": "/{proxy+}",
        "path": "/login",
        "httpMethod": "POST",
        "headers": {"Authorization": "Bearer b"},
        "multiValueHeaders": {"Authorization": ["Bearer a", "Bearer b"]},
        "queryStringParameters": null,
        "multiValueQueryStringParameters": null,
        "pathParameters": {"proxy": "login"},
        "stageVariables": null,
        "requestContext": {
            "path": "/prod/login", "stage": "prod", "apiId": "a1b2", "httpMethod": "POST",
            "domainName": "a1b2.execute-api.eu-central-1.amazonaws.com",
        },
        "body": "{\"a\":1}",
        "isBase64Encoded": false,
    })
}

fn http() -> Value {
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/prod/status",
        "rawQueryString": "a=1&a=%20",
        "cookies": ["session=x"],
        "headers": {"authorization": "Bearer a,Bearer b", "host": "api"},
        "requestContext": {
            "accountId": "123456789012", "apiId": "a1b2", "stage": "prod",
            "domainName": "a1b2.execute-api.eu-central-1.amazonaws.com",
            "http": {"method": "GET", "path": "/prod/status", "protocol": "HTTP/1.1"},
        },
        "isBase64Encoded": false,
    })
}

fn load_balancer() -> Value {
    json!({
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:…"}},
        "httpMethod": "GET",
        "path": "/a%20b",
        "queryStringParameters": {"q": "%41"},
        "headers": {"authorization": "Bearer a"},
        "body": "",
        "isBase64Encoded": false,
    })
}

#[tokio::test]
async fn a_rest_api_is_answered_in_format_1() {
    let seen = seen(&rest()).await;
    assert_eq!(seen["method"], "POST");
    assert_eq!(seen["target"], "/login");
    assert_eq!(seen["tokens"], json!(["Bearer a", "Bearer b"]), "none of two tokens is lost");
    assert_eq!(seen["body"], "{\"a\":1}");
    let answer = try_answer(&rest()).await.unwrap();
    assert_eq!(answer["multiValueHeaders"]["vary"], json!(["origin", "accept"]));
    assert_eq!(answer.get("headers"), None);
}

#[tokio::test]
async fn an_http_api_is_answered_in_format_2() {
    let seen = seen(&http()).await;
    assert_eq!(seen["method"], "GET");
    assert_eq!(seen["target"], "/status?a=1&a=%20");
    assert_eq!(seen["tokens"], json!(["Bearer a,Bearer b"]), "two tokens stay two");
    assert_eq!(seen["cookie"], false);
    let answer = try_answer(&http()).await.unwrap();
    assert_eq!(answer["headers"]["vary"], "origin, accept");
    assert_eq!(answer["cookies"], json!(["a=1"]));
    assert_eq!(answer["headers"].get("set-cookie"), None);
}

#[tokio::test]
async fn a_function_url_has_no_stage_and_does_not_decode() {
    let mut event = http();
    event["rawPath"] = json!("/prod/a%2Fb");
    event["requestContext"]["domainName"] = json!("u1.lambda-url.eu-central-1.on.aws");
    event["requestContext"]["stage"] = json!("$default");
    assert_eq!(seen(&event).await["target"], "/prod/a%2Fb?a=1&a=%20");
}

#[tokio::test]
async fn an_http_api_with_format_1_has_the_stage_in_its_path() {
    let mut event = rest();
    event["version"] = json!("1.0");
    event["path"] = json!("/prod/a b");
    assert_eq!(seen(&event).await["target"], "/a%20b");
}

#[tokio::test]
async fn a_load_balancer_is_answered_as_its_target_group_asks() {
    let seen_once = seen(&load_balancer()).await;
    assert_eq!(seen_once["target"], "/a%20b?q=%41");
    assert_eq!(seen_once["tokens"], json!(["Bearer a"]));
    let answer = try_answer(&load_balancer()).await.unwrap();
    assert_eq!(answer["statusDescription"], "201 Created");
    assert_eq!(answer["headers"]["vary"], "origin, accept");

    let mut event = load_balancer();
    event["headers"] = Value::Null;
    event["multiValueHeaders"] = json!({"authorization": ["Bearer a", "Bearer b"]});
    event["multiValueQueryStringParameters"] = json!({"q": ["1", "2"]});
    let seen_lists = seen(&event).await;
    assert_eq!(seen_lists["target"], "/a%20b?q=1&q=2");
    assert_eq!(seen_lists["tokens"], json!(["Bearer a", "Bearer b"]));
    let answer = try_answer(&event).await.unwrap();
    assert_eq!(answer["multiValueHeaders"]["vary"], json!(["origin", "accept"]));
}

#[tokio::test]
async fn a_body_in_base64_is_decoded() {
    let mut event = rest();
    event["body"] = json!("eyJhIjoyfQ==");
    event["isBase64Encoded"] = json!(true);
    assert_eq!(seen(&event).await["body"], "{\"a\":2}");
    event["body"] = json!("no base64");
    assert_eq!(try_answer(&event).await, Err(EventError::Member("body")));
}

#[tokio::test]
async fn what_is_no_request_is_refused_without_a_panic() {
    for event in [json!(null), json!([]), json!({}), json!({"version": "2.0"}), json!("x")] {
        assert!(try_answer(&event).await.is_err(), "{event}");
    }
    let spoilt = |path: &[&str], value: Value, mut event: Value| {
        let last = path.iter().fold(&mut event, |place, name| &mut place[*name]);
        *last = value;
        event
    };
    for event in [
        spoilt(&["httpMethod"], json!("G T"), rest()),
        spoilt(&["httpMethod"], json!(""), rest()),
        spoilt(&["path"], json!(7), rest()),
        spoilt(&["path"], json!(""), rest()),
        spoilt(&["multiValueHeaders"], json!({"a": "b"}), rest()),
        // One value of each is not enough to tell that there is one token.
        spoilt(&["multiValueHeaders"], json!(null), rest()),
        spoilt(&["multiValueHeaders"], json!({"authorization": ["a", "b\n"]}), rest()),
        spoilt(&["multiValueHeaders"], json!({"a b": ["x"]}), rest()),
        spoilt(&["body"], json!({}), rest()),
        spoilt(&["rawQueryString"], json!("a b"), http()),
        spoilt(&["headers"], json!({"a": ["b"]}), http()),
        spoilt(&["requestContext", "http"], json!(null), http()),
    ] {
        assert!(try_answer(&event).await.is_err(), "{event}");
    }
}

#[tokio::test]
async fn a_path_of_any_text_is_a_target() {
    for path in ["/a b", "/ä", "/a?b#c", "/%", "//", "/../x", "/\u{0}", "/{x}"] {
        let mut event = rest();
        event["path"] = json!(path);
        assert_eq!(try_answer(&event).await.unwrap()["statusCode"], 201, "{path}");
    }
}

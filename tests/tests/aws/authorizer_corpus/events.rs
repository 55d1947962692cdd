//! A case's request as API Gateway tells of it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::text;

/// The events that tell of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Format {
    /// `REQUEST` 1.0, as of a REST API.
    One,
    /// `REQUEST` 2.0, as of an HTTP API.
    Two,
    /// `TOKEN`.
    Token,
}

const STAGE: &str = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3";

/// The event; none where there is no event of this format that says it.
pub(crate) fn event(format: Format, request: &Value) -> Option<Value> {
    let method = text(&request["method"]);
    let (path, query) = match text(&request["target"]).split_once('?') {
        Some((path, query)) => (path, query),
        None => (text(&request["target"]), ""),
    };
    let authority = request["authority"].as_str().unwrap_or("api.example.com");
    // Only what is text can be told in JSON.
    let fields = request["headers"].as_array()?.iter();
    let fields = fields.map(|field| Some((field[0].as_str()?, field[1].as_str()?)));
    let fields: Vec<(&str, &str)> = fields.collect::<Option<_>>()?;
    match format {
        Format::One => Some(one(method, path, query, authority, &fields)),
        Format::Two => Some(two(method, path, query, authority, &fields)),
        Format::Token => match fields[..] {
            [("authorization", token)] if query.is_empty() && path.starts_with('/') => {
                Some(json!({
                    "type": "TOKEN",
                    "authorizationToken": token,
                    "methodArn": format!("{STAGE}/prod/{method}{path}"),
                }))
            }
            _ => None,
        },
    }
}

/// REST APIs leave the path as it was sent, and decode the query.
fn one(method: &str, path: &str, query: &str, authority: &str, fields: &[(&str, &str)]) -> Value {
    let mut headers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, value) in fields {
        headers.entry(*name).or_default().push(*value);
    }
    let mut parameters: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        parameters.entry(decoded(name, true)).or_default().push(decoded(value, true));
    }
    json!({
        "type": "REQUEST",
        "methodArn": format!("{STAGE}/prod/{method}/{}", path.trim_start_matches('/')),
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": fields.iter().copied().collect::<BTreeMap<&str, &str>>(),
        "multiValueHeaders": headers,
        "queryStringParameters": null,
        "multiValueQueryStringParameters": parameters,
        "requestContext": {
            "stage": "prod", "apiId": "a1b2c3", "httpMethod": method, "domainName": authority,
        },
    })
}

/// HTTP APIs decode the path and join header fields; cookies stand in a list.
fn two(method: &str, path: &str, query: &str, authority: &str, fields: &[(&str, &str)]) -> Value {
    let mut headers: Map<String, Value> = Map::new();
    let mut cookies = Vec::new();
    for (name, value) in fields {
        let name = name.to_ascii_lowercase();
        if name == "cookie" {
            cookies.extend(value.split(';').map(str::trim));
            continue;
        }
        let value = match headers.get(&name) {
            Some(earlier) => format!("{},{value}", text(earlier)),
            None => (*value).to_owned(),
        };
        headers.insert(name, value.into());
    }
    json!({
        "version": "2.0",
        "type": "REQUEST",
        "routeArn": format!("{STAGE}/$default/{method}/{}", path.trim_start_matches('/')),
        "identitySource": [],
        "routeKey": "$default",
        "rawPath": decoded(path, false),
        "rawQueryString": query,
        "cookies": cookies,
        "headers": headers,
        "requestContext": {
            "stage": "$default", "apiId": "a1b2c3", "domainName": authority,
            "http": { "method": method, "path": decoded(path, false) },
        },
    })
}

/// Percent-decoded once; what decodes to no text stays.
fn decoded(text: &str, is_form: bool) -> String {
    let text = if is_form { text.replace('+', " ") } else { text.to_owned() };
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        let digits = behind.get(..2).filter(|_| *byte == b'%');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(*byte));
        rest = if escaped.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8(bytes).unwrap_or(text)
}

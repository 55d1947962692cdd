//! The request that an event tells of.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri},
};
use serde_json::Value;

use super::{
    answer::Source,
    body::body,
    event::{EventError, multiple, needed, object, single, text},
    path,
};

/// The request, and how its answer is to be written.
pub(super) fn request(event: &Value) -> Result<(Request<Body>, Source), EventError> {
    let (method, target, fields, source) = if text(event, &["version"]) == Some("2.0") {
        format_two(event)?
    } else if event.get("requestContext").is_some_and(|context| context.get("elb").is_some()) {
        load_balancer(event)?
    } else if event.get("httpMethod").is_some() && event.get("requestContext").is_some() {
        format_one(event)?
    } else {
        return Err(EventError::Unknown);
    };
    let mut request = Request::new(Body::from(body(event)?));
    *request.method_mut() =
        Method::from_bytes(method.as_bytes()).map_err(|_| EventError::Member("httpMethod"))?;
    *request.uri_mut() = target.parse::<Uri>().map_err(|_| EventError::Member("path"))?;
    *request.headers_mut() = headers(&fields)?;
    Ok((request, source))
}

type Parts<'e> = (&'e str, String, Vec<(&'e str, &'e str)>, Source);

/// An HTTP API or a Function URL. Repeated header fields are joined by commas, and cookies stand
/// elsewhere: the router reads none.
fn format_two(event: &Value) -> Result<Parts<'_>, EventError> {
    let http = event.get("requestContext").and_then(|context| context.get("http"));
    let method = http.and_then(|http| text(http, &["method"]));
    let method = method.ok_or(EventError::Member("requestContext.http.method"))?;
    let raw = needed(event, "rawPath")?;
    let path =
        if is_function_url(event) { path::as_sent(raw) } else { path::of_http_api(event, raw) };
    let target = path::target(path, text(event, &["rawQueryString"]).unwrap_or_default());
    Ok((method, target, single(event, "headers")?, Source::FormatTwo))
}

/// Function URLs have HTTP APIs' format, but do not decode the path.
fn is_function_url(event: &Value) -> bool {
    let name = text(event, &["requestContext", "domainName"]).unwrap_or_default();
    name.contains(".lambda-url.")
}

/// A REST API, or an HTTP API with format 1.0, which is the one that says so.
fn format_one(event: &Value) -> Result<Parts<'_>, EventError> {
    let raw = needed(event, "path")?;
    let path = match event.get("version") {
        Some(_) => path::of_http_api(event, raw),
        None => path::as_sent(raw),
    };
    let query = multiple(event, "multiValueQueryStringParameters")?.unwrap_or_default();
    let target = path::target(path, &path::query(&query));
    Ok((needed(event, "httpMethod")?, target, repeated_fields(event)?, Source::FormatOne))
}

fn load_balancer(event: &Value) -> Result<Parts<'_>, EventError> {
    let method = needed(event, "httpMethod")?;
    let path = path::as_sent(needed(event, "path")?);
    let has_lists = object(event, "multiValueHeaders")?.is_some();
    let (fields, query) = if has_lists {
        let query = multiple(event, "multiValueQueryStringParameters")?.unwrap_or_default();
        (multiple(event, "multiValueHeaders")?.unwrap_or_default(), query)
    } else {
        (single(event, "headers")?, single(event, "queryStringParameters")?)
    };
    // They come as they were sent.
    let query = query.iter().map(|(name, value)| format!("{name}={value}"));
    let target = path::target(path, &query.collect::<Vec<String>>().join("&"));
    Ok((method, target, fields, Source::LoadBalancer { lists: has_lists }))
}

/// `headers` has the last value of each field only; whoever read those would not see that there
/// were two tokens.
fn repeated_fields(event: &Value) -> Result<Vec<(&str, &str)>, EventError> {
    match multiple(event, "multiValueHeaders")? {
        Some(fields) => Ok(fields),
        None if object(event, "headers")?.is_none() => Ok(Vec::new()),
        None => Err(EventError::Member("multiValueHeaders")),
    }
}

/// What cannot be a header field is no reason to leave it out: it may be a second token.
fn headers(fields: &[(&str, &str)]) -> Result<HeaderMap, EventError> {
    let error = |_| EventError::Member("headers");
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| EventError::Member("headers"))?;
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).map_err(error)?);
    }
    Ok(headers)
}

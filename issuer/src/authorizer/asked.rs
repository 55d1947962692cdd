//! What an event asks, as the core reads requests.

use postern_verify::Request;
use serde_json::Value;

use super::{
    arn::{MethodArn, Place},
    own_path::own_path,
};
use crate::lambda::{
    event::{EventError, multiple, needed, object, single, text},
    path,
};

/// What the core calls the path of a WebSocket that opens.
const CONNECT_PATH: &str = "/$connect";

/// The kinds of events, as far as they are answered or read in different ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `TOKEN`.
    Token,
    /// `REQUEST`, format 1.0.
    FormatOne,
    /// `REQUEST`, format 2.0.
    FormatTwo,
}

/// A request, and where it goes.
pub(super) struct Asked<'e> {
    pub(super) kind: Kind,
    pub(super) arn: MethodArn<'e>,
    pub(super) method: &'e str,
    pub(super) target: String,
    fields: Vec<(&'e str, String)>,
    /// The name that the API is called by, where no field says it.
    domain_name: &'e str,
    /// Whether the path can be read in two ways, and the event does not tell which.
    pub(super) has_unclear_path: bool,
}

impl<'e> Asked<'e> {
    /// Reads an event. The token of a `TOKEN` event is taken for the value of `token_header`.
    pub(super) fn read(event: &'e Value, token_header: &'e str) -> Result<Self, EventError> {
        match (text(event, &["type"]), text(event, &["version"])) {
            (Some("TOKEN"), _) => token(event, token_header),
            (Some("REQUEST"), Some("2.0")) => format_two(event),
            (Some("REQUEST"), Some("1.0") | None) => format_one(event),
            _ => Err(EventError::Unknown),
        }
    }

    /// Takes the root for the path, where it makes no difference which it is; what is no path stays.
    pub(super) fn leave_path_out(&mut self) {
        if self.target.starts_with('/') {
            // The query may hold the token.
            let query = self.target.find('?').map(|mark| self.target.split_off(mark));
            self.target = format!("/{}", query.unwrap_or_default());
        }
    }

    /// The core's view of it.
    pub(super) fn request(&self) -> Request<'_> {
        let fields = self.fields.iter().map(|(name, value)| (*name, value.as_bytes()));
        let mut request = Request::new(self.method, self.target.as_bytes(), fields.collect());
        if !self.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request.authority = self.domain_name.as_bytes();
        }
        request
    }
}

fn token<'e>(event: &'e Value, token_header: &'e str) -> Result<Asked<'e>, EventError> {
    let arn = arn(event, "methodArn")?;
    let Some(Place::Http { method, path }) = arn.place() else {
        return Err(EventError::Member("methodArn"));
    };
    let value = needed(event, "authorizationToken")?.to_owned();
    let fields = vec![(token_header, value)];
    let target = path.to_owned();
    // It does not say whether it was decoded.
    let has_unclear_path = path.contains(['%', '?']);
    let (kind, domain_name) = (Kind::Token, "");
    Ok(Asked { kind, arn, method, target, fields, domain_name, has_unclear_path })
}

fn format_one(event: &Value) -> Result<Asked<'_>, EventError> {
    let arn = arn(event, "methodArn")?;
    let place = arn.place().ok_or(EventError::Member("methodArn"))?;
    let query = multiple(event, "multiValueQueryStringParameters")?.unwrap_or_default();
    let (method, path, has_unclear_path) = match place {
        Place::Connect => ("GET", CONNECT_PATH.to_owned(), false),
        Place::Http { path: routed, .. } => {
            let sent = needed(event, "path")?;
            let (path, has_unclear_path) = match event.get("version") {
                Some(_) => of_http_api(event, sent, Some(routed)),
                None => of_rest_api(sent, routed),
            };
            (needed(event, "httpMethod")?, path, has_unclear_path)
        }
    };
    Ok(Asked {
        kind: Kind::FormatOne,
        arn,
        method,
        target: path::target(path, &path::query(&query)),
        fields: repeated_fields(event)?,
        domain_name: domain_name(event),
        has_unclear_path,
    })
}

fn format_two(event: &Value) -> Result<Asked<'_>, EventError> {
    let method = text(event, &["requestContext", "http", "method"]);
    let arn = arn(event, "routeArn")?;
    let routed = match arn.place() {
        Some(Place::Http { path, .. }) => Some(path),
        Some(Place::Connect) | None => None,
    };
    let (path, has_unclear_path) = of_http_api(event, needed(event, "rawPath")?, routed);
    Ok(Asked {
        kind: Kind::FormatTwo,
        arn,
        method: method.ok_or(EventError::Member("requestContext.http.method"))?,
        target: path::target(path, text(event, &["rawQueryString"]).unwrap_or_default()),
        fields: fields_and_cookies(event)?,
        domain_name: domain_name(event),
        has_unclear_path,
    })
}

/// The path, which a REST API leaves as it was sent, and whether it is unclear: behind a name of one's
/// own its beginning may be no part of the API, and the ARN does not tell how much.
fn of_rest_api(sent: &str, routed: &str) -> (String, bool) {
    match own_path(sent, routed) {
        Some(own) => (path::as_sent(own), false),
        // What is no path is nothing that a base path could stand in front of.
        None => (path::as_sent(sent), sent.starts_with('/')),
    }
}

/// The path, which an HTTP API decodes, and whether it is unclear: a `%` that is left was sent as
/// `%25`, or it is one that encodes nothing; or it may begin with the stage, and the ARN does not tell.
fn of_http_api(event: &Value, path: &str, routed: Option<&str>) -> (String, bool) {
    let own = routed.and_then(|routed| own_path(path, routed));
    let has_escape = path.contains('%');
    match own {
        Some(own) if own.len() < path.len() => (path::encoded(own), has_escape),
        own => {
            let is_unclear = own.is_none() && path::may_begin_with_stage(event, path);
            (path::of_http_api(event, path), has_escape || is_unclear)
        }
    }
}

fn arn<'e>(event: &'e Value, name: &'static str) -> Result<MethodArn<'e>, EventError> {
    MethodArn::parse(needed(event, name)?).ok_or(EventError::Member(name))
}

fn domain_name(event: &Value) -> &str {
    text(event, &["requestContext", "domainName"]).unwrap_or_default()
}

/// `headers` has the last value of each field only, so it will not do.
fn repeated_fields(event: &Value) -> Result<Vec<(&str, String)>, EventError> {
    match multiple(event, "multiValueHeaders")? {
        Some(fields) => {
            Ok(fields.into_iter().map(|(name, value)| (name, value.to_owned())).collect())
        }
        None if object(event, "headers")?.is_none() => Ok(Vec::new()),
        None => Err(EventError::Member("multiValueHeaders")),
    }
}

/// The fields, those of one name joined by commas, and the cookies, which stand in a list of their
/// own. A `Cookie` field that says something else beside the list is a second one.
fn fields_and_cookies(event: &Value) -> Result<Vec<(&str, String)>, EventError> {
    let fields = single(event, "headers")?.into_iter();
    let mut fields: Vec<(&str, String)> =
        fields.map(|(name, value)| (name, value.to_owned())).collect();
    let cookies = match event.get("cookies") {
        None | Some(Value::Null) => return Ok(fields),
        Some(Value::Array(cookies)) => cookies,
        Some(_) => return Err(EventError::Member("cookies")),
    };
    let cookies = cookies.iter().map(Value::as_str).collect::<Option<Vec<&str>>>();
    let cookies = cookies.ok_or(EventError::Member("cookies"))?.join("; ");
    fields.retain(|(name, value)| !name.eq_ignore_ascii_case("cookie") || *value != cookies);
    if !cookies.is_empty() {
        fields.push(("cookie", cookies));
    }
    Ok(fields)
}

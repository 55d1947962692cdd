//! Which requests a rule is for: Envoy's `RouteMatch`.

use std::borrow::Cow;

use regex_lite::Regex;

use super::{
    error::PolicyError,
    field_match::{HeaderMatcher, QueryParameterMatcher},
    path_template,
    raw::{RawMatch, RawPathMatchPolicy},
    string_matcher::full_match,
};
use crate::{
    denial::Denial,
    request::{Request, decode_path},
};

/// The type of the one path match policy that there is.
const URI_TEMPLATE: &str =
    "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig";

/// All of it has to match.
#[derive(Debug)]
pub(crate) struct RouteMatch {
    path: PathMatch,
    ignore_case: bool,
    methods: Option<Vec<String>>,
    headers: Vec<HeaderMatcher>,
    query_parameters: Vec<QueryParameterMatcher>,
    grpc: bool,
}

#[derive(Debug)]
enum PathMatch {
    Prefix(String),
    SeparatedPrefix(String),
    Exact(String),
    Regex(Regex),
    Connect,
}

impl RouteMatch {
    pub(super) fn new(raw: &RawMatch, member: &str) -> Result<Self, PolicyError> {
        let methods = methods(raw.methods.as_deref(), &format!("{member}.methods"))?;
        let path = PathMatch::new(raw, member)?;
        let ignore_case = raw.case_sensitive == Some(false);
        if ignore_case && matches!(path, PathMatch::Regex(_) | PathMatch::Connect) {
            let reason = "it has an effect on `prefix`, `path` and `path_separated_prefix` only";
            return Err(PolicyError::new(format!("{member}.case_sensitive"), reason));
        }
        let header = |(index, raw)| HeaderMatcher::new(raw, &format!("{member}.headers[{index}]"));
        let parameter = |(index, raw)| {
            QueryParameterMatcher::new(raw, &format!("{member}.query_parameters[{index}]"))
        };
        Ok(Self {
            path: if ignore_case { path.folded() } else { path },
            ignore_case,
            methods,
            headers: raw.headers.iter().enumerate().map(header).collect::<Result<_, _>>()?,
            query_parameters: raw
                .query_parameters
                .iter()
                .enumerate()
                .map(parameter)
                .collect::<Result<_, _>>()?,
            grpc: raw.grpc.is_some(),
        })
    }

    /// Whether a request is one of these. `path` is its decoded path.
    ///
    /// # Errors
    ///
    /// [`Denial::HeaderAmbiguous`] and [`Denial::QueryAmbiguous`] where method and path match and
    /// the rest cannot be told.
    pub(crate) fn matches(
        &self,
        request: &Request<'_>,
        method: &str,
        path: &str,
    ) -> Result<bool, Denial> {
        let method_fits =
            self.methods.as_ref().is_none_or(|methods| methods.iter().any(|name| name == method));
        if !method_fits || !self.matches_path(method, path) || (self.grpc && !request.is_grpc()) {
            return Ok(false);
        }
        for header in &self.headers {
            if !header.matches(request)? {
                return Ok(false);
            }
        }
        for parameter in &self.query_parameters {
            if !parameter.matches(request)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether every request with a path is one of these.
    pub(super) fn matches_all(&self) -> bool {
        let unconditional = self.methods.is_none()
            && self.headers.is_empty()
            && self.query_parameters.is_empty()
            && !self.grpc;
        unconditional && matches!(&self.path, PathMatch::Prefix(prefix) if prefix == "/")
    }

    /// Whether header fields or query parameters of a request decide.
    pub(super) fn asks_for_fields(&self) -> bool {
        !self.headers.is_empty() || !self.query_parameters.is_empty() || self.grpc
    }

    /// What the paths of all its requests begin with, if anything is known of that.
    pub(super) fn path_start(&self) -> Option<&str> {
        match &self.path {
            PathMatch::Prefix(text) | PathMatch::SeparatedPrefix(text) | PathMatch::Exact(text)
                if !self.ignore_case =>
            {
                Some(text)
            }
            _ => None,
        }
    }

    /// Whether it may match a request without a path, too.
    pub(super) fn is_for_connect(&self) -> bool {
        matches!(self.path, PathMatch::Connect)
    }

    /// Services that ignore case do so for all letters: `\u{212a}` (Kelvin) is a `k` to many.
    fn matches_path(&self, method: &str, path: &str) -> bool {
        if self.ignore_case {
            return self.path.matches(method, &path.to_lowercase());
        }
        self.path.matches(method, path)
    }
}

impl PathMatch {
    fn new(raw: &RawMatch, member: &str) -> Result<Self, PolicyError> {
        let mut named = Vec::new();
        if let Some(prefix) = &raw.prefix {
            named.push(plain_path(prefix, "x", &format!("{member}.prefix")).map(Self::Prefix));
        }
        if let Some(path) = &raw.path {
            named.push(plain_path(path, "", &format!("{member}.path")).map(Self::Exact));
        }
        if let Some(prefix) = &raw.path_separated_prefix {
            let place = format!("{member}.path_separated_prefix");
            named.push(separated_prefix(prefix, &place).map(Self::SeparatedPrefix));
        }
        if let Some(raw) = &raw.safe_regex {
            let place = format!("{member}.safe_regex.regex");
            named.push(path_regex(&raw.regex, &place).map(Self::Regex));
        }
        if let Some(template) = &raw.path_template {
            let place = format!("{member}.path_template");
            named.push(path_template::compile(template, &place).map(Self::Regex));
        }
        if let Some(policy) = &raw.path_match_policy {
            named.push(uri_template(policy, &format!("{member}.path_match_policy")));
        }
        if raw.connect_matcher.is_some() {
            named.push(Ok(Self::Connect));
        }
        match named.pop() {
            Some(path) if named.is_empty() => path,
            _ => {
                let reason = "it needs one of `prefix`, `path`, `safe_regex`, \
                              `path_separated_prefix`, `path_template`, `path_match_policy` and \
                              `connect_matcher`";
                Err(PolicyError::new(member, reason))
            }
        }
    }

    fn folded(self) -> Self {
        match self {
            Self::Prefix(text) => Self::Prefix(text.to_lowercase()),
            Self::SeparatedPrefix(text) => Self::SeparatedPrefix(text.to_lowercase()),
            Self::Exact(text) => Self::Exact(text.to_lowercase()),
            other => other,
        }
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        match self {
            Self::Prefix(prefix) => path.starts_with(prefix),
            Self::SeparatedPrefix(prefix) => path
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            Self::Exact(exact) => path == exact,
            Self::Regex(regex) => regex.is_match(path),
            Self::Connect => method == "CONNECT",
        }
    }
}

fn uri_template(policy: &RawPathMatchPolicy, member: &str) -> Result<PathMatch, PolicyError> {
    if policy.typed_config.type_url != URI_TEMPLATE {
        let reason = format!("it must be `{URI_TEMPLATE}`");
        return Err(PolicyError::new(format!("{member}.typed_config.@type"), reason));
    }
    let place = format!("{member}.typed_config.path_template");
    path_template::compile(&policy.typed_config.path_template, &place).map(PathMatch::Regex)
}

fn path_regex(pattern: &str, member: &str) -> Result<Regex, PolicyError> {
    if pattern.contains('%') {
        let reason = "it is matched against the decoded path, so it must hold no `%`";
        return Err(PolicyError::new(member, reason));
    }
    if pattern.contains("//") {
        return Err(PolicyError::new(member, "no request can have a path with `//`"));
    }
    let regex = full_match(pattern).map_err(|error| PolicyError::new(member, error))?;
    if pattern.starts_with(|first: char| first.is_alphanumeric()) {
        return Err(PolicyError::new(member, "it must begin with `/`, as every path does"));
    }
    if [r"\?", ";", "#", r"\\"].iter().any(|sign| pattern.contains(sign)) {
        let reason = "no request can have a path with `?`, `;`, `#` or `\\`";
        return Err(PolicyError::new(member, reason));
    }
    Ok(regex)
}

/// A path in a policy is read as a request's is: decoded, without a query. One that no request
/// can have would leave its rule without effect, and what the rule guards to the rules behind it.
/// With `rest`, the path may go on.
pub(super) fn plain_path(path: &str, rest: &str, member: &str) -> Result<String, PolicyError> {
    if !path.starts_with('/') {
        return Err(PolicyError::new(member, "it must begin with `/`"));
    }
    if path.contains(['?', '#']) {
        return Err(PolicyError::new(member, "it must hold neither a query nor a fragment"));
    }
    let whole = format!("{path}{rest}");
    let decoded = decode_path(whole.as_bytes()).ok_or_else(|| {
        PolicyError::new(member, "no request can have this path: it is ambiguous")
    })?;
    Ok(match decoded {
        Cow::Borrowed(text) => text.strip_suffix(rest).unwrap_or(text).to_owned(),
        Cow::Owned(text) => text.strip_suffix(rest).unwrap_or(&text).to_owned(),
    })
}

fn separated_prefix(prefix: &str, member: &str) -> Result<String, PolicyError> {
    if prefix.ends_with('/') {
        return Err(PolicyError::new(member, "it must not end with `/`"));
    }
    plain_path(prefix, "", member)
}

fn methods(names: Option<&[String]>, member: &str) -> Result<Option<Vec<String>>, PolicyError> {
    let Some(names) = names else { return Ok(None) };
    if names.is_empty() {
        return Err(PolicyError::new(member, "an empty list would match nothing"));
    }
    let is_method = |name: &&String| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-')
    };
    match names.iter().find(|name| !is_method(name)) {
        Some(name) => Err(PolicyError::new(member, format!("`{name}` is not a method name"))),
        None => Ok(Some(names.to_vec())),
    }
}

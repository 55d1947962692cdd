//! Rules: which requests need what, and what becomes of those that do not have it.

use super::{
    conditions::Conditions,
    error::PolicyError,
    provider::identity_header,
    raw::{RawDenyResponse, RawRule},
    requirement::{Compiler, Need, OPEN, Requirement},
    route_match::RouteMatch,
};
use crate::{denial::Denial, request::Request};

/// The header that tells the upstream what a rule on trial would have done.
const DEFAULT_REPORT_HEADER: &str = "x-postern-report-only";

/// One rule: the requests that it is for, and what they need.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Its place among the policy's rules.
    pub(crate) index: usize,
    pub(crate) name: String,
    route: RouteMatch,
    pub(crate) requirement: Requirement,
    pub(crate) conditions: Conditions,
    pub(crate) deny_response: DenyResponse,
    /// Where it is on trial: the header that tells what it would have done. The next rule decides.
    pub(crate) report_header: Option<String>,
}

/// How a rule's denials are answered where that differs from the table of denials.
#[derive(Debug, Clone, Default)]
pub(crate) struct DenyResponse {
    /// In place of 401 and 403.
    pub(crate) status: Option<u16>,
    /// For browsers that have no valid token.
    pub(crate) redirect: Option<Redirect>,
}

/// Where a browser is sent to.
#[derive(Debug, Clone)]
pub(crate) struct Redirect {
    pub(crate) status: u16,
    /// With `{original_url}` and `{original_path}` to be filled in.
    pub(crate) location: String,
}

impl Rule {
    /// The rule of this index. `named` compiles its `requirement_name`.
    pub(super) fn new(
        raw: &RawRule,
        index: usize,
        compiler: &mut Compiler<'_>,
        named: impl Fn(&str) -> Option<Requirement>,
    ) -> Result<Self, PolicyError> {
        let member = format!("rules[{index}]");
        let place = |field: &str| format!("{member}.{field}");
        let requirement = match (&raw.requires, &raw.requirement_name) {
            (None, None) => OPEN.clone(),
            (Some(raw), None) => compiler.compile(raw, &place("requires"))?,
            (None, Some(name)) => named(name).ok_or_else(|| {
                let reason = format!("there is no `{name}` in `requirement_map`");
                PolicyError::new(place("requirement_name"), reason)
            })?,
            _ => {
                let reason = "it needs at most one of `requires` and `requirement_name`";
                return Err(PolicyError::new(member, reason));
            }
        };
        let conditions = Conditions::new(raw.scopes.as_deref(), raw.claims.as_deref(), &member)?;
        if !conditions.is_empty() && requirement.need.may_lack_a_token() {
            let reason = "`scopes` and `claims` need a token, and `requires` lets through without";
            return Err(PolicyError::new(member, reason));
        }
        let rule = Self {
            index,
            name: rule_name(raw, index, &place("name"))?,
            route: RouteMatch::new(&raw.r#match, &place("match"))?,
            requirement,
            conditions,
            deny_response: deny_response(raw.deny_response.as_ref(), &place("deny_response"))?,
            report_header: report_header(raw, &place("report_only_header"))?,
        };
        let is_open = raw.requires.is_none() && raw.requirement_name.is_none();
        if is_open && (raw.report_only || raw.deny_response.is_some()) {
            let reason = "a rule that opens its path denies nothing: `report_only` and \
                          `deny_response` have no effect";
            return Err(PolicyError::new(member, reason));
        }
        Ok(rule)
    }

    /// Whether the rule is for this request, whose decoded path is `path`.
    ///
    /// # Errors
    ///
    /// [`Denial::HeaderAmbiguous`] and [`Denial::QueryAmbiguous`] where that cannot be told.
    pub(crate) fn matches(
        &self,
        request: &Request<'_>,
        method: &str,
        path: &str,
    ) -> Result<bool, Denial> {
        self.route.matches(request, method, path)
    }

    /// What the paths of all its requests begin with, if anything is known of that.
    pub(super) fn path_start(&self) -> Option<&str> {
        self.route.path_start()
    }

    /// Whether it decides on every request with a path.
    pub(super) fn is_for_all(&self) -> bool {
        self.report_header.is_none() && self.route.matches_all()
    }

    /// Whether it asks for more of a request than its method and path.
    pub(super) fn asks_for_fields(&self) -> bool {
        self.route.asks_for_fields()
    }

    /// Whether it opens all that a later rule means to guard.
    pub(super) fn opens_what_is_guarded_by(&self, later: &Self) -> bool {
        let is_open = |rule: &Self| matches!(rule.requirement.need, Need::Open);
        let opens_all = is_open(self) && self.route.matches_all();
        opens_all && !is_open(later) && !later.route.is_for_connect()
    }
}

/// It goes into headers, logs and metrics.
fn rule_name(raw: &RawRule, index: usize, member: &str) -> Result<String, PolicyError> {
    let Some(name) = &raw.name else { return Ok(index.to_string()) };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(is_plain) {
        let reason = "a name is 1 to 64 letters, digits, `-`, `_` and `.`";
        return Err(PolicyError::new(member, reason));
    }
    Ok(name.clone())
}

fn report_header(raw: &RawRule, member: &str) -> Result<Option<String>, PolicyError> {
    match &raw.report_only_header {
        Some(_) if !raw.report_only => {
            Err(PolicyError::new(member, "it has no effect without `report_only`"))
        }
        _ if !raw.report_only => Ok(None),
        name => {
            let name = name.as_deref().unwrap_or(DEFAULT_REPORT_HEADER);
            identity_header(name, member).map(Some)
        }
    }
}

fn deny_response(raw: Option<&RawDenyResponse>, member: &str) -> Result<DenyResponse, PolicyError> {
    let Some(raw) = raw else { return Ok(DenyResponse::default()) };
    if raw.status.is_some_and(|status| !(400..=599).contains(&status)) {
        let reason = "it must be a status from 400 to 599";
        return Err(PolicyError::new(format!("{member}.status"), reason));
    }
    let redirect = raw.redirect.as_ref().map(|redirect| {
        let status = redirect.status.unwrap_or(302);
        if ![302, 303, 307].contains(&status) {
            let place = format!("{member}.redirect.status");
            return Err(PolicyError::new(place, "it must be 302, 303 or 307"));
        }
        let location = location(&redirect.location, &format!("{member}.redirect.location"))?;
        Ok(Redirect { status, location })
    });
    Ok(DenyResponse { status: raw.status, redirect: redirect.transpose()? })
}

/// An absolute URL, or a path on the same host. The placeholders must stand behind its authority,
/// which is not the client's to choose.
fn location(text: &str, member: &str) -> Result<String, PolicyError> {
    let error = |reason: &str| Err(PolicyError::new(member, reason));
    let behind_scheme = text.strip_prefix("https://").or(text.strip_prefix("http://"));
    let authority = match behind_scheme {
        Some(rest) => rest.split(['/', '?', '#']).next().unwrap_or_default(),
        None if text.starts_with('/') && !text.starts_with("//") => "same host",
        None => return error("it must be an absolute `https` or `http` URL, or a path"),
    };
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains('\\') {
        return error("it must be visible ASCII without `\\`");
    }
    if authority.is_empty() || authority.contains(['{', '@']) {
        return error("its host must be written out, without user information");
    }
    let rest = text.replace("{original_url}", "").replace("{original_path}", "");
    if rest.contains(['{', '}']) {
        return error("it may hold `{original_url}` and `{original_path}`, and no other braces");
    }
    Ok(text.to_owned())
}

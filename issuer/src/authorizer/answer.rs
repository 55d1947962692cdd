//! What API Gateway is answered.

use serde_json::{Map, Value, json};

/// Longer values are left out of the context, which API Gateway bounds as a whole.
const MAX_CONTEXT_BYTES: usize = 1024;
/// Of whom no token speaks.
const ANONYMOUS: &str = "anonymous";

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// An IAM policy.
    Policy,
    /// `isAuthorized`.
    Simple,
}

/// Whom a request speaks for, as far as that is known.
#[derive(Debug, Default)]
pub(super) struct Caller {
    pub(super) subject: Option<String>,
    pub(super) domain: Option<String>,
    pub(super) scopes: Option<String>,
    pub(super) provider: Option<String>,
}

/// Lets through what `resource` says. A simple answer has no resource.
pub(super) fn allow(form: Form, caller: &Caller, resource: &str) -> Value {
    answer(form, true, caller, "allowed", resource)
}

/// Refuses; `code` says why.
pub(super) fn deny(form: Form, caller: &Caller, code: &str, resource: &str) -> Value {
    answer(form, false, caller, code, resource)
}

fn answer(form: Form, allowed: bool, caller: &Caller, code: &str, resource: &str) -> Value {
    let context = context(caller, code);
    match form {
        Form::Simple => json!({ "isAuthorized": allowed, "context": context }),
        Form::Policy => json!({
            "principalId": caller.subject.as_deref().unwrap_or(ANONYMOUS),
            "policyDocument": {
                "Version": "2012-10-17",
                "Statement": [{
                    "Action": "execute-api:Invoke",
                    "Effect": if allowed { "Allow" } else { "Deny" },
                    "Resource": resource,
                }],
            },
            "context": context,
        }),
    }
}

/// Texts only: format 1.0 takes no lists and no objects.
fn context(caller: &Caller, code: &str) -> Map<String, Value> {
    let Caller { subject, domain, scopes, provider } = caller;
    let members = [
        ("subject", subject.as_deref()),
        ("domain", domain.as_deref()),
        ("scopes", scopes.as_deref()),
        ("provider", provider.as_deref()),
        ("code", Some(code)),
    ];
    let members = members.into_iter().filter_map(|(name, value)| Some((name, value?)));
    members
        .filter(|(_, value)| value.len() <= MAX_CONTEXT_BYTES)
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect()
}

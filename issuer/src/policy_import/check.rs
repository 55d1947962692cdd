//! The one place where an import asks the core whether a policy can be used.

use postern_verify::{Policy, PolicyError};
use serde_json::{Value, json};

/// What the core finds wrong with a whole policy.
pub(super) fn policy(policy: &Value) -> Option<PolicyError> {
    Policy::parse(policy.to_string().as_bytes()).err()
}

/// What the core finds wrong with one provider.
pub(super) fn provider(name: &str, provider: &Value) -> Option<PolicyError> {
    policy(&json!({"providers": {name: provider}, "rules": []}))
}

/// What the core finds wrong with what a rule matches; the member is `rules[0].match…`.
pub(super) fn matcher(matcher: &Value) -> Option<PolicyError> {
    policy(&json!({"rules": [{"match": matcher}]}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_cannot_load_is_told() {
        assert_eq!(policy(&json!({"rules": [{"match": {"prefix": "/"}}]})), None);
        assert_eq!(matcher(&json!({"path": "/a/../b"})).unwrap().member, "rules[0].match.path");
        let remote = json!({"http_uri": {"uri": "ftp://example.com"}});
        let value = json!({"issuer": "a", "remote_jwks": remote});
        let member = "providers.shop.remote_jwks.http_uri.uri";
        assert_eq!(provider("shop", &value).unwrap().member, member);
    }
}

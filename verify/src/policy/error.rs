//! What can be wrong with a policy.

use std::fmt;

/// A policy that cannot be used: which member, and why.
///
/// # Example
///
/// ```
/// let error = postern_verify::Policy::parse(br#"{"rules": [{"match": {"prefx": "/"}}]}"#);
/// let message = error.unwrap_err().to_string();
/// assert!(message.starts_with("rules[0].match.prefx: unknown field `prefx`"), "{message}");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyError {
    /// Path of the member, such as `providers.shop.issuer`; empty for the document itself.
    pub member: String,
    /// What is wrong with it.
    pub reason: String,
}

impl PolicyError {
    /// An error about `member`; for adapters that demand more of a policy than the core does.
    pub fn new(member: impl Into<String>, reason: impl fmt::Display) -> Self {
        Self { member: member.into(), reason: reason.to_string() }
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.member.is_empty() {
            return formatter.write_str(&self.reason);
        }
        write!(formatter, "{}: {}", self.member, self.reason)
    }
}

impl std::error::Error for PolicyError {}

//! The policy: which requests need a token of which provider. Names follow Envoy's `jwt_authn`.

mod error;
mod provider;
mod raw;
mod rule;

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde_json::Value;

use self::raw::RawPolicy;
pub use self::{error::PolicyError, provider::RemoteJwks};
pub(crate) use self::{
    provider::{KeySource, Location, Provider},
    rule::{Fallback, ProviderIndex, Requirement, Rule},
};
use crate::{denial::Denial, json, request::Request};

/// A validated policy. The first rule that matches a request decides what it needs; a request
/// that no rule matches is denied.
#[derive(Debug)]
pub struct Policy {
    pub(crate) providers: Vec<Provider>,
    rules: Vec<Rule>,
    identity_headers: BTreeSet<String>,
}

impl Policy {
    /// Parses and validates a policy document (JSON).
    ///
    /// # Errors
    ///
    /// [`PolicyError`] names the first member that is unknown, missing, doubled or out of bounds.
    pub fn parse(document: &[u8]) -> Result<Self, PolicyError> {
        let value = json::parse(document).map_err(|error| PolicyError::new("", error))?;
        refuse_null(&value, "")?;
        let raw: RawPolicy = from_value(value, "")?;
        let mut providers = Vec::new();
        for (name, value) in raw.providers {
            let member = format!("providers.{name}");
            providers.push(Provider::new(&name, from_value(value, &member)?)?);
        }
        let names: BTreeMap<String, ProviderIndex> = providers
            .iter()
            .enumerate()
            .map(|(index, provider)| (provider.name.clone(), index))
            .collect();
        let mut rules = Vec::new();
        for (index, value) in raw.rules.into_iter().enumerate() {
            let raw = from_value(value, &format!("rules[{index}]"))?;
            rules.push(Rule::new(raw, index, &names)?);
        }
        let identity_headers =
            providers.iter().flat_map(Provider::identity_headers).map(str::to_owned).collect();
        Ok(Self { providers, rules, identity_headers })
    }

    /// Names of the providers, in the order that their indices in [`crate::Fetch`] count.
    pub fn provider_names(&self) -> impl Iterator<Item = &str> {
        self.providers.iter().map(|provider| provider.name.as_str())
    }

    /// The providers whose keys are fetched, by name.
    pub fn remote_providers(&self) -> impl Iterator<Item = (&str, &RemoteJwks)> {
        self.providers.iter().filter_map(|provider| match &provider.keys {
            KeySource::Remote(remote) => Some((provider.name.as_str(), remote)),
            KeySource::Local(_) => None,
        })
    }

    /// All headers that any provider may set, in lower case. They are removed from every request
    /// that comes in, whether or not it carries a token.
    pub fn identity_headers(&self) -> impl Iterator<Item = &str> {
        self.identity_headers.iter().map(String::as_str)
    }

    /// What the first matching rule demands of a request.
    pub(crate) fn requirement(&self, request: &Request<'_>) -> Result<&Requirement, Denial> {
        let (method, path) = (request.method()?, request.path()?);
        self.rules
            .iter()
            .find(|rule| rule.matches(method, &path))
            .map(|rule| &rule.requirement)
            .ok_or(Denial::NoMatchingRule)
    }
}

/// A `null` is most often a template that found no value, and `requires: null` would open a path.
fn refuse_null(value: &Value, member: &str) -> Result<(), PolicyError> {
    match value {
        Value::Null => Err(PolicyError::new(member, "it must not be null")),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| refuse_null(item, &format!("{member}[{index}]"))),
        Value::Object(members) => members.iter().try_for_each(|(name, item)| {
            let dot = if member.is_empty() { "" } else { "." };
            refuse_null(item, &format!("{member}{dot}{name}"))
        }),
        _ => Ok(()),
    }
}

fn from_value<T: DeserializeOwned>(value: Value, member: &str) -> Result<T, PolicyError> {
    if !value.is_object() {
        return Err(PolicyError::new(member, "it must be an object"));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let inner = error.path().to_string();
        let member = match (member, inner.as_str()) {
            (member, ".") => member.to_owned(),
            ("", inner) => inner.to_owned(),
            (member, inner) => format!("{member}.{inner}"),
        };
        PolicyError::new(member, without_value(&error.inner().to_string()))
    })
}

/// Serde quotes the value that it did not expect, and a misplaced one can be a secret.
fn without_value(message: &str) -> String {
    let value_start = |message: &str| message.find(['"', '`']);
    match message.rsplit_once(", expected ") {
        Some((found, expected)) if found.starts_with("invalid ") => {
            let kind = value_start(found).and_then(|start| found.get(..start)).unwrap_or(found);
            let expected = if expected == "u32" { "a whole number" } else { expected };
            format!("{}, expected {expected}", kind.trim_end())
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests;

//! Istio's `RequestAuthentication` and `AuthorizationPolicy`.
//!
//! Istio refuses bad tokens wherever they stand and lets requests without one go on; then a
//! request passes if no `DENY` rule matches, and an `ALLOW` rule matches or there is none at all.
//! A Postern policy is a list of which the first match decides, so the rules of all documents are
//! laid over each other into one [`plan::Plan`].

mod authorization;
mod condition;
mod need;
mod operation;
mod pattern;
mod plan;
mod provider;
mod resource;
mod traffic;

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub(super) use self::resource::{Resource, resources};
use self::{
    need::Need,
    plan::{Cell, Plan},
    provider::Provider,
};
use super::{ImportError, Notes, policy::closed_rule};

/// The policy of these documents.
pub(super) fn policy(resources: &[Resource<'_>], notes: &mut Notes) -> Result<Value, ImportError> {
    resource::refuse_several_workloads(resources)?;
    let mut providers = Vec::new();
    for resource in resources.iter().filter(|resource| resource.kind == "RequestAuthentication") {
        provider::read_all(resource, &mut providers, notes)?;
    }
    if providers.is_empty() {
        let reason =
            "no rule of a `RequestAuthentication` can be carried, so there is nothing to import";
        return Err(ImportError::new("", reason));
    }
    let mut plan = Plan::default();
    authorization::read_all(resources, &providers, &mut plan, notes)?;
    let rules: Vec<Value> = plan.into_cells().iter().map(|cell| rule(cell, &providers)).collect();
    let providers: BTreeMap<String, Value> =
        providers.into_iter().map(|provider| (provider.name, provider.words)).collect();
    Ok(json!({"providers": providers, "rules": rules}))
}

fn rule(cell: &Cell, providers: &[Provider]) -> Value {
    let matcher = cell.traffic.words();
    match &cell.need {
        Need::Closed => {
            let names = providers.iter().map(|provider| provider.name.as_str());
            closed_rule(matcher, &cell.place, names)
        }
        Need::Open => json!({"match": matcher, "requires": {"allow_missing": {}}}),
        Need::Token(token) => {
            let mut rule = json!({"match": matcher, "requires": token.requires(providers)});
            let claims: Vec<Value> = token.claims.iter().map(need::Claim::words).collect();
            if let (Some(rule), false) = (rule.as_object_mut(), claims.is_empty()) {
                rule.insert("claims".to_owned(), Value::Array(claims));
            }
            rule
        }
    }
}

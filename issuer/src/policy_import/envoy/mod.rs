//! Envoy's `envoy.filters.http.jwt_authn`.

mod find;
mod keys;
mod matcher;
mod provider;
mod requirement;
mod rule;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

pub(super) use self::find::{Filter, find};
use self::{requirement::Requirements, rule::Rules};
use super::{ImportError, Notes, ReadFile, members::Members};

/// The policy of a filter.
pub(super) fn policy(
    filter: &Filter<'_>,
    read_file: &ReadFile<'_>,
    notes: &mut Notes,
) -> Result<Value, ImportError> {
    let mut members = filter.config.members()?;
    let providers = providers(&mut members, read_file, notes)?;
    let mut requirements = Requirements::new(&providers);
    if let Some(node) = members.take("requirement_map") {
        requirements.read_map(&node, notes)?;
    }
    let mut rules = Rules::new(&requirements, filter.per_route_requirement);
    for node in members.take_items("rules")? {
        rules.add(&node, notes)?;
    }
    let filter_state = members.take("filter_state_rules");
    rules.finish(filter_state.as_ref().map(|node| node.place.as_str()), notes);

    let mut policy = Map::new();
    if let Some(node) = filter_state {
        let words = rule::filter_state_rules(&node, &requirements, notes)?;
        policy.insert("filter_state_rules".to_owned(), words);
    }
    policy.insert("rules".to_owned(), Value::Array(rules.into_rules(&filter.config.place)?));
    if !requirements.map.is_empty() {
        policy.insert("requirement_map".to_owned(), json!(requirements.map));
    }
    policy.insert("providers".to_owned(), json!(providers));
    settings(&mut members, &mut policy)?;
    Ok(Value::Object(policy))
}

fn providers(
    members: &mut Members<'_>,
    read_file: &ReadFile<'_>,
    notes: &mut Notes,
) -> Result<BTreeMap<String, Value>, ImportError> {
    let mut providers = BTreeMap::new();
    let Some(node) = members.take("providers") else { return Ok(providers) };
    for (name, node) in node.entries()? {
        if let Some(provider) = provider::read(name, &node, read_file, notes)? {
            providers.insert(name.to_owned(), provider);
        }
    }
    Ok(providers)
}

/// What is neither about providers nor about rules. What is not known may restrict the rest.
fn settings(members: &mut Members<'_>, policy: &mut Map<String, Value>) -> Result<(), ImportError> {
    for name in ["bypass_cors_preflight", "strip_failure_response"] {
        if members.take_bool(name)? {
            policy.insert(name.to_owned(), json!(true));
        }
    }
    if let Some(prefix) = members.take_string("stat_prefix")? {
        policy.insert("stat_prefix".to_owned(), json!(prefix));
    }
    match members.rest().first() {
        Some(place) => Err(ImportError::new(place, "Postern does not know what this member means")),
        None => Ok(()),
    }
}

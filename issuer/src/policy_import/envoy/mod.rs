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
use super::{ImportError, Notes, ReadFile};

/// The policy of a filter.
pub(super) fn policy(
    filter: &Filter<'_>,
    read_file: &ReadFile<'_>,
    notes: &mut Notes,
) -> Result<Value, ImportError> {
    let mut members = filter.config.members()?;
    let mut providers = BTreeMap::new();
    if let Some(node) = members.take("providers") {
        for (name, node) in node.entries()? {
            if let Some(provider) = provider::read(name, &node, read_file, notes)? {
                providers.insert(name.to_owned(), provider);
            }
        }
    }
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
    let filter_state = filter_state
        .map(|node| rule::filter_state_rules(&node, &requirements, notes))
        .transpose()?;

    let mut policy = Map::new();
    policy.insert("providers".to_owned(), json!(providers));
    policy.insert("rules".to_owned(), Value::Array(rules.into_rules(&filter.config.place)?));
    if !requirements.map.is_empty() {
        policy.insert("requirement_map".to_owned(), json!(requirements.map));
    }
    if let Some(filter_state) = filter_state {
        policy.insert("filter_state_rules".to_owned(), filter_state);
    }
    for name in ["bypass_cors_preflight", "strip_failure_response"] {
        if members.take_bool(name)? {
            policy.insert(name.to_owned(), json!(true));
        }
    }
    if let Some(prefix) = members.take_string("stat_prefix")? {
        policy.insert("stat_prefix".to_owned(), json!(prefix));
    }
    if let Some(place) = members.rest().first() {
        // It may restrict what the rest opens.
        return Err(ImportError::new(place, "Postern does not know what this member means"));
    }
    Ok(Value::Object(policy))
}

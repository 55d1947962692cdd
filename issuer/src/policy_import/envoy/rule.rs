//! The rules of `jwt_authn`, in their order: the first that matches decides, there as here.

use serde_json::{Map, Value, json};

use super::{
    super::{ImportError, Notes, members::Node, policy::closed_rule},
    matcher::route_match,
    requirement::{Requirement, Requirements},
};

/// The rules of the policy as they are put together.
pub(super) struct Rules<'a> {
    requirements: &'a Requirements<'a>,
    /// A route names its own requirement, so an open rule may open what that guards.
    without_open: bool,
    words: Vec<Value>,
    needs_provider: bool,
}

impl<'a> Rules<'a> {
    pub(super) fn new(requirements: &'a Requirements<'a>, without_open: bool) -> Self {
        Self { requirements, without_open, words: Vec::new(), needs_provider: false }
    }

    pub(super) fn add(&mut self, node: &Node<'_>, notes: &mut Notes) -> Result<(), ImportError> {
        let mut members = node.members()?;
        let matcher = members
            .take("match")
            .ok_or_else(|| ImportError::new(&node.place, "it needs `match`"))?;
        let found = route_match(&matcher, notes)?;
        let (requirement, words) = self.requirement(&mut members, notes)?;
        let unknown = members.rest();
        for place in &unknown {
            notes.left_out(place, "a policy cannot say it");
        }
        if found.never {
            return Ok(());
        }
        let always_met = match requirement {
            Requirement::Open => true,
            Requirement::Needs { always_met, .. } => always_met,
            Requirement::Closed => false,
        };
        if always_met && (found.wider || self.without_open) {
            let text = "the rule is left out: it would open more than it should; what it opened is \
                        up to the rules behind it";
            notes.left_out(&node.place, text);
            return Ok(());
        }
        let matcher = Value::Object(found.matcher);
        if requirement == Requirement::Closed || found.wider || !unknown.is_empty() {
            notes.left_out(&node.place, "the rule is closed: it denies all that may match it");
            self.needs_provider = true;
            let providers = self.requirements.providers.keys().map(String::as_str);
            self.words.push(closed_rule(matcher, &node.place, providers));
            return Ok(());
        }
        let mut rule = Map::new();
        rule.insert("match".to_owned(), matcher);
        rule.extend(words);
        self.words.push(Value::Object(rule));
        Ok(())
    }

    /// What the rule requires, and the member that says so.
    fn requirement(
        &self,
        members: &mut super::super::members::Members<'_>,
        notes: &mut Notes,
    ) -> Result<(Requirement, Option<(String, Value)>), ImportError> {
        if let Some(name) = members.take_string("requirement_name")? {
            let requirement = self.requirements.named(name).clone();
            let word = matches!(requirement, Requirement::Needs { .. })
                .then(|| ("requirement_name".to_owned(), json!(name)));
            return Ok((requirement, word));
        }
        let Some(node) = members.take("requires") else { return Ok((Requirement::Open, None)) };
        let requirement = self.requirements.top(&node, notes)?;
        let word = match &requirement {
            Requirement::Needs { value, .. } => Some(("requires".to_owned(), value.clone())),
            _ => None,
        };
        Ok((requirement, word))
    }

    /// Envoy lets through what no rule matches.
    pub(super) fn finish(&mut self, filter_state: Option<&str>, notes: &mut Notes) {
        if let Some(place) = filter_state {
            notes.left_out(
                place,
                "what neither a rule nor a value matches is denied, not let through",
            );
        } else if self.without_open {
            notes.remark("", "what no rule matches is denied");
        } else {
            notes.remark("", "Envoy lets through what no rule matches; the last rule keeps that, take it away to deny");
            self.words.push(json!({"match": {"prefix": "/"}}));
        }
    }

    pub(super) fn into_rules(self, place: &str) -> Result<Vec<Value>, ImportError> {
        if self.needs_provider && self.requirements.providers.is_empty() {
            return Err(ImportError::new(
                place,
                "no provider can be carried, so there is nothing to import",
            ));
        }
        Ok(self.words)
    }
}

/// Requirements by a value of the filter state. What cannot be said is left out, and denied then.
pub(super) fn filter_state_rules(
    node: &Node<'_>,
    requirements: &Requirements<'_>,
    notes: &mut Notes,
) -> Result<Value, ImportError> {
    let mut members = node.members()?;
    let name = members
        .take_string("name")?
        .ok_or_else(|| ImportError::new(&node.place, "it needs `name`"))?;
    let mut requires = Map::new();
    if let Some(map) = members.take("requires") {
        for (value, node) in map.entries()? {
            match requirements.top(&node, notes)? {
                Requirement::Needs { value: words, .. } => {
                    requires.insert(value.to_owned(), words);
                }
                _ => notes
                    .left_out(&node.place, "it is left out: requests with this value are denied"),
            }
        }
    }
    if let Some(place) = members.rest().first() {
        return Err(ImportError::new(place, "Postern does not know what this member means"));
    }
    Ok(json!({"name": name, "requires": requires}))
}

//! What a rule of `jwt_authn` requires.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::{
    ImportError, Notes,
    members::{Members, Node},
};

/// How deep the core lets requirements be nested.
const MAX_DEPTH: usize = 8;

/// What a requirement comes to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Requirement {
    /// Nothing is required, which a policy says by saying nothing.
    Open,
    /// Something is required. `always_met` where it never denies.
    Needs { value: Value, always_met: bool },
    /// What is required cannot be said.
    Closed,
}

/// The providers and named requirements that a rule may name.
pub(super) struct Requirements<'a> {
    pub(super) providers: &'a BTreeMap<String, Value>,
    pub(super) map: BTreeMap<String, Value>,
    named: BTreeMap<String, Requirement>,
}

impl<'a> Requirements<'a> {
    pub(super) fn new(providers: &'a BTreeMap<String, Value>) -> Self {
        Self { providers, map: BTreeMap::new(), named: BTreeMap::new() }
    }

    pub(super) fn read_map(
        &mut self,
        node: &Node<'_>,
        notes: &mut Notes,
    ) -> Result<(), ImportError> {
        for (name, node) in node.entries()? {
            let requirement = self.top(&node, notes)?;
            match &requirement {
                Requirement::Needs { value, .. } => {
                    self.map.insert(name.to_owned(), value.clone());
                }
                Requirement::Open => {
                    notes.left_out(
                        &node.place,
                        "a requirement cannot be empty; rules that name it are open",
                    );
                }
                Requirement::Closed => {
                    notes.left_out(&node.place, "it is left out: rules that name it are closed");
                }
            }
            self.named.insert(name.to_owned(), requirement);
        }
        Ok(())
    }

    /// A requirement by its name in the map.
    pub(super) fn named(&self, name: &str) -> &Requirement {
        self.named.get(name).unwrap_or(&Requirement::Closed)
    }

    /// A requirement that stands alone in a rule or in the map.
    pub(super) fn top(
        &self,
        node: &Node<'_>,
        notes: &mut Notes,
    ) -> Result<Requirement, ImportError> {
        let mut members = node.members()?;
        let Some(node) = members.take("extract_only_without_validation") else {
            return self.read(node, 0, notes);
        };
        let mut inner = node.members()?;
        let mut value = Map::new();
        if let Some(header) = inner.take_string("verification_status_header")? {
            if header == "-" {
                notes.left_out(
                    &node.place,
                    "the header that tells an unverified token cannot be switched off",
                );
            } else {
                value.insert("verification_status_header".to_owned(), json!(header));
            }
        }
        for place in inner.rest().into_iter().chain(members.rest()) {
            notes.left_out(place, "a policy cannot say it");
        }
        let value = json!({"extract_only_without_validation": value});
        Ok(Requirement::Needs { value, always_met: true })
    }

    fn read(
        &self,
        node: &Node<'_>,
        depth: usize,
        notes: &mut Notes,
    ) -> Result<Requirement, ImportError> {
        let mut members = node.members()?;
        let read = self.read_member(&mut members, depth, notes)?;
        match (read, members.rest().first()) {
            _ if depth > MAX_DEPTH => {
                notes.left_out(&node.place, format!("it is nested deeper than {MAX_DEPTH}"));
                Ok(Requirement::Closed)
            }
            (_, Some(place)) => {
                notes.left_out(place, "a policy cannot say it");
                Ok(Requirement::Closed)
            }
            (read, None) => Ok(read.unwrap_or(Requirement::Open)),
        }
    }

    fn read_member(
        &self,
        members: &mut Members<'_>,
        depth: usize,
        notes: &mut Notes,
    ) -> Result<Option<Requirement>, ImportError> {
        if let Some(node) = members.take("provider_name") {
            return self.provider(&node, notes).map(Some);
        }
        if let Some(node) = members.take("provider_and_audiences") {
            return self.provider_and_audiences(&node, notes).map(Some);
        }
        for (name, always_met) in [("allow_missing", false), ("allow_missing_or_failed", true)] {
            if members.take(name).is_some() {
                let value = json!({name: {}});
                return Ok(Some(Requirement::Needs { value, always_met }));
            }
        }
        if let Some(node) = members.take("requires_any") {
            let list = self.list(&node, depth, notes)?;
            return Ok(Some(any(list, &node, notes)));
        }
        if let Some(node) = members.take("requires_all") {
            return Ok(Some(all(self.list(&node, depth, notes)?)));
        }
        Ok(None)
    }

    fn list(
        &self,
        node: &Node<'_>,
        depth: usize,
        notes: &mut Notes,
    ) -> Result<Vec<Requirement>, ImportError> {
        if depth > MAX_DEPTH {
            return Ok(Vec::new());
        }
        let items = node.members()?.take_items("requirements")?;
        items.iter().map(|item| self.read(item, depth + 1, notes)).collect()
    }

    fn provider(&self, node: &Node<'_>, notes: &mut Notes) -> Result<Requirement, ImportError> {
        let name = node.string()?;
        if !self.providers.contains_key(name) {
            notes.left_out(&node.place, format!("there is no provider `{name}` in the policy"));
            return Ok(Requirement::Closed);
        }
        Ok(needs(json!({"provider_name": name})))
    }

    fn provider_and_audiences(
        &self,
        node: &Node<'_>,
        notes: &mut Notes,
    ) -> Result<Requirement, ImportError> {
        let mut members = node.members()?;
        let name = members.take("provider_name").ok_or_else(|| node.not("about a provider"))?;
        let requirement = self.provider(&name, notes)?;
        let audiences = members.take_strings("audiences")?;
        if requirement == Requirement::Closed {
            return Ok(requirement);
        }
        if audiences.is_empty() {
            notes.left_out(&node.place, "no audiences: those of the provider count");
            return Ok(requirement);
        }
        let value = json!({"provider_name": name.string()?, "audiences": audiences});
        Ok(needs(json!({"provider_and_audiences": value})))
    }
}

fn needs(value: Value) -> Requirement {
    Requirement::Needs { value, always_met: false }
}

/// One of several. What is closed falls away, unless only a fallback would be left: standing alone
/// it would be about all providers.
fn any(list: Vec<Requirement>, node: &Node<'_>, notes: &mut Notes) -> Requirement {
    if list.contains(&Requirement::Open) {
        return Requirement::Open;
    }
    let count = list.len();
    let mut always = false;
    let mut values = Vec::new();
    for requirement in list {
        if let Requirement::Needs { value, always_met } = requirement {
            always |= always_met;
            values.push(value);
        }
    }
    let is_fallback = |value: &Value| {
        value.get("allow_missing").or(value.get("allow_missing_or_failed")).is_some()
    };
    if values.is_empty() || (values.len() < count && values.iter().all(is_fallback)) {
        return Requirement::Closed;
    }
    if values.len() < count {
        notes.left_out(&node.place, "an alternative that cannot be said is left out");
    }
    let value = json!({"requires_any": {"requirements": values}});
    Requirement::Needs { value, always_met: always }
}

fn all(list: Vec<Requirement>) -> Requirement {
    let mut always = true;
    let mut values = Vec::new();
    for requirement in list {
        match requirement {
            Requirement::Open => {}
            Requirement::Closed => return Requirement::Closed,
            Requirement::Needs { value, always_met } => {
                always &= always_met;
                values.push(value);
            }
        }
    }
    if values.is_empty() {
        return Requirement::Open;
    }
    let value = json!({"requires_all": {"requirements": values}});
    Requirement::Needs { value, always_met: always }
}

//! Walking a document: each value knows its place, and each object what has been read of it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::ImportError;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node<'a> {
    pub(super) place: String,
    pub(super) value: &'a Value,
}

impl<'a> Node<'a> {
    pub(super) fn new(place: impl Into<String>, value: &'a Value) -> Self {
        Self { place: place.into(), value }
    }

    pub(super) fn string(&self) -> Result<&'a str, ImportError> {
        self.value.as_str().ok_or_else(|| self.not("a string"))
    }

    pub(super) fn boolean(&self) -> Result<bool, ImportError> {
        self.value.as_bool().ok_or_else(|| self.not("true or false"))
    }

    /// Protobuf's JSON writes large numbers as strings.
    pub(super) fn integer(&self) -> Result<i64, ImportError> {
        let number = match self.value {
            Value::String(text) => text.parse().ok(),
            value => value.as_i64(),
        };
        number.ok_or_else(|| self.not("a whole number"))
    }

    pub(super) fn strings(&self) -> Result<Vec<&'a str>, ImportError> {
        self.items()?.iter().map(Node::string).collect()
    }

    pub(super) fn items(&self) -> Result<Vec<Node<'a>>, ImportError> {
        let items = self.value.as_array().ok_or_else(|| self.not("a list"))?;
        let node = |(index, value)| Node::new(format!("{}[{index}]", self.place), value);
        Ok(items.iter().enumerate().map(node).collect())
    }

    /// The entries of a map, whose names are the user's.
    pub(super) fn entries(&self) -> Result<Vec<(&'a str, Node<'a>)>, ImportError> {
        let object = self.object()?;
        let node = |(name, value): (&'a String, _)| (name.as_str(), self.below(name, value));
        Ok(object.iter().map(node).collect())
    }

    /// The members of a message, whose names are known.
    pub(super) fn members(&self) -> Result<Members<'a>, ImportError> {
        Ok(Members { node: self.clone(), object: self.object()?, taken: BTreeSet::new() })
    }

    pub(super) fn below(&self, name: &str, value: &'a Value) -> Node<'a> {
        let dot = if self.place.is_empty() { "" } else { "." };
        Node::new(format!("{}{dot}{name}", self.place), value)
    }

    pub(super) fn not(&self, expected: &str) -> ImportError {
        ImportError::new(&self.place, format!("it must be {expected}"))
    }

    fn object(&self) -> Result<&'a Map<String, Value>, ImportError> {
        self.value.as_object().ok_or_else(|| self.not("an object"))
    }
}

/// The members of a message. What is not taken has not been understood.
#[derive(Debug)]
pub(super) struct Members<'a> {
    pub(super) node: Node<'a>,
    object: &'a Map<String, Value>,
    taken: BTreeSet<&'a str>,
}

impl<'a> Members<'a> {
    /// The member of this name in snake case, or the same in camel case: protobuf's JSON knows
    /// both.
    pub(super) fn take(&mut self, name: &str) -> Option<Node<'a>> {
        let camel = camel_case(name);
        let spelling = [name, camel.as_str()];
        let (key, value) = spelling.iter().find_map(|name| self.object.get_key_value(*name))?;
        self.taken.insert(key);
        (!is_absent(value)).then(|| self.node.below(key, value))
    }

    /// A string that says something; protobuf does not tell an empty one from none.
    pub(super) fn take_string(&mut self, name: &str) -> Result<Option<&'a str>, ImportError> {
        let text = self.take(name).map(|node| node.string()).transpose()?;
        Ok(text.filter(|text| !text.is_empty()))
    }

    pub(super) fn take_strings(&mut self, name: &str) -> Result<Vec<&'a str>, ImportError> {
        self.take(name).map_or(Ok(Vec::new()), |node| node.strings())
    }

    pub(super) fn take_items(&mut self, name: &str) -> Result<Vec<Node<'a>>, ImportError> {
        self.take(name).map_or(Ok(Vec::new()), |node| node.items())
    }

    pub(super) fn take_bool(&mut self, name: &str) -> Result<bool, ImportError> {
        self.take(name).map_or(Ok(false), |node| node.boolean())
    }

    /// The places of the members that have not been taken.
    pub(super) fn rest(&self) -> Vec<String> {
        let untaken = self.object.iter().filter(|(name, value)| {
            !is_absent(value) && name.as_str() != "@type" && !self.taken.contains(name.as_str())
        });
        untaken.map(|(name, value)| self.node.below(name, value).place).collect()
    }
}

/// Protobuf tells neither `null` nor an empty list from nothing at all. `paths: []` of a rule that
/// denies is for all paths.
fn is_absent(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

fn camel_case(name: &str) -> String {
    let mut camel = String::new();
    let mut parts = name.split('_');
    camel.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let mut signs = part.chars();
        camel.extend(signs.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(signs.as_str());
    }
    camel
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn takes_both_spellings_and_tells_the_rest() {
        let value = json!({"jwksUri": "u", "from_headers": [1], "e": [], "x": 1, "none": null, "@type": "t"});
        let mut members = Node::new("a", &value).members().unwrap();
        assert_eq!(members.take("jwks_uri").unwrap().place, "a.jwksUri");
        assert!(members.take("from_headers").is_some());
        assert!(members.take("none").is_none());
        assert_eq!(members.rest(), ["a.x"]);
    }

    #[test]
    fn numbers_may_be_strings() {
        for (value, number) in [(json!(5), Some(5)), (json!("-7"), Some(-7)), (json!(1.5), None)] {
            assert_eq!(Node::new("", &value).integer().ok(), number);
        }
    }
}

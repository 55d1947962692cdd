//! The JSON Schema of a policy, made of the same types that a policy is read with.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::Value;

use super::{Policy, duration::RawDuration, raw::RawPolicy};

impl Policy {
    /// The JSON Schema (draft 2020-12) of a policy document. It knows names, shapes and meanings;
    /// [`Policy::parse`] knows more, such as bounds, and that of some members there is to be one.
    #[must_use]
    pub fn json_schema() -> Value {
        let generator = SchemaSettings::draft2020_12().into_generator();
        let mut schema = generator.into_root_schema_for::<RawPolicy>().to_value();
        polish(&mut schema);
        if let Some(members) = schema.as_object_mut() {
            members.insert("title".to_owned(), "Postern policy".into());
        }
        schema
    }
}

/// Types lose the prefix that they have here; and a member that can be left out cannot be `null`,
/// which is most often a template that found no value.
fn polish(value: &mut Value) {
    match value {
        Value::String(text) if text.starts_with("#/$defs/Raw") => {
            *text = text.replacen("Raw", "", 1);
        }
        // Where a comment is wrapped means nothing.
        Value::String(text) if text.contains('\n') => *text = text.replace('\n', " "),
        Value::Array(items) => {
            items.retain(|item| *item != "null" && item.get("type") != Some(&"null".into()));
            items.iter_mut().for_each(polish);
        }
        Value::Object(members) => {
            members.retain(|name, value| name != "default" || !value.is_null());
            let names: Vec<String> = members.keys().cloned().collect();
            for name in names.iter().filter(|name| name.starts_with("Raw")) {
                if let Some(definition) = members.remove(name) {
                    members.insert(name.replacen("Raw", "", 1), definition);
                }
            }
            members.values_mut().for_each(polish);
            flatten(members, "type");
            flatten_choice(members);
        }
        _ => {}
    }
}

/// `["string"]` is `"string"`.
fn flatten(members: &mut serde_json::Map<String, Value>, name: &str) {
    if let Some(Value::Array(items)) = members.get(name)
        && let [only] = items.as_slice()
    {
        let only = only.clone();
        members.insert(name.to_owned(), only);
    }
}

/// A choice of one is no choice.
fn flatten_choice(members: &mut serde_json::Map<String, Value>) {
    if let Some(Value::Array(choices)) = members.get("anyOf")
        && let [Value::Object(only)] = choices.as_slice()
    {
        let only = only.clone();
        members.remove("anyOf");
        members.extend(only);
    }
}

impl JsonSchema for RawDuration {
    fn schema_name() -> Cow<'static, str> {
        "RawDuration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A duration: `\"1.5s\"`, or `{\"seconds\": 1, \"nanos\": 500000000}`.",
            "anyOf": [
                {"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?s$"},
                {
                    "type": "object",
                    "properties": {
                        "seconds": {"type": "integer", "minimum": 0},
                        "nanos": {"type": "integer", "minimum": 0, "maximum": 999_999_999}
                    },
                    "additionalProperties": false
                }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_schema_is_the_types() {
        let committed: Value =
            serde_json::from_str(include_str!("../../policy.schema.json")).unwrap();
        let hint = "write it anew: `postern policy schema > verify/policy.schema.json`";
        assert_eq!(Policy::json_schema(), committed, "{hint}");
    }

    #[test]
    fn the_schema_speaks_of_every_member_and_of_no_null() {
        let schema = Policy::json_schema().to_string();
        assert!(!schema.contains("null") && !schema.contains("Raw"));
        assert!(schema.contains("\"dangerous_allow_any_issuer\""));
    }
}

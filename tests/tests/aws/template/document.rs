//! `CloudFormation`'s YAML, with `!Ref` and its like in their long form: `{"Ref": …}`, `{"Fn::Sub": …}`.

use std::fmt;
use std::fs;

use postern_tests::workspace_root;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};
use serde_saphyr::Tagged;

/// A template of `deploy/aws`.
pub(super) struct Template {
    pub(super) file: &'static str,
    root: Value,
}

/// A resource of a template.
pub(super) struct Resource<'t> {
    pub(super) name: &'t str,
    value: &'t Value,
}

impl Template {
    pub(super) fn read(file: &'static str) -> Self {
        let path = workspace_root().join("deploy/aws").join(file);
        Self::parse(file, &fs::read_to_string(path).expect(file))
    }

    pub(super) fn parse(file: &'static str, text: &str) -> Self {
        // CloudFormation knows neither anchors nor aliases; its linter does.
        let budget = serde_saphyr::budget! { max_anchors: 0, max_aliases: 0 };
        let options = serde_saphyr::options! { budget: budget };
        let Node(root) = serde_saphyr::from_str_with_options(text, options).expect(file);
        Self { file, root }
    }

    pub(super) fn resources(&self) -> impl Iterator<Item = Resource<'_>> {
        let resources = self.root["Resources"].as_object().expect("Resources");
        resources.iter().map(|(name, value)| Resource { name, value })
    }

    pub(super) fn of_type(&self, kind: &str) -> Vec<Resource<'_>> {
        self.resources().filter(|resource| resource.kind() == kind).collect()
    }

    pub(super) fn resource(&self, name: &str) -> Resource<'_> {
        self.resources().find(|one| one.name == name).unwrap_or_else(|| panic!("no {name}"))
    }

    pub(super) fn functions(&self) -> Vec<Resource<'_>> {
        self.of_type("AWS::Serverless::Function")
    }

    pub(super) fn section(&self, name: &str) -> &Value {
        &self.root[name]
    }
}

impl<'t> Resource<'t> {
    pub(super) fn kind(&self) -> &'t str {
        self.value["Type"].as_str().expect("a resource has a type")
    }

    pub(super) fn property(&self, name: &str) -> &'t Value {
        &self.value["Properties"][name]
    }

    pub(super) fn attribute(&self, name: &str) -> &'t Value {
        &self.value[name]
    }

    /// The resource whose `Arn` or identity a property is.
    pub(super) fn refers_to(&self, property: &str) -> String {
        let value = self.property(property);
        let target = value["Ref"].as_str().or_else(|| value["Fn::GetAtt"][0].as_str());
        target.unwrap_or_else(|| panic!("{}: {property} is {value}", self.name)).to_owned()
    }
}

/// A YAML node, its tag read as `CloudFormation` reads it.
struct Node(Value);

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Tagged(Plain(value), tag) = Tagged::deserialize(deserializer)?;
        let Some(name) = tag.as_deref().and_then(|tag| tag.strip_prefix('!')) else {
            return Ok(Self(value));
        };
        Ok(Self(match name {
            "Ref" => json!({ "Ref": value }),
            "Condition" => json!({ "Condition": value }),
            "GetAtt" => json!({ "Fn::GetAtt": attribute(&value) }),
            _ => json!({ format!("Fn::{name}"): value }),
        }))
    }
}

/// `Function.Arn`: the resource, and what of it.
fn attribute(value: &Value) -> Value {
    let text = value.as_str().expect("`!GetAtt` takes a text");
    let (resource, attribute) = text.split_once('.').expect("`!GetAtt` takes a dotted name");
    json!([resource, attribute])
}

/// What a node holds, whatever its tag.
struct Plain(Value);

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlainVisitor).map(Self)
    }
}

struct PlainVisitor;

impl<'de> Visitor<'de> for PlainVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a YAML node")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Node(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((name, Node(value))) = entries.next_entry::<String, Node>()? {
            map.insert(name, value);
        }
        Ok(map.into())
    }
}

#[test]
#[should_panic = "anchors"]
fn anchors_are_refused() {
    Template::parse("a test", "Resources: {A: &same {Type: T}, B: *same}");
}

#[test]
fn short_forms_are_read_as_long_ones() {
    let text =
        "Resources:\n  A: {Type: T, Properties: {X: !GetAtt B.Arn, Y: !If [C, !Sub 'a${B}', 1]}}";
    let template = Template::parse("a test", text);
    let resource = template.resource("A");
    assert_eq!(resource.property("X"), &json!({ "Fn::GetAtt": ["B", "Arn"] }));
    assert_eq!(resource.property("Y"), &json!({ "Fn::If": ["C", { "Fn::Sub": "a${B}" }, 1] }));
}

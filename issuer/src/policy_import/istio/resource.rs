//! Finding the documents, and that they are for one workload.

use serde_json::Value;

use super::super::{ImportError, members::Node, nodes};

/// Where documents for the whole mesh stand, unless somebody has moved it.
const ROOT_NAMESPACE: &str = "istio-system";

/// A document of a kind that counts.
#[derive(Debug)]
pub(crate) struct Resource<'a> {
    pub(super) kind: &'static str,
    /// Its `spec`, if it has one, under the document's name.
    pub(super) spec: Option<Node<'a>>,
    pub(super) place: String,
    namespace: Option<&'a str>,
    workload: Vec<&'a Value>,
}

/// The Istio documents among these, also within lists.
pub(crate) fn resources(documents: &[Value]) -> Result<Vec<Resource<'_>>, ImportError> {
    let mut found = Vec::new();
    for node in nodes(documents) {
        let is_list = kind(node.value).ends_with("List");
        match node.value.get("items") {
            Some(items) if is_list => {
                let items = node.below("items", items).items()?;
                found.extend(items.iter().filter_map(resource));
            }
            _ => found.extend(resource(&node)),
        }
    }
    Ok(found)
}

fn kind(value: &Value) -> &str {
    value.get("kind").and_then(Value::as_str).unwrap_or_default()
}

fn resource<'a>(node: &Node<'a>) -> Option<Resource<'a>> {
    let kinds = ["RequestAuthentication", "AuthorizationPolicy"];
    let kind = kinds.into_iter().find(|known| *known == kind(node.value))?;
    let metadata = node.value.get("metadata");
    let meta = |name: &str| metadata?.get(name)?.as_str();
    let place = format!("{kind}/{}", meta("name").unwrap_or("?"));
    let named = Node::new(place.clone(), node.value);
    let spec = node.value.get("spec").filter(|spec| !spec.is_null());
    let workload = ["selector", "targetRef", "targetRefs"]
        .into_iter()
        .filter_map(|name| spec?.get(name))
        .filter(|value| !value.as_object().is_some_and(serde_json::Map::is_empty))
        .collect();
    let namespace = meta("namespace");
    Some(Resource {
        kind,
        spec: spec.map(|spec| named.below("spec", spec)),
        place,
        namespace,
        workload,
    })
}

/// A policy is for one gate: a rule that opens a path of one workload must not open it of another.
pub(super) fn refuse_several_workloads(resources: &[Resource<'_>]) -> Result<(), ImportError> {
    let mut chosen: Option<&Resource<'_>> = None;
    for resource in resources.iter().filter(|resource| !resource.workload.is_empty()) {
        match chosen {
            Some(other) if other.workload != resource.workload => {
                return Err(several(other, resource, "select different workloads"));
            }
            _ => chosen = Some(resource),
        }
    }
    let mut chosen: Option<&Resource<'_>> = None;
    let own = |resource: &&Resource<'_>| {
        resource.namespace.is_some_and(|namespace| namespace != ROOT_NAMESPACE)
    };
    for resource in resources.iter().filter(own) {
        match chosen {
            Some(other) if other.namespace != resource.namespace => {
                return Err(several(other, resource, "stand in different namespaces"));
            }
            _ => chosen = Some(resource),
        }
    }
    Ok(())
}

fn several(one: &Resource<'_>, other: &Resource<'_>, what: &str) -> ImportError {
    let (one, other) = (&one.place, &other.place);
    let reason =
        format!("`{one}` and `{other}` {what}: import the documents of one workload at a time");
    ImportError::new("", reason)
}

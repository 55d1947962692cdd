//! Finding the filter in a bootstrap, a listener, a configuration dump, or standing alone.

use super::super::{
    ImportError, Notes,
    members::{Members, Node},
    nodes,
};
use serde_json::Value;

const FILTER_NAME: &str = "envoy.filters.http.jwt_authn";
/// The last parts of the names of its messages, in v3 and before.
const MESSAGE: &str = ".JwtAuthentication";
const PER_ROUTE_MESSAGE: &str = "jwt_authn.v3.PerRouteConfig";

/// The configuration of a filter.
#[derive(Debug)]
pub(crate) struct Filter<'a> {
    pub(super) config: Node<'a>,
    /// Whether a route names a requirement of its own.
    pub(super) per_route_requirement: bool,
}

/// The one filter in the documents, or the one of this number, counted from 1.
pub(crate) fn find<'a>(
    documents: &'a [Value],
    number: Option<usize>,
    notes: &mut Notes,
) -> Result<Filter<'a>, ImportError> {
    let mut search = Search::default();
    for node in nodes(documents) {
        search.walk(&node);
    }
    if search.found.is_empty() {
        search.found.extend(nodes(documents).filter(|node| is_bare(node.value)));
    }
    let config = choose(search.found, number, notes)?;
    let per_route_requirement = tell_per_route(&search.per_route, notes)?;
    Ok(Filter { config, per_route_requirement })
}

/// One of those that were found. Listeners often repeat one configuration.
fn choose<'a>(
    found: Vec<Node<'a>>,
    number: Option<usize>,
    notes: &mut Notes,
) -> Result<Node<'a>, ImportError> {
    let count = found.len();
    let same = found.windows(2).all(|pair| matches!(pair, [a, b] if a.value == b.value));
    let places: Vec<String> =
        found.iter().zip(1..).map(|(node, n)| format!("{n}: {}", node.place)).collect();
    let index = match number {
        _ if count == 0 => {
            let reason = format!("there is no `{FILTER_NAME}` filter and no Istio document in it");
            return Err(ImportError::new("", reason));
        }
        Some(number) if (1..=count).contains(&number) => number - 1,
        None if same => 0,
        _ => {
            let reason =
                format!("choose one of the filters with `--filter N`: {}", places.join(", "));
            return Err(ImportError::new("", reason));
        }
    };
    if same && count > 1 && number.is_none() {
        notes.remark("", format!("there are {count} `{FILTER_NAME}` filters, all alike"));
    }
    found.into_iter().nth(index).ok_or_else(|| ImportError::new("", "there is no such filter"))
}

#[derive(Default)]
struct Search<'a> {
    found: Vec<Node<'a>>,
    per_route: Vec<Node<'a>>,
}

impl<'a> Search<'a> {
    /// The depth of documents is bounded where they are parsed.
    fn walk(&mut self, node: &Node<'a>) {
        if let Some(config) = filter_config(node) {
            self.found.push(config);
            return;
        }
        if message(node.value).ends_with(PER_ROUTE_MESSAGE) {
            self.per_route.push(node.clone());
            return;
        }
        if let Ok(items) = node.items() {
            for item in items {
                self.walk(&item);
            }
        } else if let Ok(entries) = node.entries() {
            for (name, entry) in entries {
                let per_route = name == FILTER_NAME && entry.value.is_object();
                if per_route && message(entry.value).is_empty() {
                    self.per_route.push(entry);
                } else {
                    self.walk(&entry);
                }
            }
        }
    }
}

/// The configuration, where the value is one, a `TypedStruct` around one, or a filter of its name.
fn filter_config<'a>(node: &Node<'a>) -> Option<Node<'a>> {
    let type_url = message(node.value);
    if type_url.ends_with(MESSAGE) {
        return Some(node.clone());
    }
    let mut members = node.members().ok()?;
    if type_url.ends_with(".TypedStruct") {
        return is_struct_of(&mut members, MESSAGE).then(|| members.take("value"))?;
    }
    let is_named = node.value.get("name").and_then(Value::as_str) == Some(FILTER_NAME);
    let config =
        is_named.then(|| members.take("typed_config").or_else(|| members.take("config")))??;
    filter_config(&config).or_else(|| message(config.value).is_empty().then_some(config))
}

fn is_struct_of(members: &mut Members<'_>, message: &str) -> bool {
    matches!(members.take_string("type_url"), Ok(Some(url)) if url.ends_with(message))
}

fn message(value: &Value) -> &str {
    value.get("@type").and_then(Value::as_str).unwrap_or_default()
}

/// The message alone, as it stands in a file of its own.
fn is_bare(value: &Value) -> bool {
    value.get("providers").is_some() && message(value).is_empty()
}

/// Lists what routes say of their own; whether one of them names a requirement.
fn tell_per_route(configs: &[Node<'_>], notes: &mut Notes) -> Result<bool, ImportError> {
    let mut any = false;
    for node in configs {
        let requires = node.members()?.take_string("requirement_name")?.is_some();
        notes.left_out(
            &node.place,
            if requires {
                "a route's own requirement is not part of a policy: give it to the Postern filter \
                 as its per-route configuration; rules that open a path are left out for it"
            } else {
                "a route's own configuration is not part of a policy: give it to the Postern \
                 filter as its per-route configuration"
            },
        );
        any |= requires;
    }
    Ok(any)
}

//! What Envoy is told: a listener with the filter for each policy, and a cluster for its keys.
//!
//! Envoy is to change as little as it can on the way to the filter and behind it, since the cases
//! say what the filter sees: it does not settle paths, refuses only what it cannot be told to let
//! through, and adds no headers but those that it cannot leave out.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::{Ipv4Addr, SocketAddr},
};

use postern_tests::filter_module;
use serde_json::{Value, json};

use super::case::Case;

const TYPES: &str = "type.googleapis.com/envoy";
const UPSTREAM: &str = "upstream";
/// Fields of answers that begin with this show the metadata of the rest of their name.
pub(crate) const METADATA_FIELD: &str = "x-metadata-";

/// A listener whose gate has this policy.
pub(crate) fn gate(name: &str, policy: &str, scheme: &str) -> Value {
    listener(name, scheme, &[filter(name, policy), router()])
}

/// A listener for cases like this one.
pub(crate) fn gate_of(name: &str, policy: &Value, case: &Case) -> Value {
    let mut filters = vec![filter(name, &policy.to_string()), router()];
    if let Some(value) = &case.filter_state {
        let object = policy["filter_state_rules"]["name"].as_str().unwrap();
        filters.insert(0, filter_state(object, value));
    }
    filters.insert(0, metadata_in_answers(&metadata_keys(policy)));
    let mut listener = listener(name, &case.request.scheme, &filters);
    for route in routes(&mut listener).as_array_mut().unwrap() {
        let metadata = case.route.as_object().map(|route| json!({ "postern": route }));
        route["metadata"] = json!({ "filter_metadata": metadata.unwrap_or_else(|| json!({})) });
    }
    listener
}

/// A gate that nobody comes to.
pub(crate) fn idle() -> Value {
    gate("idle", r#"{"rules": []}"#, "https")
}

/// A listener that answers without a gate: what it answers came behind all before it.
pub(crate) fn open(name: &str) -> Value {
    let mut listener = listener(name, "https", &[router()]);
    *routes(&mut listener) =
        json!([{ "match": { "prefix": "/" }, "direct_response": { "status": 200 } }]);
    listener
}

/// The cluster `upstream`, and those of keys.
pub(crate) fn clusters<'a>(
    upstream: SocketAddr,
    keys: impl Iterator<Item = (&'a str, SocketAddr)>,
) -> Vec<Value> {
    [(UPSTREAM, upstream)].into_iter().chain(keys).map(|(name, to)| cluster(name, to)).collect()
}

/// The policy with a cluster of its own for its keys, and time to wait for them. A case's policy
/// names the one that others name too, whose key sets are different ones, or none, which Envoy needs;
/// and a fetch that is never answered is to be under way for as long as the cases take.
pub(crate) fn reachable(mut policy: Value, cluster: &str) -> Value {
    let providers = policy["providers"].as_object_mut();
    for provider in providers.into_iter().flat_map(|providers| providers.values_mut()) {
        for source in ["remote_jwks", "openid_discovery"] {
            if let Some(source) = provider.get_mut(source) {
                source["http_uri"]["cluster"] = json!(cluster);
                source["http_uri"]["timeout"] = json!("60s");
            }
        }
    }
    policy
}

fn listener(name: &str, scheme: &str, http_filters: &[Value]) -> Value {
    json!({
        "@type": format!("{TYPES}.config.listener.v3.Listener"),
        "name": name,
        "address": { "socket_address": { "address": own_ip(name), "port_value": 0 } },
        "filter_chains": [{ "filters": [{
            "name": "http",
            "typed_config": connection_manager(name, scheme, http_filters),
        }] }],
    })
}

fn routes(listener: &mut Value) -> &mut Value {
    let manager = "/filter_chains/0/filters/0/typed_config";
    let routes = format!("{manager}/route_config/virtual_hosts/0/routes");
    listener.pointer_mut(&routes).unwrap()
}

/// An address of the loopback interface for each name: a listener on an address whose last listener
/// is being drained, whatever its port, gets that one's socket, and with it the other's requests.
fn own_ip(name: &str) -> Ipv4Addr {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let [first, second, third, ..] = hasher.finish().to_le_bytes();
    Ipv4Addr::new(127, first, second, third)
}

fn connection_manager(name: &str, scheme: &str, http_filters: &[Value]) -> Value {
    json!({
        "@type": format!(
            "{TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
        ),
        "stat_prefix": name,
        "codec_type": "AUTO",
        "scheme_header_transformation": { "scheme_to_overwrite": scheme },
        "generate_request_id": false,
        "normalize_path": false,
        "merge_slashes": false,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "common_http_protocol_options": { "headers_with_underscores_action": "ALLOW" },
        "http_protocol_options": { "allow_absolute_url": false, "allow_custom_methods": true },
        "max_request_headers_kb": 256,
        "upgrade_configs": [{ "upgrade_type": "CONNECT" }],
        "http_filters": http_filters,
        "route_config": { "virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": [
                { "match": { "connect_matcher": {} }, "route": { "cluster": UPSTREAM } },
                { "match": { "safe_regex": { "regex": ".*" } }, "route": { "cluster": UPSTREAM } },
            ],
        }] },
    })
}

fn filter(name: &str, policy: &str) -> Value {
    let code = json!({ "local": { "filename": filter_module().unwrap() } });
    json!({
        "name": "postern",
        "typed_config": {
            "@type": format!("{TYPES}.extensions.filters.http.wasm.v3.Wasm"),
            "config": {
                // The log says by this name whose policy is bad.
                "name": name,
                "failure_policy": "FAIL_CLOSED",
                "vm_config": {
                    "vm_id": "postern",
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": code,
                },
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": policy,
                },
            },
        },
    })
}

/// A filter that says something of each request, for the filters behind it.
fn filter_state(object: &str, value: &str) -> Value {
    json!({
        "name": "state",
        "typed_config": {
            "@type": format!("{TYPES}.extensions.filters.http.set_filter_state.v3.Config"),
            "on_request_headers": [{
                "object_key": object,
                "factory_key": "envoy.string",
                "format_string": { "text_format_source": { "inline_string": value } },
            }],
        },
    })
}

/// A filter that puts into each answer what the gate says to the filters behind it.
fn metadata_in_answers(keys: &[&str]) -> Value {
    let field = |key: &&str| {
        json!({ "append": { "header": {
            "key": format!("{METADATA_FIELD}{key}"),
            "value": format!("%FILTER_STATE(wasm.postern.metadata.{key})%"),
        } } })
    };
    let fields: Vec<Value> = keys.iter().map(field).collect();
    json!({
        "name": "metadata",
        "typed_config": {
            "@type": format!("{TYPES}.extensions.filters.http.header_mutation.v3.HeaderMutation"),
            "mutations": { "response_mutations": fields },
        },
    })
}

/// The keys that a policy may put something under.
fn metadata_keys(policy: &Value) -> Vec<&str> {
    let providers = policy["providers"].as_object().into_iter().flatten();
    let members = ["payload_in_metadata", "header_in_metadata", "failed_status_in_metadata"];
    let keys = providers.flat_map(|(_, provider)| members.map(|member| provider[member].as_str()));
    let mut keys: Vec<&str> = keys.flatten().collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn router() -> Value {
    json!({
        "name": "router",
        "typed_config": {
            "@type": format!("{TYPES}.extensions.filters.http.router.v3.Router"),
            "suppress_envoy_headers": true,
        },
    })
}

fn cluster(name: &str, address: SocketAddr) -> Value {
    let (ip, port) = (address.ip(), address.port());
    let socket_address = json!({ "address": ip, "port_value": port });
    json!({
        "name": name,
        "connect_timeout": "5s",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{
                "endpoint": { "address": { "socket_address": socket_address } },
            }] }],
        },
    })
}

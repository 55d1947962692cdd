//! The listeners that stand side by side, and their policy.

use std::path::Path;

use postern_bench::traffic::tokens::{AUDIENCE, Algorithm, Signer};
use serde_json::{Map, Value, json};

/// How many tokens `jwt_authn` may remember; the filter's cache is as by default.
const JWT_CACHE_SIZE: u32 = 10_000;

/// A listener with what checks its requests.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(crate) name: String,
    http_filter: Option<Value>,
}

impl Gate {
    /// Nothing checks the requests.
    pub(crate) fn none() -> Self {
        Self { name: "none".to_owned(), http_filter: None }
    }

    /// Envoy's own filter, as it is by default.
    pub(crate) fn jwt_authn(signers: &[Signer]) -> Self {
        let config = policy(signers, |_, _| {});
        Self { name: "jwt_authn".to_owned(), http_filter: Some(jwt_authn(config)) }
    }

    /// Envoy's own filter, and it remembers tokens.
    pub(crate) fn jwt_authn_cache(signers: &[Signer]) -> Self {
        let config = policy(signers, |_, provider| {
            let cache = json!({"jwt_cache_size": JWT_CACHE_SIZE});
            provider.insert("jwt_cache_config".to_owned(), cache);
        });
        Self { name: "jwt_authn-cache".to_owned(), http_filter: Some(jwt_authn(config)) }
    }

    /// A build of the filter.
    pub(crate) fn postern(name: &str, module: &Path, policy: &Value) -> Self {
        let filter = json!({
            "name": "postern",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                "config": {
                    "name": "postern",
                    "failure_policy": "FAIL_RELOAD",
                    "vm_config": {
                        // Of its own: listeners with one id and one module share their VMs.
                        "vm_id": name,
                        "runtime": "envoy.wasm.runtime.v8",
                        "code": {"local": {"filename": module}},
                    },
                    "configuration": {
                        "@type": "type.googleapis.com/google.protobuf.StringValue",
                        "value": policy.to_string(),
                    },
                },
            },
        });
        Self { name: name.to_owned(), http_filter: Some(filter) }
    }

    /// Whether it refuses bad tokens.
    pub(crate) fn checks(&self) -> bool {
        self.http_filter.is_some()
    }

    /// The listener in Envoy's configuration.
    pub(crate) fn listener(&self) -> Value {
        let router = json!({
            "name": "envoy.filters.http.router",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            },
        });
        let filters: Vec<Value> = self.http_filter.iter().cloned().chain([router]).collect();
        json!({
            "name": self.name,
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.\
                              http_connection_manager.v3.HttpConnectionManager",
                    "stat_prefix": self.name,
                    "normalize_path": true,
                    "merge_slashes": true,
                    "path_with_escaped_slashes_action": "REJECT_REQUEST",
                    "http_filters": filters,
                    "route_config": {"virtual_hosts": [{
                        "name": "all",
                        "domains": ["*"],
                        "routes": [identity_route(), {
                            "match": {"prefix": "/"},
                            "direct_response": {"status": 200},
                        }],
                    }]},
                },
            }]}],
        })
    }
}

/// Shows what an upstream would be told.
fn identity_route() -> Value {
    json!({
        "match": {"safe_regex": {"regex": "/[a-z0-9]+/identity"}},
        "direct_response": {"status": 200},
        "response_headers_to_add": [
            {"header": {"key": "x-identity", "value": "%REQ(x-user-id)%"}},
        ],
    })
}

fn jwt_authn(config: Value) -> Value {
    let mut config = config;
    if let Some(members) = config.as_object_mut() {
        let url =
            "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication";
        members.insert("@type".to_owned(), url.into());
    }
    json!({"name": "envoy.filters.http.jwt_authn", "typed_config": config})
}

/// The policy of the filter: that of `jwt_authn`, with HS256 named, as an HMAC has to be.
pub(crate) fn postern_policy(signers: &[Signer]) -> Value {
    policy(signers, |signer, provider| {
        let symmetric = signer.algorithm == Algorithm::Hs256;
        if symmetric {
            provider.insert("algorithms".to_owned(), json!([signer.algorithm.name()]));
        }
    })
}

/// For each key a provider, and a rule that wants its tokens for the paths that bear its name.
fn policy(signers: &[Signer], change: fn(&Signer, &mut Map<String, Value>)) -> Value {
    let mut providers = Map::new();
    for signer in signers {
        let mut provider = provider(&signer.algorithm.issuer(), signer);
        change(signer, &mut provider);
        providers.insert(signer.algorithm.provider(), Value::Object(provider));
    }
    let rules: Vec<Value> =
        signers.iter().map(|signer| rule(&signer.algorithm.provider())).collect();
    json!({"providers": providers, "rules": rules})
}

fn provider(issuer: &str, signer: &Signer) -> Map<String, Value> {
    let members = [
        ("issuer", issuer.into()),
        ("audiences", json!([AUDIENCE])),
        ("local_jwks", json!({"inline_string": signer.jwk_set()})),
        ("claim_to_headers", json!([{"header_name": "x-user-id", "claim_name": "sub"}])),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn rule(name: &str) -> Value {
    json!({"match": {"prefix": format!("/{name}")}, "requires": {"provider_name": name}})
}

/// The policy with room for so many bytes of verified tokens.
pub(crate) fn with_cache(policy: &Value, max_bytes: u64) -> Value {
    let mut policy = policy.clone();
    if let Some(members) = policy.as_object_mut() {
        members.insert("verified_token_cache".to_owned(), json!({"max_bytes": max_bytes}));
    }
    policy
}

/// The policy behind so many providers and rules that other requests are for.
pub(crate) fn with_strangers(policy: &Value, count: usize, signer: &Signer) -> Value {
    let names: Vec<String> = (0..count).map(|number| format!("stranger{number}")).collect();
    let mut policy = policy.clone();
    if let Some(providers) = policy.get_mut("providers").and_then(Value::as_object_mut) {
        for name in &names {
            let issuer = format!("https://auth.example.com/{name}");
            providers.insert(name.clone(), Value::Object(provider(&issuer, signer)));
        }
    }
    if let Some(rules) = policy.get_mut("rules").and_then(Value::as_array_mut) {
        rules.splice(..0, names.iter().map(|name| rule(name)));
    }
    policy
}

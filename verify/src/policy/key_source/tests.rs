//! Where keys may come from, and how a policy is told off.

use serde_json::{Value, json};

use super::*;
use crate::policy::Policy;

const OCT: &str = r#"{"keys":[{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr8"}]}"#;

fn parse(provider: Value) -> Result<Policy, String> {
    let policy = json!({"providers": {"p": provider}, "rules": []}).to_string();
    Policy::parse(policy.as_bytes()).map_err(|error| error.to_string())
}

fn fetching(provider: Value) -> KeyFetching {
    match &parse(provider).unwrap().providers[0].keys {
        KeySource::Remote(remote) | KeySource::Edge(remote) => remote.fetching,
        KeySource::Discovered(discovery) => discovery.fetching,
        KeySource::Local(_) => panic!("local keys"),
    }
}

fn remote(changes: Value) -> Value {
    let mut remote = json!({"http_uri": {"uri": "https://a/jwks"}});
    for (name, value) in changes.as_object().unwrap() {
        remote[name] = value.clone();
    }
    json!({"issuer": "https://a", "remote_jwks": remote})
}

#[test]
fn fetching_has_its_defaults() {
    let issuer = "https://a/";
    for provider in [remote(json!({})), json!({"issuer": issuer, "openid_discovery": {}})] {
        let fetching = fetching(provider);
        assert_eq!(fetching.cache_duration.as_secs(), 300);
        assert_eq!(fetching.max_stale.as_secs(), 86_400);
        assert_eq!(fetching.first_back_off.as_secs(), 1);
        assert_eq!(fetching.max_back_off.as_secs(), 16);
        assert_eq!(fetching.key_kinds, KeyKinds::PublicOnly);
    }
}

#[test]
fn takes_every_member_of_fetching() {
    let members = json!({
        "cache_duration": {"seconds": 60}, "max_stale": "600s",
        "async_fetch": {"fast_listener": true, "failed_refetch_duration": "2s"},
        "retry_policy": {"num_retries": 3, "retry_back_off": {
            "base_interval": {"nanos": 500_000_000}, "max_interval": "30s"}},
        "dangerous_symmetric_keys": true});
    let mut discovery = members.clone();
    discovery["http_uri"] = json!({"cluster": "c", "timeout": {"seconds": 1}});
    discovery["jwks_cluster"] = json!("k");
    let discovered = json!({"issuer": "https://a", "openid_discovery": discovery});
    for mut provider in [remote(members), discovered] {
        provider["algorithms"] = json!(["HS256"]);
        let fetching = fetching(provider);
        assert_eq!(fetching.cache_duration.as_secs(), 60);
        assert_eq!(fetching.first_back_off.as_millis(), 500);
        assert_eq!(fetching.max_back_off.as_secs(), 30);
        assert_eq!(fetching.key_kinds, KeyKinds::WithSecrets);
    }
}

#[test]
fn the_configuration_is_where_the_issuer_says() {
    for (issuer, discovery, expected) in [
        ("https://a/t", json!({}), "https a /t/.well-known/openid-configuration"),
        ("https://a/", json!({}), "https a /.well-known/openid-configuration"),
        ("i", json!({"http_uri": {"uri": "http://b:1/c"}}), "http b:1 /c"),
    ] {
        let policy = parse(json!({"issuer": issuer, "openid_discovery": discovery})).unwrap();
        let (member, uri) = policy.http_uris().next().unwrap();
        assert_eq!(member, "providers.p.openid_discovery.http_uri");
        assert_eq!(format!("{} {} {}", uri.scheme, uri.authority, uri.path), expected);
    }
}

#[test]
fn inline_bytes_are_the_document_in_base64() {
    let provider = |bytes: &str| json!({"issuer": "i", "algorithms": ["HS256"], "local_jwks": {"inline_bytes": bytes}});
    assert!(parse(provider(&STANDARD.encode(OCT.as_bytes()))).is_ok());
    for (bytes, expected) in [
        ("e30", "it is not base64"),
        ("e30=", "a JWK Set is an object with an array `keys`"),
        ("", "the JWK Set is not JSON"),
    ] {
        let error = parse(provider(bytes)).unwrap_err();
        let expected = format!("providers.p.local_jwks.inline_bytes: {expected}");
        assert!(error.starts_with(&expected), "{bytes}: {error}");
    }
}

#[test]
fn an_error_names_the_member() {
    let local = |local: Value| json!({"issuer": "i", "local_jwks": local});
    let discovery = |discovery: Value| json!({"issuer": "i", "openid_discovery": discovery});
    let edge = |edge: Value| json!({"issuer": "i", "edge_keys": edge});
    let both = json!({"issuer": "i", "openid_discovery": {}, "local_jwks": {"inline_string": ""}});
    let domains = |issuer: &str, uri: &str, domains: Value| {
        let remote = json!({"http_uri": {"uri": uri}});
        let mut provider = json!({"issuer": issuer, "remote_jwks": remote});
        if !domains.is_null() {
            provider["domains"] = domains;
        }
        provider
    };
    let by_header = || json!({"from_header": "d"});
    for (provider, expected) in [
        (json!({"issuer": "i"}), ": it needs one of `local_jwks`, `remote_jwks`, `openid_"),
        (both, ": it needs one of `local_jwks`, `remote_jwks`, `openid_discovery` and `edge_keys`"),
        (
            json!({"issuer": "i", "edge_keys": {}, "local_jwks": {"inline_string": ""}}),
            ": it needs one of `local_jwks`, `remote_jwks`, `openid_discovery` and `edge_keys`",
        ),
        (
            json!({"dangerous_allow_any_issuer": true, "edge_keys": {}}),
            ".edge_keys: it is of one issuer, so `issuer` is needed",
        ),
        (edge(json!({})), ".edge_keys.http_uri.uri: it must be an absolute URI"),
        (edge(json!({"cache_duration": "0.5s"})), ".edge_keys.http_uri.uri: it must be"),
        (
            edge(json!({"http_uri": {"uri": "https://a/"}, "cache_duration": "0.5s"})),
            ".edge_keys.cache_duration: `0.5s` is not a duration from `1s`",
        ),
        (
            edge(json!({"dangerous_symmetric_keys": true})),
            ".edge_keys.dangerous_symmetric_keys: unknown field",
        ),
        (local(json!({})), ".local_jwks: it needs one of `inline_string` and `inline_bytes`"),
        (
            json!({"issuer": "i", "remote_jwks": {"http_uri": {}}}),
            ".remote_jwks.http_uri: missing field `uri`",
        ),
        (
            remote(json!({"cache_duration": {"seconds": 90_000}})),
            ".remote_jwks.cache_duration: it is not a duration from `1s` to `86400s`",
        ),
        (remote(json!({"cache_duration": {"sec": 1}})), ".remote_jwks.cache_duration.sec: unknown"),
        (remote(json!({"async_fetch": {"fast": 1}})), ".remote_jwks.async_fetch.fast: unknown"),
        (
            remote(json!({"async_fetch": {"failed_refetch_duration": "2h"}})),
            ".remote_jwks.async_fetch.failed_refetch_duration: `2h` is not a duration",
        ),
        (
            remote(json!({"retry_policy": {"retry_back_off":
                {"base_interval": "20s", "max_interval": "10s"}}})),
            ".remote_jwks.retry_policy.retry_back_off.max_interval: it must not be less than",
        ),
        (
            remote(json!({"retry_policy": {"retry_back_off": {}}})),
            ".remote_jwks.retry_policy.retry_back_off: missing field `base_interval`",
        ),
        (
            remote(json!({"dangerous_symmetric_keys": true})),
            ".remote_jwks.dangerous_symmetric_keys: it has no effect unless `algorithms` names",
        ),
        (discovery(json!({})), ".openid_discovery.http_uri.uri: it must be an absolute URI"),
        (
            discovery(json!({"http_uri": {"uri": "https://a", "timeout": 5}})),
            ".openid_discovery.http_uri.timeout: invalid type: integer, expected a duration",
        ),
        (
            domains("https://a/{domain}", "https://a/{domain}", json!(null)),
            ".issuer: it holds `{domain}`, so `domains` is needed",
        ),
        (
            domains("https://a", "https://a/{domain}", by_header()),
            ".issuer: with `domains` it must hold `{domain}` once",
        ),
        (
            domains("{domain}{domain}", "https://a/{domain}", by_header()),
            ".issuer: with `domains` it must hold `{domain}` once",
        ),
        (
            domains("https://a", "https://a/{domain}", json!(null)),
            ".remote_jwks.http_uri.uri: it holds `{domain}`, so `domains` is needed",
        ),
        (
            domains("https://a/{domain}", "https://a/", by_header()),
            ".remote_jwks.http_uri.uri: with `domains` it must hold `{domain}`",
        ),
        (
            domains("https://a/{domain}", "https://a/{domain}", json!({})),
            ".domains: it needs one of `from_host`",
        ),
    ] {
        let error = parse(provider.clone()).unwrap_err();
        assert!(error.starts_with(&format!("providers.p{expected}")), "{provider}: {error}");
    }
}

#[test]
fn an_edges_keys_are_beside_the_issuer_and_may_be_secrets_where_an_hmac_is_named() {
    let edge = |algorithms: Value| {
        let provider = json!({"issuer": "https://auth.example.com/shop/", "algorithms": algorithms,
            "edge_keys": {"http_uri": {"cluster": "issuer"}}});
        let policy = json!({"providers": {"p": provider}, "rules": []}).to_string();
        let policy = Policy::parse(policy.as_bytes()).unwrap();
        let (member, place) = policy.http_uris().next().unwrap();
        assert_eq!(member, "providers.p.edge_keys.http_uri");
        assert_eq!((&*place.authority, &*place.path), ("auth.example.com", "/shop/edge/keys"));
        assert_eq!(place.cluster.as_deref(), Some("issuer"));
        match &policy.providers.first().unwrap().keys {
            KeySource::Edge(edge) => edge.fetching,
            other => panic!("{other:?}"),
        }
    };
    let fetching = edge(json!(["ES256"]));
    assert_eq!(fetching.cache_duration, Duration::from_secs(5));
    assert_eq!(fetching.key_kinds, KeyKinds::PublicOnly);
    assert_eq!(edge(json!(["ES256", "HS256"])).key_kinds, KeyKinds::WithSecrets);
}

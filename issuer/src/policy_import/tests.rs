//! Small documents, and what becomes of them.

use std::{io, time::Duration};

use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_compact::{
    Algorithm, AlgorithmSignature,
    alg::{Hs256, Hs256Key},
};
use postern_verify::{Decision, Gate, Policy, Request};
use serde_json::json;

use super::*;

fn import_text(text: &str) -> Result<(Value, String), ImportError> {
    let no_files = |_: &Path| Err(io::ErrorKind::NotFound.into());
    let import = import(text, None, &no_files)?;
    Ok((import.policy, import.notes.to_string()))
}

#[track_caller]
fn refused(text: &str, message: &str) {
    let error = import_text(text).unwrap_err().to_string();
    assert!(error.starts_with(message), "{error}");
}

/// A `JwtAuthentication` with the provider `p` and these further members.
fn jwt_authn(members: &str) -> String {
    let http_uri = "{uri: \"https://a.example/jwks\", cluster: a}";
    let provider =
        format!("{{issuer: i, require_expiration: true, remote_jwks: {{http_uri: {http_uri}}}}}");
    format!("providers: {{p: {provider}}}\n{members}")
}

fn rules_of(rules: &str) -> (Vec<Value>, String) {
    let (policy, notes) = import_text(&jwt_authn(&format!("rules: {rules}"))).unwrap();
    (policy["rules"].as_array().unwrap().clone(), notes)
}

/// A `RequestAuthentication` of `https://a.example` and the spec of an `AuthorizationPolicy`.
fn istio(spec: &str) -> String {
    let rule = "{issuer: \"https://a.example\", jwksUri: \"https://a.example/jwks\"}";
    let authentication =
        format!("kind: RequestAuthentication\nmetadata: {{name: a}}\nspec: {{jwtRules: [{rule}]}}");
    format!(
        "{authentication}\n---\nkind: AuthorizationPolicy\nmetadata: {{name: b}}\nspec: {spec}\n"
    )
}

fn istio_rules(spec: &str) -> (Value, String) {
    let (policy, notes) = import_text(&istio(spec)).unwrap();
    (policy["rules"].clone(), notes)
}

#[test]
fn filters_are_found_wherever_they_stand() {
    let config = json!({"providers": {}, "rules": [{"match": {"prefix": "/x"}}]});
    let typed = |url: &str| {
        let mut typed = config.clone();
        typed["@type"] = json!(url);
        typed
    };
    let url = "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication";
    let old = "type.googleapis.com/envoy.config.filter.http.jwt_authn.v2alpha.JwtAuthentication";
    let wrapped = json!({
        "@type": "type.googleapis.com/xds.type.v3.TypedStruct",
        "type_url": url,
        "value": config,
    });
    for document in [
        config.clone(),
        typed(url),
        json!({"configs": [{"dynamic_listeners": [typed(old)]}]}),
        json!({"name": "envoy.filters.http.jwt_authn", "typedConfig": wrapped}),
        json!({"name": "envoy.filters.http.jwt_authn", "config": config}),
        json!({"name": "renamed", "typed_config": typed(url)}),
    ] {
        let (policy, _) = import_text(&document.to_string()).unwrap();
        assert_eq!(policy["rules"][0], json!({"match": {"prefix": "/x"}}), "{document}");
    }
    refused(r#"{"name": "envoy.filters.http.router"}"#, "there is no `envoy.filters");
}

#[test]
fn what_no_rule_matches_stays_open() {
    let (rules, notes) = rules_of("[{match: {prefix: \"\"}, requires: {provider_name: p}}]");
    let first = json!({"match": {"prefix": "/"}, "requires": {"provider_name": "p"}});
    assert_eq!(rules, [first, json!({"match": {"prefix": "/"}})]);
    assert_eq!(
        notes,
        "note: Envoy lets through what no rule matches; the last rule keeps that, take it away to \
         deny\n"
    );
}

#[test]
fn a_rule_that_cannot_be_said_is_closed_and_an_open_one_left_out() {
    for narrower in
        ["cookies: [{}]", "headers: [{name: a, string_match: {custom: {}}}]", "grpc: {x: 1}"]
    {
        let (rules, notes) = rules_of(&format!(
            "[{{match: {{prefix: /a, {narrower}}}, requires: {{provider_name: p}}}}, \
             {{match: {{prefix: /b, {narrower}}}}}, \
             {{match: {{prefix: /c, {narrower}}}, requires: {{allow_missing_or_failed: {{}}}}}}]"
        ));
        assert_eq!(rules.len(), 2, "{narrower}: {rules:?}");
        assert_eq!(rules[0]["match"]["prefix"], "/a");
        assert_eq!(rules[0]["name"], "closed.rules-0");
        assert_eq!(rules[0]["claims"].as_array().unwrap().len(), 2);
        assert!(notes.contains("left out: rules[1]: the rule is left out"), "{notes}");
    }
    let (rules, _) = rules_of("[{match: {prefix: /a}, requires: {provider_name: other}}]");
    assert_eq!(rules[0]["name"], "closed.rules-0");
    let (rules, _) = rules_of("[{match: {prefix: /a}, requirement_name: other}]");
    assert_eq!(rules[0]["name"], "closed.rules-0");
    refused("{providers: {}, rules: [{match: {prefix: /}, requirement_name: x}]}", "no provider");
}

#[test]
fn requirements_within_lists_are_no_weaker() {
    // None where the rule is closed.
    let requires = |list: &str| {
        let (rules, _) = rules_of(&format!("[{{match: {{prefix: /}}, requires: {{{list}}}}}]"));
        rules[0].get("requires").cloned().filter(|_| rules[0].get("name").is_none())
    };
    let p = json!({"provider_name": "p"});
    let any = |list: Value| Some(json!({"requires_any": {"requirements": list}}));
    let missing = json!({"allow_missing": {}});
    let list = "requires_any: {requirements: [{provider_name: p}, {allow_missing: {}}]}";
    assert_eq!(requires(list), any(json!([p, missing])));
    let list = "requires_any: {requirements: [{provider_name: x}, {provider_name: p}]}";
    assert_eq!(requires(list), any(json!([p])));
    for closed in [
        "requires_any: {requirements: [{provider_name: x}, {allow_missing: {}}]}",
        "requires_all: {requirements: [{provider_name: x}, {provider_name: p}]}",
        "requires_all: {requirements: [{provider_name: p}, {something_new: {}}]}",
    ] {
        assert_eq!(requires(closed), None, "{closed}");
    }
    let mut deep = "{provider_name: p}".to_owned();
    for _ in 0..10 {
        deep = format!("{{requires_any: {{requirements: [{deep}]}}}}");
    }
    let (rules, notes) = rules_of(&format!("[{{match: {{prefix: /}}, requires: {deep}}}]"));
    assert_eq!(rules[0]["name"], "closed.rules-0");
    assert!(notes.contains("nested deeper"), "{notes}");
}

#[test]
fn istio_without_a_policy_takes_valid_tokens_or_none() {
    let document = istio("{action: DENY}");
    let authentication = document.split("---").next().unwrap();
    let (policy, notes) = import_text(authentication).unwrap();
    let open = json!([{"match": {"prefix": "/"}, "requires": {"allow_missing": {}}}]);
    assert_eq!(policy["rules"], open);
    assert!(notes.contains("no `AuthorizationPolicy` allows"), "{notes}");
    assert_eq!(istio_rules("{action: DENY}").0, open);
    let (rules, _) = istio_rules("{}");
    assert_eq!(rules, json!([]), "a policy without rules allows nothing");
    assert_eq!(istio_rules("{rules: [{}]}").0, open);
    let (rules, _) = istio_rules("{action: DENY, rules: [{}]}");
    assert_eq!(rules, json!([]));
}

#[test]
fn denying_what_has_no_token_asks_for_one() {
    let (rules, notes) = istio_rules(
        "{action: DENY, rules: [{from: [{source: {notRequestPrincipals: [\"*\"]}}], \
         to: [{operation: {notPaths: [/healthz, \"/public/*\"]}}]}]}",
    );
    let expected = json!([
        {"match": {"path": "/healthz"}, "requires": {"allow_missing": {}}},
        {"match": {"prefix": "/public/"}, "requires": {"allow_missing": {}}},
        {
            "match": {"prefix": "/"},
            "requires": {"provider_name": "a.example"},
            "claims": [{"name": "sub", "present": true}],
        },
        {"match": {"prefix": "/"}, "requires": {"allow_missing": {}}},
    ]);
    let expected = expected.as_array().unwrap();
    assert_eq!(rules.as_array().unwrap()[..3], expected[..3]);
    assert!(!notes.contains("left out"), "{notes}");
}

#[test]
fn an_empty_list_is_no_list() {
    for empty in ["paths: []", "methods: []", "hosts: []", "notPaths: []"] {
        let operation = format!("[{{operation: {{{empty}}}}}]");
        let (rules, _) = istio_rules(&format!("{{action: DENY, rules: [{{to: {operation}}}]}}"));
        assert_eq!(rules, json!([]), "{empty}: all is denied");
    }
}

#[test]
fn too_much_to_say_is_an_error() {
    let many = |sign: &str| (0..100).map(|number| format!("{sign}{number}")).collect::<Vec<_>>();
    let (paths, hosts) = (many("/"), many("h"));
    let operation = format!("[{{operation: {{paths: {paths:?}, hosts: {hosts:?}}}}}]");
    let place = "AuthorizationPolicy/b.spec.rules[0].to[0].operation.hosts: it is for too many";
    refused(&istio(&format!("{{rules: [{{to: {operation}}}]}}")), place);
    let values: Vec<_> = (0..300).map(|number| format!("v{number}")).collect();
    let when = format!("[{{key: \"request.auth.claims[a]\", values: {values:?}}}]");
    let place = "AuthorizationPolicy/b.spec.rules[0].when[0].values: it has too many values";
    refused(&istio(&format!("{{rules: [{{when: {when}}}]}}")), place);
}

#[test]
fn documents_of_several_workloads_are_refused() {
    let policy = |meta: &str, spec: &str| {
        format!("---\nkind: AuthorizationPolicy\nmetadata: {{name: c, {meta}}}\nspec: {{{spec}}}\n")
    };
    let one = istio("{selector: {matchLabels: {app: one}}}");
    let two = policy("", "selector: {matchLabels: {app: two}}, rules: [{}]");
    refused(
        &format!("{one}{two}"),
        "`AuthorizationPolicy/b` and `AuthorizationPolicy/c` select different",
    );
    let everywhere = policy("namespace: istio-system", "rules: [{}]");
    assert!(import_text(&format!("{one}{everywhere}")).is_ok());
    let [here, there] = ["here", "there"].map(|name| policy(&format!("namespace: {name}"), ""));
    let both = format!("{one}{here}{there}");
    refused(&both, "`AuthorizationPolicy/c` and `AuthorizationPolicy/c` stand in different");
    assert!(import_text(&format!("{one}{everywhere}{here}")).is_ok());
}

#[test]
fn unknown_members_of_istio_never_open() {
    let (rules, notes) = istio_rules(
        "{rules: [{to: [{operation: {paths: [/a], xyz: 1}}]}, {to: [{operation: {paths: [/b]}}], abc: {}}]}",
    );
    assert_eq!(rules, json!([]), "{notes}");
    refused(&istio("{rules: [{}], exempt: {}}"), "AuthorizationPolicy/b.spec.exempt");
    refused(&istio("{action: PERMIT}"), "AuthorizationPolicy/b.spec.action");
    refused(
        "kind: AuthorizationPolicy\nspec: {rules: [{}]}",
        "no rule of a `RequestAuthentication`",
    );
}

#[test]
fn notes_are_one_line_each() {
    let (_, notes) = rules_of("[{match: {prefix: /a, \"x\\ny\": 1}}]");
    assert!(notes.lines().all(|line| line.starts_with("left out: ") || line.starts_with("note: ")));
    assert!(notes.contains("rules[0].match.x y"), "{notes}");
}

const SECRET: &[u8] = b"secret-secret-secret-secret-secret";

fn jwks() -> String {
    json!({"keys": [{"kty": "oct", "k": Base64UrlUnpadded::encode_string(SECRET)}]}).to_string()
}

fn token(claims: &Value) -> String {
    let encode = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    let text = format!("{}.{}", encode(r#"{"alg":"HS256"}"#), encode(&claims.to_string()));
    let signature = Hs256.sign(&Hs256Key::new(SECRET), text.as_bytes());
    format!("{text}.{}", Base64UrlUnpadded::encode_string(&signature.as_bytes()))
}

/// What the core says to a request, `GET /path`, with a token of these claims.
fn decide(policy: &Value, request: &str, claims: Option<Value>) -> &'static str {
    let mut gate = Gate::new(Policy::parse(policy.to_string().as_bytes()).unwrap());
    let (method, target) = request.split_once(' ').unwrap();
    let bearer = claims.map(|claims| format!("Bearer {}", token(&claims)));
    let headers = bearer.iter().map(|value| ("authorization", value.as_bytes())).collect();
    let request = Request::new(method, target.as_bytes(), headers);
    match gate.decide(&request, Duration::from_secs(1_800_000_000)) {
        Decision::Allow(_) => "allowed",
        Decision::Deny(denied) => denied.denial.code(),
        Decision::AwaitKeys(_) => "waiting",
    }
}

#[test]
fn a_closed_rule_lets_nobody_in() {
    let jwks = json!(jwks());
    let (policy, _) = import_text(&format!(
        "providers: {{p: {{issuer: i, local_jwks: {{inline_string: {jwks}}}}}}}\n\
         rules: [{{match: {{prefix: /a, cookies: [{{}}]}}, requires: {{provider_name: p}}}}, \
         {{match: {{path_separated_prefix: /b/}}, requires: {{provider_name: p}}}}]"
    ))
    .unwrap();
    let valid = || Some(json!({"iss": "i", "sub": "ada"}));
    assert_eq!(decide(&policy, "GET /a", None), "token_missing");
    assert_eq!(decide(&policy, "GET /a", valid()), "insufficient_scope");
    assert_eq!(decide(&policy, "GET /b/c", valid()), "insufficient_scope");
    let without = import_text(&format!(
        "providers: {{p: {{issuer: i, local_jwks: {{inline_string: {jwks}}}}}}}\n\
         rules: [{{match: {{prefix: /a}}, requires: {{provider_name: p}}}}]"
    ));
    let (policy, _) = without.unwrap();
    assert_eq!(decide(&policy, "GET /a", valid()), "allowed");
    assert_eq!(decide(&policy, "GET /b/c", None), "allowed");
}

#[test]
fn the_core_decides_as_istio_does() {
    let document = json!({"kind": "List", "items": [
        {"kind": "RequestAuthentication", "metadata": {"name": "r"}, "spec": {"jwtRules": [
            {"issuer": "https://staff.example", "jwks": jwks()},
            {"issuer": "https://shop.example", "jwks": jwks(), "audiences": ["shop"]},
        ]}},
        {"kind": "AuthorizationPolicy", "metadata": {"name": "a"}, "spec": {"rules": [
            {"to": [{"operation": {"paths": ["/healthz", "*/avatar"], "methods": ["GET"]}}]},
            {"from": [{"source": {"requestPrincipals": ["https://staff.example/*"]}}],
             "to": [{"operation": {"notPaths": ["/keys/*", "/orders/*"]}}]},
            {"to": [{"operation": {"paths": ["/orders/*"]}}],
             "when": [{"key": "request.auth.claims[scope]", "values": ["orders"]}]},
        ]}},
        {"kind": "AuthorizationPolicy", "metadata": {"name": "d"}, "spec": {"action": "DENY", "rules": [
            {"to": [{"operation": {"paths": ["/orders/*"], "methods": ["DELETE"]}}],
             "when": [{"key": "request.auth.claims[group]", "notValues": ["admin", "root"]}]},
        ]}},
    ]});
    let (policy, notes) = import_text(&document.to_string()).unwrap();
    assert!(!notes.contains("left out"), "{notes}");
    let staff = |more: Value| {
        let mut claims = json!({"iss": "https://staff.example", "sub": "ada"});
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Some(claims)
    };
    let shop = |scope: &str| {
        Some(json!({"iss": "https://shop.example", "sub": "bob", "aud": "shop", "scope": scope}))
    };
    for (request, claims, expected) in [
        ("GET /healthz", None, "allowed"),
        ("GET /healthz", shop(""), "allowed"),
        ("GET /healthz", Some(json!({"iss": "https://other.example"})), "issuer_unknown"),
        ("PUT /healthz", None, "token_missing"),
        ("PUT /healthz", staff(json!({})), "allowed"),
        ("GET /avatar", None, "allowed"),
        ("GET /users/1/avatar", None, "allowed"),
        ("GET /anything", staff(json!({})), "allowed"),
        ("GET /anything", Some(json!({"iss": "https://staff.example"})), "insufficient_scope"),
        ("GET /anything", shop("orders"), "issuer_unknown"),
        ("GET /keys/1", staff(json!({})), "insufficient_scope"),
        ("GET /orders/1", shop("read orders"), "allowed"),
        ("GET /orders/1", shop("read"), "insufficient_scope"),
        ("GET /orders/1", None, "token_missing"),
        ("DELETE /orders/1", shop("orders"), "insufficient_scope"),
        ("DELETE /orders/1", staff(json!({"group": ["admin"], "scope": "orders"})), "allowed"),
        (
            "DELETE /orders/1",
            staff(json!({"group": "guest", "scope": "orders"})),
            "insufficient_scope",
        ),
    ] {
        assert_eq!(decide(&policy, request, claims), expected, "{request}: {notes}{policy:#}");
    }
}

#[test]
fn a_provider_of_istio_that_postern_refuses_is_left_out() {
    let weak = json!({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}).to_string();
    let document = json!({"kind": "RequestAuthentication", "spec": {"jwtRules": [
        {"issuer": "weak", "jwks": weak},
        {"issuer": "strong", "jwks": jwks()},
    ]}});
    let (policy, notes) = import_text(&document.to_string()).unwrap();
    let names: Vec<_> = policy["providers"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["strong"]);
    assert!(notes.contains("jwtRules[0]: Postern refuses it"), "{notes}");
    assert!(!notes.contains("c2VjcmV0"), "{notes}");
}

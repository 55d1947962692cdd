//! What a policy may say, and how it is told off.

use serde_json::{Value, json};

use super::*;

fn provider() -> Value {
    json!({"issuer": "https://a", "remote_jwks": {"http_uri": {"uri": "https://a/jwks"}}})
}

fn policy_with(rule: Value) -> Value {
    json!({"providers": {"p": provider(), "q": provider()}, "rules": [rule]})
}

fn error_of(policy: Value) -> String {
    Policy::parse(policy.to_string().as_bytes()).unwrap_err().to_string()
}

fn provider_error(changes: Value) -> String {
    let mut provider = provider();
    for (name, value) in changes.as_object().unwrap() {
        provider[name] = value.clone();
    }
    error_of(json!({"providers": {"p": provider}, "rules": []}))
}

fn matching(policy: &Policy, method: &str, target: &str) -> Option<bool> {
    let request = Request::new(method, target.as_bytes(), vec![]);
    let path = request.path().ok()?;
    let demands = policy.demands(&request, request.method().ok()?, &path).ok()?;
    Some(matches!(demands.demand?.requirement.need, Need::Open))
}

#[test]
fn takes_every_member() {
    let policy = json!({
        "providers": {"p": {
            "issuer": "https://a", "audiences": ["x"],
            "remote_jwks": {
                "http_uri": {"uri": "http://h:1/jwks?x=1", "cluster": "c", "timeout": "0.5s"},
                "cache_duration": "60s", "max_stale": "600s"},
            "from_headers": [{"name": "X-Token"}, {"name": "A", "value_prefix": "B "}],
            "from_cookies": ["c"], "from_params": ["t"], "forward": true,
            "forward_payload_header": "X-Payload",
            "claim_to_headers": [{"header_name": "X-Sub", "claim_name": "a.b"}],
            "clock_skew_seconds": 0
        }},
        "rules": [
            {"match": {"prefix": "/", "methods": ["GET"]}, "requires": {"requires_all": {
                "requirements": [{"provider_name": "p"}, {"requires_any": {"requirements": [
                    {"provider_name": "p"}, {"allow_missing": {}}]}}]}}},
            {"match": {"path": "/"}, "requires": {"allow_missing_or_failed": {}}},
            {"match": {"safe_regex": {"regex": "/[a-z]+"}}, "requires": {"allow_missing": {}}}
        ]
    });
    let policy = Policy::parse(policy.to_string().as_bytes()).unwrap();
    assert_eq!(policy.identity_headers().collect::<Vec<_>>(), ["x-payload", "x-sub"]);
    let (member, remote) = policy.http_uris().next().unwrap();
    assert_eq!(member, "providers.p.remote_jwks.http_uri");
    assert_eq!((remote.authority.as_str(), remote.path.as_str()), ("h:1", "/jwks?x=1"));
    assert_eq!(remote.timeout.as_millis(), 500);
}

#[test]
fn an_error_names_the_member() {
    let jwks = |http_uri: Value| json!({"remote_jwks": {"http_uri": http_uri}});
    for (changes, expected) in [
        (json!({"audience": "x"}), "providers.p.audience: unknown field `audience`"),
        (json!({"audiences": "x"}), "providers.p.audiences: invalid type: string, expected a"),
        (json!({"audiences": []}), "providers.p.audiences: it must not be empty; leave it out"),
        (json!({"algorithms": []}), "providers.p.algorithms: it must not be empty"),
        (json!({"algorithms": ["RS256", "none"]}), "providers.p.algorithms[1]: `none` is not a"),
        (json!({"audiences": null}), "providers.p.audiences: it must not be null"),
        (json!({"issuer": ""}), "providers.p.issuer: it must not be empty"),
        (json!({"clock_skew_seconds": 3601}), "providers.p.clock_skew_seconds: it may be at most"),
        (
            json!({"clock_skew_seconds": -1}),
            "providers.p.clock_skew_seconds: invalid value: integer, expected a whole number",
        ),
        (json!({"local_jwks": {"inline_string": "{}"}}), "providers.p: it needs one of `local_"),
        (json!({"from_headers": [{"name": "a b"}]}), "providers.p.from_headers[0].name: `a b`"),
        (
            json!({"from_headers": [{"name": "a", "value_prefix": " B"}]}),
            "providers.p.from_headers[0].value_prefix: it must be visible",
        ),
        (json!({"from_headers": [{"name": "Cookie"}]}), "providers.p.from_headers[0].name: use"),
        (json!({"from_cookies": ["a", ""]}), "providers.p.from_cookies[1]: `` is not"),
        (json!({"from_params": ["a=b"]}), "providers.p.from_params[0]: `a=b` is not"),
        (json!({"forward_payload_header": ":path"}), "providers.p.forward_payload_header: `:path`"),
        (
            json!({"claim_to_headers": [{"header_name": "Host", "claim_name": "sub"}]}),
            "providers.p.claim_to_headers[0].header_name: `host` must not be overwritten",
        ),
        (
            json!({"claim_to_headers": [{"header_name": "x", "claim_name": "a..b"}]}),
            "providers.p.claim_to_headers[0].claim_name: it must name",
        ),
        (jwks(json!({"uri": "/jwks"})), "providers.p.remote_jwks.http_uri.uri: it must be an abs"),
        (jwks(json!({"uri": "ftp://a"})), "providers.p.remote_jwks.http_uri.uri: its scheme"),
        (jwks(json!({"uri": "https://u@a"})), "providers.p.remote_jwks.http_uri.uri: it must have"),
        (jwks(json!({"uri": "https://a#b"})), "providers.p.remote_jwks.http_uri.uri: it must hold"),
        (
            jwks(json!({"uri": "https://a", "timeout": "2m"})),
            "providers.p.remote_jwks.http_uri.timeout: `2m` is not a duration from `0.1s` to `60s`",
        ),
        (
            json!({"remote_jwks": {"http_uri": {"uri": "https://a"}, "max_stale": "9s"}}),
            "providers.p.remote_jwks.max_stale: it must not be less than `cache_duration`",
        ),
    ] {
        let error = provider_error(changes.clone());
        assert!(error.starts_with(expected), "{changes}: {error}");
    }
}

#[test]
fn an_error_in_what_is_asked_of_a_token_names_the_member() {
    for (changes, expected) in [
        (json!({"require_expiration": false}), "providers.p.require_expiration: a token without"),
        (
            json!({"max_lifetime": "60s", "dangerous_allow_missing_expiration": true}),
            "providers.p.dangerous_allow_missing_expiration: `require_expiration` and",
        ),
        (json!({"max_lifetime": "0s"}), "providers.p.max_lifetime: `0s` is not a duration"),
        (json!({"token_types": []}), "providers.p.token_types: it must list media types"),
        (json!({"subjects": {}}), "providers.p.subjects: it needs one of `exact`"),
        (json!({"subjects": {"exact": 1}}), "providers.p.subjects.exact: invalid type: integer"),
        (
            json!({"pad_forward_payload_header": true}),
            "providers.p.pad_forward_payload_header: it has no effect without",
        ),
        (json!({"payload_in_metadata": ""}), "providers.p.payload_in_metadata: it must not be"),
        (
            json!({"normalize_payload_in_metadata": {"space_delimited_claims": ["scope"]}}),
            "providers.p.normalize_payload_in_metadata: it has no effect without",
        ),
        (json!({"dangerous_allow_any_issuer": true}), "providers.p.issuer: `dangerous_allow_any"),
        (json!({"domains": {"from_host": "{domain}.x"}}), "providers.p.issuer: with `domains` it"),
    ] {
        let error = provider_error(changes.clone());
        assert!(error.starts_with(expected), "{changes}: {error}");
    }
    let mut nameless = provider();
    nameless.as_object_mut().unwrap().remove("issuer");
    let error = error_of(json!({"providers": {"p": nameless}, "rules": []}));
    assert!(error.starts_with("providers.p.issuer: it is missing; if"), "{error}");
}

#[test]
fn an_error_in_a_matcher_names_the_member() {
    for (changes, expected) in [
        (json!({"path_separated_prefix": "/a/"}), "path_separated_prefix: it must not end with"),
        (json!({"path_template": "/a/**/b"}), "path_template: nothing may stand behind"),
        (
            json!({"path_match_policy": {"typed_config": {"@type": "x", "path_template": "/a"}}}),
            "path_match_policy.typed_config.@type: it must be `type.googleapis.com/",
        ),
        (json!({"path_template": "/a", "path": "/a"}), ": it needs one of `prefix`"),
        (json!({"safe_regex": {"regex": "/a"}, "case_sensitive": false}), "case_sensitive: it has"),
        (json!({"path": "/", "headers": [{"name": "a b"}]}), "headers[0].name: `a b` is not a"),
        (json!({"path": "/", "headers": [{"name": ":status"}]}), "headers[0].name: `:status` is"),
        (
            json!({"path": "/", "headers": [{"name": "a", "exact_match": "x", "present_match": true}]}),
            "headers[0]: it may ask for one thing",
        ),
        (
            json!({"path": "/", "headers": [{"name": "a", "prefix_match": ""}]}),
            "headers[0].prefix_match: it must not be empty",
        ),
        (
            json!({"path": "/", "headers": [{"name": "a", "range_match": {"start": 1, "end": 1}}]}),
            "headers[0].range_match: `end` must be greater",
        ),
        (
            json!({"path": "/", "headers": [{"name": "a", "string_match": {}}]}),
            "headers[0].string_match: it needs one of",
        ),
        (json!({"path": "/", "query_parameters": [{"name": ""}]}), "query_parameters[0].name: it"),
        (
            json!({"path": "/", "query_parameters": [{"name": "a", "present_match": true,
                "string_match": {"exact": "x"}}]}),
            "query_parameters[0]: it needs at most one",
        ),
    ] {
        let error = error_of(policy_with(json!({"match": changes})));
        let dot = if expected.starts_with(':') { "" } else { "." };
        let expected = format!("rules[0].match{dot}{expected}");
        assert!(error.starts_with(&expected), "{error}");
    }
}

#[test]
fn an_error_in_what_a_rule_does_names_the_member() {
    for (changes, expected) in [
        (json!({"requirement_name": "x"}), "requirement_name: there is no `x`"),
        (
            json!({"requirement_name": "x", "requires": {"provider_name": "p"}}),
            ": it needs at most",
        ),
        (json!({"scopes": ["a"]}), ": `scopes` and `claims` need a token"),
        (
            json!({"scopes": ["a"], "requires": {"allow_missing": {}}}),
            ": `scopes` and `claims` need a token",
        ),
        (
            json!({"claims": [{"name": "a", "exact": 1}], "requires": {"requires_any":
                {"requirements": [{"provider_name": "p"}, {"allow_missing_or_failed": {}}]}}}),
            ": `scopes` and `claims` need a token",
        ),
        (json!({"name": "a b"}), "name: a name is 1 to 64"),
        (json!({"report_only_header": "x"}), "report_only_header: it has no effect"),
        (
            json!({"report_only": true, "report_only_header": "host"}),
            "report_only_header: `host` must not be overwritten",
        ),
        (json!({"deny_response": {"status": 302}}), "deny_response.status: it must be a status"),
        (
            json!({"deny_response": {"redirect": {"location": "/x", "status": 301}}}),
            "deny_response.redirect.status: it must be 302",
        ),
        (
            json!({"requires": {"extract_only_without_validation":
                {"verification_status_header": "-"}}}),
            "requires.extract_only_without_validation.verification_status_header: the header",
        ),
        (
            json!({"requires": {"requires_all": {"requirements": [
                {"extract_only_without_validation": {}}]}}}),
            "requires.requires_all.requirements[0].extract_only_without_validation: it must be the",
        ),
        (
            json!({"requires": {"provider_and_audiences": {"provider_name": "p", "audiences": []}}}),
            "requires.provider_and_audiences.audiences: it must not be empty",
        ),
    ] {
        let mut rule = json!({"match": {"prefix": "/"}});
        for (name, value) in changes.as_object().unwrap() {
            rule[name] = value.clone();
        }
        let error = error_of(policy_with(rule));
        let dot = if expected.starts_with(':') { "" } else { "." };
        let expected = format!("rules[0]{dot}{expected}");
        assert!(error.starts_with(&expected), "{error}");
    }
    for location in
        ["x", "//evil", "https://", "https://{original_url}/", "https://u@a/", "/{x}", "/\\e"]
    {
        let deny = json!({"redirect": {"location": location}});
        let rule = json!({"match": {"prefix": "/"}, "deny_response": deny});
        let error = error_of(policy_with(rule));
        assert!(error.starts_with("rules[0].deny_response.redirect.location: it"), "{error}");
    }
}

#[test]
fn an_error_at_the_top_names_the_member() {
    for (changes, expected) in [
        (
            json!({"requirement_map": {"a": {"provider_name": "x"}}}),
            "requirement_map.a.provider_name: there is no provider `x`",
        ),
        (
            json!({"filter_state_rules": {"name": "s", "requires": {"a": {}}}}),
            "filter_state_rules.requires.a: it needs one of",
        ),
        (json!({"filter_state_rules": {"name": ""}}), "filter_state_rules.name: it must not be"),
        (json!({"stat_prefix": "a b"}), "stat_prefix: it is letters"),
        (
            json!({"verified_token_cache": {"max_bytes": 1_073_741_825}}),
            "verified_token_cache.max_bytes: it may be at most 1073741824",
        ),
        (
            json!({"verified_token_cache": {"max_bytes": -1}}),
            "verified_token_cache.max_bytes: invalid value: integer, expected a whole number",
        ),
    ] {
        let mut policy = json!({"providers": {"p": provider()}, "rules": []});
        for (name, value) in changes.as_object().unwrap() {
            policy[name] = value.clone();
        }
        let error = error_of(policy);
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn an_inline_key_set_has_to_be_of_use() {
    for (keys, expected) in [
        ("{", "the JWK Set is not JSON"),
        (r#"{"keys": []}"#, "it holds no key"),
        (r#"{"keys": [{"kty": "EC"}]}"#, "a key cannot be used; keys[0]: `crv` is not"),
    ] {
        let provider = json!({"issuer": "i", "local_jwks": {"inline_string": keys}});
        let error = error_of(json!({"providers": {"p": provider}, "rules": []}));
        let expected = format!("providers.p.local_jwks.inline_string: {expected}");
        assert!(error.starts_with(&expected), "{error}");
    }
}

#[test]
fn an_error_never_quotes_a_value() {
    let jwks = r#"{"keys":[{"kty":"oct","k":"c2VjcmV0LCBleHBlY3RlZCBhIHNlY3JldA"}]}"#;
    for (changes, expected) in [
        (
            json!({"local_jwks": jwks}),
            "providers.p.local_jwks: invalid type: string, expected an object",
        ),
        (
            json!({"from_cookies": 5}),
            "providers.p.from_cookies: invalid type: integer, expected a sequence",
        ),
    ] {
        assert_eq!(provider_error(changes), expected);
    }
}

#[test]
fn an_error_in_a_rule_names_the_member() {
    for (rule, expected) in [
        (json!({"match": {}}), "rules[0].match: it needs one of"),
        (json!({"match": {"prefix": "/", "path": "/"}}), "rules[0].match: it needs one of"),
        (json!({"match": {"prefix": "api"}}), "rules[0].match.prefix: it must begin with `/`"),
        (json!({"match": {"path": "/a?b"}}), "rules[0].match.path: it must hold neither"),
        (json!({"match": {"prefx": "/"}}), "rules[0].match.prefx: unknown field `prefx`"),
        (json!({"match": {"prefix": 7}}), "rules[0].match.prefix: invalid type: integer"),
        (json!({"match": {"prefix": "/a//"}}), "rules[0].match.prefix: no request can have"),
        (json!({"match": {"path": "/a/.."}}), "rules[0].match.path: no request can have"),
        (json!({"match": {"prefix": "/a%2fb"}}), "rules[0].match.prefix: no request can have"),
        (
            json!({"match": {"safe_regex": {"regex": "/a%20b"}}}),
            "rules[0].match.safe_regex.regex: it is matched against the decoded path",
        ),
        (
            json!({"match": {"safe_regex": {"regex": "/a//b"}}}),
            "rules[0].match.safe_regex.regex: no request can have",
        ),
        (json!({"match": {"safe_regex": {"regex": "("}}}), "rules[0].match.safe_regex.regex: "),
        (
            json!({"match": {"safe_regex": {"regex": "/a)|(/b"}}}),
            "rules[0].match.safe_regex.regex: ",
        ),
        (json!({"match": {"prefix": "/", "methods": []}}), "rules[0].match.methods: an empty"),
        (json!({"match": {"prefix": "/", "methods": ["get"]}}), "rules[0].match.methods: `get`"),
        (json!({"match": {"prefix": "/"}, "requires": null}), "rules[0].requires: it must not be"),
        (json!({"match": {"prefix": "/"}, "requires": {}}), "rules[0].requires: it needs one of"),
        (
            json!({"match": {"prefix": "/"}, "requires": {"provider_name": "x"}}),
            "rules[0].requires.provider_name: there is no provider `x`",
        ),
        (
            json!({"match": {"prefix": "/"}, "requires": {"provider_name": "p", "allow_missing": {}}}),
            "rules[0].requires: it needs one of",
        ),
        (
            json!({"match": {"prefix": "/"}, "requires": {"requires_any": {"requirements": []}}}),
            "rules[0].requires.requires_any.requirements: it must not be empty",
        ),
        (
            json!({"match": {"prefix": "/"}, "requires": {"requires_all": {"requirements": [
                {"provider_name": "p"}, {"provider_name": "y"}]}}}),
            "rules[0].requires.requires_all.requirements[1].provider_name: there is no",
        ),
        (
            json!({"match": {"prefix": "/"}, "require": {}}),
            "rules[0].require: unknown field `require`",
        ),
    ] {
        let error = error_of(policy_with(rule.clone()));
        assert!(error.starts_with(expected), "{rule}: {error}");
    }
}

#[test]
fn an_error_in_the_document_is_clear() {
    for (document, expected) in [
        ("", "EOF while parsing"),
        ("[]", "it must be an object"),
        ("{}", "missing field `rules`"),
        (r#"{"rules": [], "rules": []}"#, "a member stands twice"),
        (r#"{"rules": [], "bypass": true}"#, "bypass: unknown field `bypass`"),
    ] {
        let error = Policy::parse(document.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{document}: {error}");
    }
}

#[test]
fn a_path_without_case_has_none_in_any_script() {
    let guard = json!({"match": {"prefix": "/kiosk", "case_sensitive": false},
        "requires": {"provider_name": "p"}});
    let policy =
        json!({"providers": {"p": provider()}, "rules": [guard, {"match": {"prefix": "/"}}]});
    let policy = Policy::parse(policy.to_string().as_bytes()).unwrap();
    for (target, open) in
        [("/KIOSK/a", false), ("/%E2%84%AAiosk", false), ("/kiosq", true), ("/a/kiosk", true)]
    {
        assert_eq!(matching(&policy, "GET", target), Some(open), "{target}");
    }
}

#[test]
fn the_first_matching_rule_decides() {
    let requires = json!({"provider_name": "p"});
    let policy = json!({"providers": {"p": provider()}, "rules": [
        {"match": {"path": "/api/health"}},
        {"match": {"prefix": "/api/", "methods": ["GET", "HEAD"]}, "requires": requires},
        {"match": {"safe_regex": {"regex": "/files/[0-9]+|/x"}}},
        {"match": {"prefix": "/admin%20panel/."}},
    ]});
    let policy = Policy::parse(policy.to_string().as_bytes()).unwrap();
    for (method, target, open) in [
        ("GET", "/api/health", Some(true)),
        ("GET", "/api/health?x=1", Some(true)),
        ("GET", "/%61pi/health", Some(true)),
        ("GET", "/api/healthz", Some(false)),
        ("GET", "/api/", Some(false)),
        ("POST", "/api/", None),
        ("HEAD", "/api/", Some(false)),
        ("GET", "/api", None),
        ("GET", "/API/", None),
        ("GET", "/files/12", Some(true)),
        ("GET", "/files/12/x", None),
        ("GET", "/evil/files/12", None),
        ("GET", "/xy", None),
        ("GET", "/admin%20panel/.x", Some(true)),
        ("GET", "/admin%20p%61nel/.x", Some(true)),
        ("GET", "/admin%20panel/x", None),
        ("GET", "*", None),
        ("CONNECT", "", None),
    ] {
        assert_eq!(matching(&policy, method, target), open, "{method} {target}");
    }
}

#[test]
fn a_policy_knows_what_of_a_request_it_looks_at() {
    let needs = json!({"provider_name": "p"});
    let all = json!({"match": {"prefix": "/"}, "requires": needs});
    let looks = |rules: Value, changes: Value| {
        let mut policy = json!({"providers": {"p": provider()}, "rules": rules});
        for (name, value) in changes.as_object().unwrap() {
            policy[name] = value.clone();
        }
        let policy = Policy::parse(policy.to_string().as_bytes()).unwrap();
        (policy.rests_on_token_alone(), policy.asks_for_fields())
    };
    let none = json!({});
    assert_eq!(looks(json!([all]), none.clone()), (true, false));
    assert_eq!(looks(json!([]), none.clone()), (false, false));
    assert_eq!(looks(json!([{"match": {"path": "/x"}}, all]), none.clone()), (false, false));
    let methods = json!({"match": {"prefix": "/", "methods": ["GET"]}, "requires": needs});
    assert_eq!(looks(json!([methods, all]), none.clone()), (false, false));
    let trial = json!({"match": {"prefix": "/"}, "requires": needs, "report_only": true});
    assert_eq!(looks(json!([trial, all]), none.clone()), (false, false));
    let headers = json!([{"name": "x", "present_match": true}]);
    let fields = json!({"match": {"prefix": "/", "headers": headers}, "requires": needs});
    assert_eq!(looks(json!([fields, all]), none), (false, true));
    let preflight = json!({"bypass_cors_preflight": true});
    assert_eq!(looks(json!([all]), preflight), (false, false));
    for (source, asks) in [
        (json!({"from_host": "{domain}.x.example"}), true),
        (json!({"from_header": "x-domain"}), true),
        (json!({"from_path_segment": 0}), false),
    ] {
        let provider = json!({
            "issuer": "https://a/{domain}", "audiences": ["{domain}"], "domains": source,
            "remote_jwks": {"http_uri": {"uri": "https://a/{domain}/jwks"}},
        });
        assert_eq!(looks(json!([all]), json!({"providers": {"p": provider}})), (false, asks));
    }
}

//! Events of API Gateway as AWS documents them, and the verdicts on them.

use std::{collections::BTreeMap, time::Duration};

use postern_verify::{Fetched, KeySetId};
use serde_json::{Value, json};

use super::{AuthorizerError, Judge, Outcome, Settings, SettingsError};
use crate::{KeySet, SigningAlgorithm, Timestamp, lambda::EventError};

const NOW: u64 = 1_800_000_000;
const STAGE: &str = "arn:aws:execute-api:eu-central-1:123456789012:a1b2/prod/";
const ISSUER: &str = "https://auth.example.com/shop";

fn settings(variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
    Settings::read(|name| variables.get(name).map(|value| (*value).to_owned()))
}

const PINNED: [(&str, &str); 2] =
    [("POSTERN_ISSUER_URL", "https://auth.example.com"), ("POSTERN_DOMAIN", "shop")];

/// A gate of these variables that holds the keys, and a maker of tokens.
struct Scene {
    judge: Judge,
    key_set: KeySet,
}

impl Scene {
    fn new(variables: &[(&str, &str)]) -> Self {
        let mut scene = Self::without_keys(variables);
        let keys = scene.key_set.publish(300, Timestamp(NOW)).unwrap().document;
        let gate = scene.judge.gate_mut();
        while let Some(fetch) = gate.keys_mut().poll_fetch(now()) {
            let (etag, cache_control, age) = (None, None, None);
            let body = keys.as_slice();
            let fetched = Fetched::Response { status: 200, etag, cache_control, age, body };
            gate.keys_mut().handle_fetched(&fetch, fetched, now()).unwrap();
        }
        scene
    }

    fn without_keys(variables: &[(&str, &str)]) -> Self {
        let key_set = KeySet::generate(SigningAlgorithm::EdDsa, Timestamp(NOW)).unwrap();
        Self { judge: Judge::new(settings(variables).unwrap(), 0).unwrap(), key_set }
    }

    fn token(&self, changes: &Value) -> String {
        let mut claims = json!({
            "iss": ISSUER, "sub": "u1", "aud": "shop", "iat": NOW - 10, "exp": NOW + 60,
            "scope": "orders:read orders:write",
        });
        for (name, value) in changes.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        self.key_set.current.sign(&claims).unwrap().expose().to_owned()
    }

    fn outcome(&mut self, event: &Value) -> Outcome {
        self.judge.outcome(event, now())
    }

    fn answer(&mut self, event: &Value) -> Value {
        match self.outcome(event) {
            Outcome::Answer(answer) => answer,
            other => panic!("{other:?} to {event}"),
        }
    }
}

fn now() -> Duration {
    Duration::from_secs(NOW)
}

fn token_event(token: &str, path: &str) -> Value {
    json!({"type": "TOKEN", "authorizationToken": token, "methodArn": format!("{STAGE}GET/{path}")})
}

fn request_one(token: &str, path: &str) -> Value {
    json!({
        "type": "REQUEST",
        "methodArn": format!("{STAGE}GET{path}"),
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": "GET",
        "headers": {"Authorization": token, "Host": "a1b2.execute-api.eu-central-1.amazonaws.com"},
        "multiValueHeaders": {
            "Authorization": [token],
            "Host": ["a1b2.execute-api.eu-central-1.amazonaws.com"],
        },
        "queryStringParameters": {"q": "2"},
        "multiValueQueryStringParameters": {"q": ["1", "2"]},
        "pathParameters": {"proxy": "orders"},
        "stageVariables": {},
        "requestContext": {
            "path": format!("/prod{path}"), "accountId": "123456789012", "stage": "prod",
            "httpMethod": "GET", "apiId": "a1b2", "resourcePath": "/{proxy+}",
        },
    })
}

fn request_two(token: &str, path: &str) -> Value {
    json!({
        "version": "2.0",
        "type": "REQUEST",
        "routeArn": format!("{STAGE}GET{path}"),
        "identitySource": [token],
        "routeKey": "$default",
        "rawPath": format!("/prod{path}"),
        "rawQueryString": "q=1&q=2",
        "cookies": ["a=1", "b=2"],
        "headers": {"authorization": token, "host": "a1b2.execute-api.eu-central-1.amazonaws.com"},
        "queryStringParameters": {"q": "1,2"},
        "requestContext": {
            "accountId": "123456789012", "apiId": "a1b2", "stage": "prod",
            "domainName": "a1b2.execute-api.eu-central-1.amazonaws.com",
            "http": {"method": "GET", "path": format!("/prod{path}"), "protocol": "HTTP/1.1"},
        },
    })
}

fn connect(token: &str) -> Value {
    json!({
        "type": "REQUEST",
        "methodArn": format!("{STAGE}$connect"),
        "headers": {"Authorization": token, "Upgrade": "websocket"},
        "multiValueHeaders": {"Authorization": [token], "Upgrade": ["websocket"]},
        "queryStringParameters": {},
        "multiValueQueryStringParameters": {},
        "stageVariables": {},
        "requestContext": {
            "routeKey": "$connect", "eventType": "CONNECT", "stage": "prod", "apiId": "a1b2",
            "domainName": "a1b2.execute-api.eu-central-1.amazonaws.com", "connectionId": "c=",
        },
    })
}

/// Every kind of event, with the bearer token.
fn all_kinds(token: &str) -> [Value; 4] {
    let bearer = format!("Bearer {token}");
    [
        token_event(&bearer, "orders"),
        request_one(&bearer, "/orders"),
        request_two(&bearer, "/orders"),
        connect(&bearer),
    ]
}

fn is_allowed(answer: &Value) -> bool {
    let effect = &answer["policyDocument"]["Statement"][0]["Effect"];
    answer["isAuthorized"] == true || effect == "Allow"
}

#[test]
fn a_good_token_opens_the_whole_stage_and_tells_whose_it_is() {
    let mut scene = Scene::new(&PINNED);
    let token = scene.token(&json!({}));
    for event in all_kinds(&token) {
        let answer = scene.answer(&event);
        assert!(is_allowed(&answer), "{event}");
        assert_eq!(
            answer["context"],
            json!({
                "subject": "u1", "domain": "shop", "provider": "postern", "code": "allowed",
                "scopes": "orders:read orders:write",
            })
        );
        if answer.get("isAuthorized").is_none() {
            assert_eq!(answer["principalId"], "u1");
            let statement = &answer["policyDocument"]["Statement"];
            assert_eq!(
                *statement,
                json!([{
                    "Action": "execute-api:Invoke", "Effect": "Allow",
                    "Resource": format!("{STAGE}*"),
                }])
            );
        }
    }
}

#[test]
fn format_2_is_answered_by_a_policy_where_the_settings_say_so() {
    let mut scene = Scene::new(&[PINNED[0], PINNED[1], ("POSTERN_RESPONSE", "iam")]);
    let token = scene.token(&json!({}));
    let answer = scene.answer(&request_two(&format!("Bearer {token}"), "/orders"));
    assert_eq!(answer["policyDocument"]["Statement"][0]["Resource"], format!("{STAGE}*"));
}

#[test]
fn a_bad_token_or_none_is_unauthorized() {
    let mut scene = Scene::new(&PINNED);
    for (changes, code) in [
        (json!({"exp": NOW - 100}), "token_expired"),
        (json!({"aud": "other"}), "audience_mismatch"),
        // The domain is the one of the settings, whatever the token says of itself.
        (json!({"iss": "https://auth.example.com/other", "domain": "shop"}), "issuer_unknown"),
    ] {
        let token = scene.token(&changes);
        for event in all_kinds(&token) {
            let expected = Outcome::Fail(AuthorizerError::Unauthorized { code });
            assert_eq!(scene.outcome(&event), expected, "{event}");
        }
    }
    for event in [token_event("", "orders"), request_one("Basic YTpi", "/orders"), connect("")] {
        let code = "token_missing";
        let expected = Outcome::Fail(AuthorizerError::Unauthorized { code });
        assert_eq!(scene.outcome(&event), expected, "{event}");
    }
    assert_eq!(AuthorizerError::Unauthorized { code: "x" }.to_string(), "Unauthorized");
}

#[test]
fn two_tokens_are_none() {
    let mut scene = Scene::new(&PINNED);
    let token = scene.token(&json!({}));
    let mut repeated = request_one("x", "/orders");
    let (bearer, other) = (format!("Bearer {token}"), "Bearer a.b.c");
    repeated["multiValueHeaders"]["Authorization"] = json!([bearer, other]);
    let joined = request_two(&format!("{bearer},{other}"), "/orders");
    let token = token_event(&format!("{bearer}, {other}"), "orders");
    for event in [repeated, joined, token] {
        let answer = scene.answer(&event);
        assert!(!is_allowed(&answer), "{event}");
        assert_eq!(answer["context"]["code"], "multiple_tokens");
    }
}

#[test]
fn without_keys_nothing_is_let_in() {
    let mut scene = Scene::without_keys(&PINNED);
    let token = scene.token(&json!({}));
    for event in all_kinds(&token) {
        let key_set = KeySetId::new(0, None);
        assert_eq!(scene.outcome(&event), Outcome::AwaitKeys(key_set));
        assert_eq!(
            scene.judge.judge(&event, now(), false).err(),
            Some(AuthorizerError::KeysUnavailable)
        );
    }
}

/// Tells paths apart.
fn policy() -> String {
    json!({
        "providers": {"shop": {
            "issuer": ISSUER, "audiences": ["shop"],
            "remote_jwks": {"http_uri": {"uri": "https://auth.example.com/jwks"}},
        }},
        "rules": [
            {"match": {"path": "/open"}},
            {
                "match": {"prefix": "/admin/"}, "requires": {"provider_name": "shop"},
                "scopes": ["admin"],
            },
            {"match": {"prefix": "/"}, "requires": {"provider_name": "shop"}},
        ],
    })
    .to_string()
}

#[test]
fn a_verdict_on_one_path_is_for_that_path_only() {
    let policy = policy();
    let mut scene = Scene::new(&[("POSTERN_POLICY", &policy)]);
    let bearer = format!("Bearer {}", scene.token(&json!({})));
    for event in [token_event(&bearer, "orders"), request_one(&bearer, "/orders")] {
        let answer = scene.answer(&event);
        assert!(is_allowed(&answer), "{event}");
        let resource = &answer["policyDocument"]["Statement"][0]["Resource"];
        assert_eq!(*resource, format!("{STAGE}GET/orders"));
    }
    let open = scene.answer(&request_one("", "/open"));
    assert_eq!(open["principalId"], "anonymous");
    assert_eq!(open["policyDocument"]["Statement"][0]["Resource"], format!("{STAGE}GET/open"));
}

/// What was allowed for one path would be remembered for all.
#[test]
fn an_answer_that_says_nothing_of_the_path_is_for_who_asks_for_it() {
    let policy = policy();
    let path_decides = ("POSTERN_POLICY", policy.as_str());
    let mut scene = Scene::new(&[path_decides]);
    let bearer = format!("Bearer {}", scene.token(&json!({})));
    let answer = scene.answer(&request_two(&bearer, "/orders"));
    assert_eq!(answer.get("isAuthorized"), None, "{answer}");
    let resource = &answer["policyDocument"]["Statement"][0]["Resource"];
    assert_eq!(*resource, format!("{STAGE}GET/orders"));
    let mut scene = Scene::new(&[path_decides, ("POSTERN_RESPONSE", "simple")]);
    let bearer = format!("Bearer {}", scene.token(&json!({})));
    let answer = scene.answer(&request_two(&bearer, "/orders"));
    assert_eq!(answer["isAuthorized"], true);
}

#[test]
fn a_good_token_that_is_not_enough_is_denied_and_told_why() {
    let policy = policy();
    let mut scene = Scene::new(&[("POSTERN_POLICY", &policy)]);
    let bearer = format!("Bearer {}", scene.token(&json!({})));
    for event in [
        token_event(&bearer, "admin/x"),
        request_one(&bearer, "/admin/x"),
        request_two(&bearer, "/admin/x"),
    ] {
        let answer = scene.answer(&event);
        assert!(!is_allowed(&answer), "{event}");
        assert_eq!(answer["context"]["code"], "insufficient_scope");
        assert_eq!(answer["context"].get("subject"), None);
    }
}

#[test]
fn a_path_that_would_be_a_pattern_opens_nothing() {
    let policy = policy();
    let mut scene = Scene::new(&[("POSTERN_POLICY", &policy)]);
    let bearer = format!("Bearer {}", scene.token(&json!({})));
    for event in [
        token_event(&bearer, "*"),
        token_event(&bearer, "a?"),
        token_event(&bearer, "%61dmin/x"),
        request_one(&bearer, "/*"),
    ] {
        let answer = scene.answer(&event);
        assert!(!is_allowed(&answer), "{event}");
        assert_eq!(answer["context"]["code"], "path_ambiguous");
    }
    // Where the token alone decides, it does not matter which path it is.
    let mut scene = Scene::new(&PINNED);
    let bearer = format!("Bearer {}", scene.token(&json!({})));
    assert!(is_allowed(&scene.answer(&token_event(&bearer, "a%20b"))));
    assert!(is_allowed(&scene.answer(&request_one(&bearer, "/*"))));
}

/// API Gateway would remember the refusal for the token, and give it to every path.
#[test]
fn where_the_token_alone_decides_no_path_is_refused() {
    let mut scene = Scene::new(&PINNED);
    let bearer = format!("Bearer {}", scene.token(&json!({})));
    for path in ["/a//b", "/a/../b", "/a;b", "/a%2Fb", "/%2561"] {
        let token = token_event(&bearer, path.trim_start_matches('/'));
        for event in [token, request_one(&bearer, path), request_two(&bearer, path)] {
            assert!(is_allowed(&scene.answer(&event)), "{event}");
        }
        let none = scene.outcome(&request_one("", path));
        assert_eq!(none, Outcome::Fail(AuthorizerError::Unauthorized { code: "token_missing" }));
    }
}

#[test]
fn a_token_in_the_query_is_read_whatever_the_path() {
    let policy = json!({
        "providers": {"shop": {
            "issuer": ISSUER, "from_params": ["token"],
            "remote_jwks": {"http_uri": {"uri": "https://auth.example.com/jwks"}},
        }},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "shop"}}],
    })
    .to_string();
    let mut scene = Scene::new(&[("POSTERN_POLICY", &policy)]);
    let mut event = request_two("", "/100%");
    event["rawQueryString"] = json!(format!("token={}", scene.token(&json!({}))));
    assert!(is_allowed(&scene.answer(&event)));
}

#[test]
fn an_http_api_has_decoded_the_path() {
    let policy = policy();
    let mut scene = Scene::new(&[("POSTERN_POLICY", &policy)]);
    let bearer = format!("Bearer {}", scene.token(&json!({})));
    // Sent as `/%2561dmin/x`: a service that decodes once more would read `/admin/x`.
    let answer = scene.answer(&request_two(&bearer, "/%61dmin/x"));
    assert_eq!(answer["context"]["code"], "path_ambiguous");
    // A REST API has not.
    let answer = scene.answer(&request_one(&bearer, "/%61dmin/x"));
    assert_eq!(answer["context"]["code"], "insufficient_scope");
}

/// `api.example.com/v1/…`, mapped to the stage: the event's path has the base path or the stage in front.
#[test]
fn a_base_path_does_not_lead_past_a_rule() {
    let policy = policy();
    let mut scene = Scene::new(&[("POSTERN_POLICY", &policy)]);
    let bearer = format!("Bearer {}", scene.token(&json!({})));
    let name = json!("api.example.com");
    for (own, code) in
        [("/admin/x", "insufficient_scope"), ("/orders", "allowed"), ("/open", "allowed")]
    {
        let mut rest = request_one(&bearer, own);
        rest["path"] = json!(format!("/v1{own}"));
        rest["requestContext"]["path"] = rest["path"].clone();
        rest["requestContext"]["domainName"] = name.clone();
        let mut http_one = rest.clone();
        http_one["version"] = json!("1.0");
        let mut http_two = request_two(&bearer, own);
        http_two["requestContext"]["domainName"] = name.clone();
        let mut mapped = http_two.clone();
        mapped["rawPath"] = json!(format!("/v1{own}"));
        for event in [rest, http_one, http_two, mapped] {
            assert_eq!(scene.answer(&event)["context"]["code"], code, "{event}");
        }
    }
    // Where the ARN does not tell what is in front, nothing that goes by the path is let in.
    let mut rest = request_one(&bearer, "/orders");
    rest["path"] = json!("/v1/orders%20");
    rest["methodArn"] = json!(format!("{STAGE}GET/orders "));
    let mut http = request_two(&bearer, "/admin/x");
    http["requestContext"]["domainName"] = name;
    http["routeArn"] = json!(format!("{STAGE}$default"));
    for event in [rest, http] {
        assert_eq!(scene.answer(&event)["context"]["code"], "path_ambiguous", "{event}");
    }
}

#[test]
fn a_token_event_does_not_do_for_a_policy_that_reads_headers() {
    let policy = json!({
        "providers": {"shop": {
            "issuer": ISSUER,
            "remote_jwks": {"http_uri": {"uri": "https://auth.example.com/jwks"}},
        }},
        "rules": [
            {
                "match": {"prefix": "/", "headers": [{"name": "x-admin", "present_match": true}]},
                "requires": {"provider_name": "shop"},
            },
            {"match": {"prefix": "/"}},
        ],
    })
    .to_string();
    let mut scene = Scene::new(&[("POSTERN_POLICY", &policy)]);
    assert_eq!(
        scene.outcome(&token_event("Bearer x", "orders")),
        Outcome::Fail(AuthorizerError::PolicyNeedsRequest)
    );
    assert!(is_allowed(&scene.answer(&request_one("", "/orders"))));
}

#[test]
fn a_header_of_ones_own_carries_the_token_alone() {
    let mut scene = Scene::new(&[PINNED[0], PINNED[1], ("POSTERN_TOKEN_HEADER", "X-Shop-Token")]);
    let token = scene.token(&json!({}));
    assert!(is_allowed(&scene.answer(&token_event(&token, "orders"))));
    let mut event = request_two("", "/orders");
    event["headers"]["x-shop-token"] = json!(token);
    assert!(is_allowed(&scene.answer(&event)));
}

#[test]
fn cookies_are_read_from_where_the_event_has_them() {
    let policy = json!({
        "providers": {"shop": {
            "issuer": ISSUER, "from_cookies": ["token"],
            "remote_jwks": {"http_uri": {"uri": "https://auth.example.com/jwks"}},
        }},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "shop"}}],
    })
    .to_string();
    let mut scene = Scene::new(&[("POSTERN_POLICY", &policy)]);
    let cookie = format!("token={}", scene.token(&json!({})));
    let mut event = request_two("", "/orders");
    event["cookies"] = json!(["a=1", cookie]);
    assert!(is_allowed(&scene.answer(&event)));
    // The same in both places is one.
    event["headers"]["cookie"] = json!(format!("a=1; {cookie}"));
    assert!(is_allowed(&scene.answer(&event)));
    event["headers"]["cookie"] = json!(format!("{cookie}; a=1"));
    assert!(!is_allowed(&scene.answer(&event)));
    let mut event = request_one("", "/orders");
    event["multiValueHeaders"]["Cookie"] = json!([cookie]);
    assert!(is_allowed(&scene.answer(&event)));
}

#[test]
fn what_is_no_event_fails() {
    let mut scene = Scene::new(&PINNED);
    let bearer = format!("Bearer {}", scene.token(&json!({})));
    let spoilt = |mut event: Value, name: &str, value: Value| {
        event[name] = value;
        event
    };
    let one = || request_one(&bearer, "/orders");
    let two = || request_two(&bearer, "/orders");
    for event in [
        json!(null),
        json!({}),
        json!({"type": "REQUEST"}),
        spoilt(one(), "type", json!("OTHER")),
        spoilt(one(), "version", json!("3.0")),
        spoilt(one(), "methodArn", json!(format!("{STAGE}GET/x").replace("execute-api", "s3"))),
        spoilt(one(), "methodArn", json!(format!("{STAGE}GET"))),
        spoilt(one(), "multiValueHeaders", json!(null)),
        spoilt(one(), "multiValueHeaders", json!({"authorization": bearer})),
        spoilt(one(), "httpMethod", json!(null)),
        spoilt(one(), "path", json!(["/"])),
        spoilt(two(), "routeArn", json!("arn:aws:execute-api:::/")),
        spoilt(two(), "rawPath", json!(null)),
        spoilt(two(), "requestContext", json!({})),
        spoilt(two(), "headers", json!([])),
        spoilt(two(), "cookies", json!("a=1")),
        spoilt(token_event(&bearer, "x"), "authorizationToken", json!(null)),
        spoilt(token_event(&bearer, "x"), "methodArn", json!(format!("{STAGE}$connect"))),
    ] {
        let outcome = scene.outcome(&event);
        let Outcome::Fail(AuthorizerError::Event(error)) = outcome else {
            panic!("{outcome:?} to {event}")
        };
        assert!(matches!(error, EventError::Member(_) | EventError::Unknown), "{event}");
    }
}

#[test]
fn bad_settings_name_what_is_wrong() {
    let policy = policy();
    for (variables, expected) in [
        (vec![], "`POSTERN_ISSUER_URL` is not set"),
        (vec![PINNED[0]], "`POSTERN_DOMAIN` is not set"),
        (vec![PINNED[0], ("POSTERN_DOMAIN", "Shop!")], "`POSTERN_DOMAIN`: "),
        (vec![("POSTERN_ISSUER_URL", "auth"), PINNED[1]], "`POSTERN_ISSUER_URL`: "),
        (vec![("POSTERN_POLICY", &*policy), PINNED[1]], "`POSTERN_DOMAIN` has no effect"),
        (vec![("POSTERN_POLICY", "{}")], "`POSTERN_POLICY`: missing field `rules`"),
        (
            vec![("POSTERN_POLICY", r#"{"providers": {}, "rules": [{"match": {"prefx": "/"}}]}"#)],
            "`POSTERN_POLICY`: rules[0].match",
        ),
        (vec![PINNED[0], PINNED[1], ("POSTERN_TOKEN_HEADER", "a b")], "`POSTERN_TOKEN_HEADER`: "),
        (vec![PINNED[0], PINNED[1], ("POSTERN_RESPONSE", "yes")], "`POSTERN_RESPONSE`: "),
    ] {
        let error = settings(&variables).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{variables:?}: {error}");
    }
}

#[test]
fn keys_are_not_fetched_in_clear_but_from_this_machine() {
    let new = |url: &str| {
        let settings = settings(&[("POSTERN_ISSUER_URL", url), PINNED[1]]).unwrap();
        super::Authorizer::new(settings, now).map(|_| ()).map_err(|error| error.to_string())
    };
    for url in ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:1", "https://a.example"]
    {
        assert_eq!(new(url), Ok(()), "{url}");
    }
    for url in ["http://auth.example.com", "http://10.0.0.1", "http://127.0.0.1.example.com"] {
        let error = new(url).unwrap_err();
        assert!(error.starts_with("providers.postern.remote_jwks.http_uri"), "{error}");
    }
}

//! The same rules twice: as the gate's policy, and as Istio's resources, imported.

use std::collections::BTreeSet;
use std::time::Duration;

use postern_tests::{ForgedKeys, Key, now};
use postern_verify::{Decision, Gate, KeySetId, Policy, Request};
use serde_json::{Value, json};

use crate::{folder, policy_of_the_plugin, postern};

const ISSUER: &str = "https://auth.example.com/shop";

#[test]
fn both_forms_give_the_same_verdicts() {
    let keys = ForgedKeys::generate().unwrap();
    let mut native = gate(&imported(), &keys);
    let mut plugin = gate(&policy_of_the_plugin(), &keys);
    let mut seen = BTreeSet::new();
    // The one difference has its own test.
    for token in tokens(&keys).iter().filter(|token| token.name != "endless") {
        for method in ["GET", "POST", "DELETE"] {
            for path in PATHS {
                let one = ask(&mut plugin, method, path, token);
                let other = ask(&mut native, method, path, token);
                assert_eq!(one, other, "{method} {path}, {}", token.name);
                seen.insert(one.split(' ').next().unwrap().to_owned());
            }
        }
    }
    // Equal because everything is refused would be no equality worth having.
    let expected = [
        "allowed",
        "audience_mismatch",
        "insufficient_scope",
        "issuer_unknown",
        "keys",
        "no_matching_rule",
        "path_ambiguous",
        "signature_invalid",
        "token_expired",
        "token_missing",
    ];
    let missing: Vec<_> = expected.into_iter().filter(|code| !seen.contains(*code)).collect();
    assert_eq!(missing, Vec::<&str>::new(), "of {seen:?}");
}

#[test]
fn the_tour_of_rules_is_the_one_that_the_file_tells() {
    let keys = ForgedKeys::generate().unwrap();
    let mut gate = gate(&policy_of_the_plugin(), &keys);
    let tokens = tokens(&keys);
    let mut verdict = |method: &str, path: &str, name: &str| {
        let token = tokens.iter().find(|token| token.name == name).unwrap();
        ask(&mut gate, method, path, token)
    };
    let nobody = "allowed";
    let ada = "allowed x-user-id=u1 x-user-name=ada";
    assert_eq!(verdict("GET", "/healthz", "none"), nobody);
    assert_eq!(verdict("GET", "/healthz", "forged"), "signature_invalid 401");
    assert_eq!(verdict("GET", "/catalogue/7", "none"), nobody);
    assert_eq!(verdict("GET", "/catalogue/7", "user"), ada);
    assert_eq!(verdict("GET", "/orders/7", "none"), "token_missing 401");
    assert_eq!(verdict("POST", "/orders/7", "user"), ada);
    assert_eq!(verdict("GET", "/orders/export", "user"), "insufficient_scope 403");
    assert_eq!(verdict("GET", "/orders/export", "staff"), ada);
    assert_eq!(verdict("POST", "/catalogue/7", "staff"), "no_matching_rule 403");
    assert_eq!(verdict("GET", "/elsewhere", "staff"), "no_matching_rule 403");
}

/// The one difference, and the line that makes it.
#[test]
fn only_the_imported_policy_takes_tokens_that_never_expire() {
    let keys = ForgedKeys::generate().unwrap();
    let endless = tokens(&keys).into_iter().find(|token| token.name == "endless").unwrap();
    let verdict = |policy: &Value| ask(&mut gate(policy, &keys), "GET", "/orders/7", &endless);
    let mut import = imported();
    assert_eq!(verdict(&import), "allowed x-user-id=u1 x-user-name=ada");
    assert_eq!(verdict(&policy_of_the_plugin()), "expiration_missing 401");
    let provider = &mut import["providers"]["auth.example.com"];
    let line = provider.as_object_mut().unwrap().remove("dangerous_allow_missing_expiration");
    assert_eq!(line, Some(json!(true)));
    assert_eq!(verdict(&import), "expiration_missing 401");
}

const PATHS: [&str; 10] = [
    "/healthz",
    "/healthz/deep",
    "/catalogue",
    "/catalogue/7",
    "/orders",
    "/orders/7",
    "/orders/export",
    "/orders/export/2026",
    "/orders/../healthz",
    "/",
];

struct Token {
    name: &'static str,
    header: Option<String>,
}

fn tokens(keys: &ForgedKeys) -> Vec<Token> {
    let with = |name: &str, value: Value| {
        let mut claims = claims("u1");
        claims[name] = value;
        claims
    };
    let without = |name: &str| {
        let mut claims = claims("u1");
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    let mut forged = token("forged", keys, &claims("u1"));
    forged.header.iter_mut().for_each(|header| {
        header.replace_range(header.len() - 8.., "AAAAAAAA");
    });
    let strange =
        keys.sign(Key::Es256, r#"{"alg":"ES256","kid":"of nobody"}"#, claims("u1").to_string());
    vec![
        Token { name: "none", header: None },
        token("user", keys, &claims("u1")),
        token("staff", keys, &with("groups", json!("staff"))),
        token("of several groups", keys, &with("groups", json!(["sales", "staff"]))),
        token("of groups in one word", keys, &with("groups", json!("sales staff"))),
        token("of other groups", keys, &with("groups", json!(["sales", "staffing"]))),
        token("of nobody", keys, &without("sub")),
        token("endless", keys, &without("exp")),
        token("expired", keys, &with("exp", json!(now() - 300))),
        token("of another audience", keys, &with("aud", json!("blog"))),
        token("of another issuer", keys, &with("iss", json!("https://auth.example.com/blog"))),
        Token { name: "of an unknown key", header: Some(format!("Bearer {strange}")) },
        forged,
    ]
}

fn claims(subject: &str) -> Value {
    json!({
        "iss": ISSUER, "aud": "shop", "sub": subject, "username": "ada", "exp": now() + 300,
    })
}

fn token(name: &'static str, keys: &ForgedKeys, claims: &Value) -> Token {
    let token = keys.sign(Key::Es256, r#"{"alg":"ES256","kid":"es"}"#, claims.to_string());
    Token { name, header: Some(format!("Bearer {token}")) }
}

/// What `postern policy import` makes of Istio's own words.
fn imported() -> Value {
    let file = folder().join(crate::NATIVE);
    let (code, policy) = postern(&["policy", "import", file.to_str().unwrap()], "");
    assert_eq!(code, Some(0), "something was left out: {policy}");
    serde_json::from_str(&policy).unwrap()
}

fn gate(policy: &Value, keys: &ForgedKeys) -> Gate {
    let mut gate = Gate::new(Policy::parse(policy.to_string().as_bytes()).unwrap());
    let key_set = KeySetId::new(0, None);
    let document = keys.jwks().to_string();
    gate.keys_mut().hold(&key_set, document.as_bytes(), Duration::from_secs(now())).unwrap();
    gate
}

/// The code and the status, or what is told upstream.
fn ask(gate: &mut Gate, method: &str, path: &str, token: &Token) -> String {
    let mut fields = vec![("x-user-id", b"root".as_slice())];
    fields.extend(token.header.as_ref().map(|header| ("authorization", header.as_bytes())));
    let request = Request::new(method, path.as_bytes(), fields);
    match gate.decide(&request, Duration::from_secs(now())) {
        Decision::Deny(denied) => format!("{} {}", denied.denial.code(), denied.answer.status),
        // A key that is not held may be a new one.
        Decision::AwaitKeys(_) => "keys are awaited".to_owned(),
        Decision::Allow(forward) => {
            assert!(forward.removed_headers().any(|name| name == "x-user-id"));
            let told = forward
                .set_headers()
                .map(|(name, value)| format!(" {name}={}", String::from_utf8_lossy(value)));
            format!("allowed{}", told.collect::<String>())
        }
    }
}

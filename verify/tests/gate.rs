//! What a gate remembers, and what it must not: the cache of verified tokens, domains, and rules on
//! trial, through the public interface only.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
)]

use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_compact::{
    Algorithm, AlgorithmSignature,
    alg::{Es256, SigningKey},
    jwk::JsonWebKey,
};
use postern_verify::{Decision, Denial, Fetched, Gate, KeySetId, Policy, Request, Verification};
use serde_json::{Value, json};

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://auth.example.com/shop";

type Key = <Es256 as Algorithm>::SigningKey;

fn key(seed: u8) -> Key {
    <Key as SigningKey<Es256>>::from_slice(&[seed; 32]).unwrap()
}

fn jwks(keys: &[(&str, &Key)]) -> String {
    let jwk = |(kid, key): &(&str, &Key)| {
        let public = JsonWebKey::from(key.verifying_key());
        let mut jwk = serde_json::to_value(public).unwrap();
        jwk["kid"] = json!(kid);
        jwk
    };
    json!({"keys": keys.iter().map(jwk).collect::<Vec<Value>>()}).to_string()
}

fn token(key: &Key, kid: &str, claims: &Value) -> String {
    let encode = |text: String| Base64UrlUnpadded::encode_string(text.as_bytes());
    let header = json!({"alg": "ES256", "kid": kid}).to_string();
    let text = format!("{}.{}", encode(header), encode(claims.to_string()));
    let signature = Es256.sign(key, text.as_bytes());
    format!("{text}.{}", Base64UrlUnpadded::encode_string(&signature.as_bytes()))
}

fn claims() -> Value {
    json!({"iss": ISSUER, "sub": "alice", "exp": NOW + 300})
}

fn policy(rule: Value) -> Value {
    let uri = "https://auth.example.com/jwks";
    let mut full = json!({"match": {"prefix": "/"}, "requires": {"provider_name": "shop"}});
    for (name, value) in rule.as_object().unwrap() {
        full[name] = value.clone();
    }
    json!({
        "providers": {"shop": {
            "issuer": ISSUER,
            "clock_skew_seconds": 0,
            "remote_jwks": {"http_uri": {"uri": uri}, "cache_duration": "500s", "max_stale": "600s"},
            "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}]
        }},
        "rules": [full]
    })
}

fn gate(policy: &Value) -> Gate {
    Gate::new(Policy::parse(policy.to_string().as_bytes()).unwrap())
}

fn shop() -> KeySetId {
    KeySetId::new(0, None)
}

/// Fetches the set that is due, of whichever name.
fn fetch(gate: &mut Gate, body: &str, seconds: u64) {
    let now = Duration::from_secs(NOW + seconds);
    let fetch = gate.keys_mut().poll_fetch(now).expect("a fetch is due");
    let fetched = Fetched::Response {
        status: 200,
        etag: None,
        cache_control: None,
        age: None,
        body: body.as_bytes(),
    };
    gate.keys_mut().handle_fetched(&fetch, fetched, now).unwrap();
}

/// The verdict on one bearer token, and the headers that go upstream.
fn verdict(gate: &mut Gate, token: &str, seconds: u64) -> (String, Vec<(String, String)>) {
    at_host(gate, "api.example.com", token, seconds)
}

fn at_host(
    gate: &mut Gate,
    host: &str,
    token: &str,
    seconds: u64,
) -> (String, Vec<(String, String)>) {
    let bearer = format!("Bearer {token}");
    let headers = vec![("host", host.as_bytes()), ("authorization", bearer.as_bytes())];
    let request = Request::new("GET", b"/orders", headers);
    match gate.decide(&request, Duration::from_secs(NOW + seconds)) {
        Decision::Allow(forward) => {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let set = forward.set_headers().map(|(name, value)| (name.to_owned(), text(value)));
            ("allow".to_owned(), set.collect())
        }
        Decision::Deny(denied) => (denied.denial.code().to_owned(), Vec::new()),
        Decision::AwaitKeys(key_set) => {
            gate.keys_mut().demand(&key_set, Duration::from_secs(NOW + seconds));
            ("await".to_owned(), Vec::new())
        }
    }
}

fn code(gate: &mut Gate, token: &str, seconds: u64) -> String {
    verdict(gate, token, seconds).0
}

#[test]
fn a_verified_token_is_not_verified_twice_and_says_the_same() {
    let (mut gate, key) = (gate(&policy(json!({}))), key(1));
    fetch(&mut gate, &jwks(&[("a", &key)]), 0);
    let token = token(&key, "a", &claims());
    let first = verdict(&mut gate, &token, 0);
    let second = verdict(&mut gate, &token, 1);
    assert_eq!(first, ("allow".to_owned(), vec![("x-user".to_owned(), "alice".to_owned())]));
    assert_eq!(first, second);
    let counters = gate.counters();
    assert_eq!((counters.cache.misses, counters.cache.hits, counters.cache.entries), (1, 1, 1));
    assert_eq!((counters.allowed, counters.denied), (2, 0));
}

#[test]
fn a_cached_token_ends_when_it_expires() {
    let (mut gate, key) = (gate(&policy(json!({}))), key(1));
    fetch(&mut gate, &jwks(&[("a", &key)]), 0);
    let token = token(&key, "a", &claims());
    assert_eq!(code(&mut gate, &token, 299), "allow");
    assert_eq!(code(&mut gate, &token, 299), "allow");
    assert_eq!(code(&mut gate, &token, 300), "token_expired");
}

#[test]
fn a_cached_token_is_judged_anew_when_the_clock_goes_back() {
    let (mut gate, key) = (gate(&policy(json!({}))), key(1));
    fetch(&mut gate, &jwks(&[("a", &key)]), 0);
    let mut claims = claims();
    claims["nbf"] = json!(NOW + 10);
    let token = token(&key, "a", &claims);
    assert_eq!(code(&mut gate, &token, 10), "allow");
    assert_eq!(code(&mut gate, &token, 9), "token_not_yet_valid");
}

#[test]
fn a_withdrawn_key_stops_a_cached_token_at_once() {
    let (mut gate, old, new) = (gate(&policy(json!({}))), key(1), key(2));
    fetch(&mut gate, &jwks(&[("old", &old), ("new", &new)]), 0);
    let (by_old, by_new) = (token(&old, "old", &claims()), token(&new, "new", &claims()));
    assert_eq!(code(&mut gate, &by_old, 1), "allow");
    assert_eq!(code(&mut gate, &by_new, 1), "allow");
    assert!(gate.keys_mut().demand(&shop(), Duration::from_secs(NOW + 60)));
    fetch(&mut gate, &jwks(&[("new", &new)]), 60);
    assert_eq!(code(&mut gate, &by_old, 61), "key_unknown");
    assert_eq!(code(&mut gate, &by_new, 61), "allow");
    // The same key id for another key vouches for nothing that the first one signed.
    assert!(gate.keys_mut().demand(&shop(), Duration::from_secs(NOW + 120)));
    fetch(&mut gate, &jwks(&[("new", &old)]), 120);
    assert_eq!(code(&mut gate, &by_new, 121), "signature_invalid");
}

#[test]
fn a_revoked_session_stops_at_once_cached_or_not() {
    let (mut gate, key) = (gate(&policy(json!({}))), key(1));
    fetch(&mut gate, &jwks(&[("a", &key)]), 0);
    let of_session = |session: &str, serial: u64| {
        let mut claims = claims();
        claims["session"] = json!(session);
        claims["jti"] = json!(serial);
        token(&key, "a", &claims)
    };
    let (cached, fresh, other) = (of_session("s", 1), of_session("s", 2), of_session("t", 3));
    assert_eq!(code(&mut gate, &cached, 1), "allow");
    assert_eq!(code(&mut gate, &other, 1), "allow");
    let second = |seconds| Duration::from_secs(NOW + seconds);
    assert!(gate.revoke(0, "s", second(300), second(2)));
    assert_eq!(code(&mut gate, &cached, 2), "token_revoked");
    let steps = gate.explain_token(cached.as_bytes(), None, second(2));
    assert_eq!(steps.last().unwrap().outcome, Err(Denial::TokenRevoked));
    assert_eq!(code(&mut gate, &fresh, 2), "token_revoked");
    assert_eq!(code(&mut gate, &other, 2), "allow");
    assert_eq!(code(&mut gate, &cached, 299), "token_revoked");
    assert_eq!(code(&mut gate, &cached, 300), "token_expired");
}

#[test]
fn keys_that_are_too_old_vouch_for_no_cached_token() {
    let (mut gate, key) = (gate(&policy(json!({}))), key(1));
    fetch(&mut gate, &jwks(&[("a", &key)]), 0);
    let mut claims = claims();
    claims["exp"] = json!(NOW + 10_000);
    let token = token(&key, "a", &claims);
    for second in [500, 600] {
        let now = Duration::from_secs(NOW + second);
        let fetch = gate.keys_mut().poll_fetch(now).expect("a fetch is due");
        gate.keys_mut().handle_fetched(&fetch, Fetched::Failed, now).unwrap_err();
        assert_eq!(code(&mut gate, &token, second), "allow");
    }
    assert_eq!(code(&mut gate, &token, 601), "keys_unavailable");
}

#[test]
fn another_spelling_of_a_cached_token_is_another_token() {
    let (mut gate, key) = (gate(&policy(json!({}))), key(1));
    fetch(&mut gate, &jwks(&[("a", &key)]), 0);
    let token = token(&key, "a", &claims());
    assert_eq!(code(&mut gate, &token, 1), "allow");
    let (head, signature) = token.rsplit_once('.').unwrap();
    let (header, _) = head.split_once('.').unwrap();
    let mut other = claims();
    other["sub"] = json!("root");
    let payload = Base64UrlUnpadded::encode_string(other.to_string().as_bytes());
    let forged = format!("{header}.{payload}.{signature}");
    assert_eq!(code(&mut gate, &forged, 1), "signature_invalid");
}

#[test]
fn a_token_of_one_audience_is_not_cached_for_another() {
    let key = key(1);
    let mut policy = policy(json!({}));
    let other = json!({"provider_name": "shop", "audiences": ["admin"]});
    policy["rules"] = json!([
        {"match": {"path": "/orders", "headers": [{"name": "host", "exact_match": "admin"}]},
         "requires": {"provider_and_audiences": other}},
        {"match": {"prefix": "/"}, "requires": {"provider_name": "shop"}}
    ]);
    let mut gate = gate(&policy);
    fetch(&mut gate, &jwks(&[("a", &key)]), 0);
    let token = token(&key, "a", &claims());
    assert_eq!(at_host(&mut gate, "shop", &token, 1).0, "allow");
    assert_eq!(at_host(&mut gate, "admin", &token, 1).0, "audience_mismatch");
}

#[test]
fn a_cache_without_room_caches_nothing() {
    let mut policy = policy(json!({}));
    policy["verified_token_cache"] = json!({"max_bytes": 0});
    let (mut gate, key) = (gate(&policy), key(1));
    fetch(&mut gate, &jwks(&[("a", &key)]), 0);
    let token = token(&key, "a", &claims());
    for _ in 0..2 {
        assert_eq!(code(&mut gate, &token, 1), "allow");
    }
    assert_eq!(gate.counters().cache.hits, 0);
}

#[test]
fn conditions_hold_for_cached_tokens_too() {
    let key = key(1);
    let mut policy = policy(json!({}));
    policy["rules"] = json!([
        {"match": {"path": "/orders", "headers": [{"name": "host", "exact_match": "admin"}]},
         "requires": {"provider_name": "shop"}, "scopes": ["admin"]},
        {"match": {"prefix": "/"}, "requires": {"provider_name": "shop"}}
    ]);
    let mut gate = gate(&policy);
    fetch(&mut gate, &jwks(&[("a", &key)]), 0);
    let token = token(&key, "a", &claims());
    assert_eq!(at_host(&mut gate, "shop", &token, 1).0, "allow");
    assert_eq!(at_host(&mut gate, "admin", &token, 1).0, "insufficient_scope");
    assert_eq!(gate.counters().cache.hits, 1);
}

/// A policy of many domains, whose keys are in it or to be fetched.
fn domains(keys: Value) -> Value {
    let mut policy = policy(json!({}));
    let shop = policy["providers"]["shop"].as_object_mut().unwrap();
    shop["issuer"] = json!("https://auth.example.com/{domain}");
    shop.remove("remote_jwks");
    for (name, value) in keys.as_object().unwrap() {
        shop.insert(name.clone(), value.clone());
    }
    let from = json!({"names": "[a-z]{1,9}", "from_host": "{domain}.api.example.com"});
    shop.insert("domains".to_owned(), from);
    policy
}

#[test]
fn a_token_of_one_domain_never_passes_at_another() {
    let key = key(1);
    let mut of_red = claims();
    of_red["iss"] = json!("https://auth.example.com/red");
    let token = token(&key, "a", &of_red);
    let uri = "https://auth.example.com/{domain}/jwks";
    // One key set for all, which is as bad as it gets, and one for each.
    let shared = json!({"local_jwks": {"inline_string": jwks(&[("a", &key)])}});
    for keys in [shared, json!({"remote_jwks": {"http_uri": {"uri": uri}}})] {
        let mut gate = gate(&domains(keys));
        let mut code = |host: &str, seconds| {
            if at_host(&mut gate, host, &token, seconds).0 == "await" {
                fetch(&mut gate, &jwks(&[("a", &key)]), seconds);
            }
            at_host(&mut gate, host, &token, seconds).0
        };
        for second in 0..3 {
            assert_eq!(code("red.api.example.com", second), "allow");
            assert_eq!(code("blue.api.example.com", second), "issuer_unknown");
            assert_eq!(code("RED.api.example.com:8443", second), "allow");
            assert_eq!(code("api.example.com", second), "domain_unknown");
            assert_eq!(code("red.evil.example.com", second), "domain_unknown");
            assert_eq!(code("red.red.api.example.com", second), "domain_unknown");
        }
    }
}

#[test]
fn a_rule_on_trial_lets_through_and_says_what_it_would_have_done() {
    let (mut gate, key) = (gate(&policy(json!({"report_only": true, "name": "new"}))), key(1));
    fetch(&mut gate, &jwks(&[("a", &key)]), 0);
    let good = token(&key, "a", &claims());
    let (verdict, set) = verdict(&mut gate, &good, 1);
    let report = ("x-postern-report-only".to_owned(), "allow; rule=new".to_owned());
    assert_eq!((verdict.as_str(), set.last()), ("allow", Some(&report)));
    let bearer = format!("Bearer {good}");
    let headers = vec![
        ("authorization", bearer.as_bytes()),
        ("x-user", &b"root"[..]),
        ("X-Postern_Report-Only", b"allow"),
    ];
    let request = Request::new("GET", b"/", headers);
    let Decision::Allow(forward) = gate.decide(&request, Duration::from_secs(NOW + 301)) else {
        panic!("it was not let through");
    };
    assert_eq!(forward.report().map(|report| report.code), Some(Some("token_expired")));
    let removed: Vec<&str> = forward.removed_headers().collect();
    assert_eq!(removed, ["x-user", "X-Postern_Report-Only"], "the token stays");
    let set: Vec<(&str, &[u8])> = forward.set_headers().collect();
    let report = &b"deny; code=token_expired; rule=new"[..];
    assert_eq!(set, [("x-postern-report-only", report)]);
    assert_eq!((gate.counters().would_deny, gate.counters().denied), (1, 0));
}

#[test]
fn of_two_rules_on_trial_the_first_is_told() {
    let mut policy = policy(json!({"report_only": true, "name": "first", "scopes": ["a"]}));
    let second = json!({"match": {"prefix": "/"}, "requires": {"provider_name": "shop"},
        "report_only": true, "name": "second"});
    policy["rules"].as_array_mut().unwrap().push(second);
    let (mut gate, key) = (gate(&policy), key(1));
    fetch(&mut gate, &jwks(&[("a", &key)]), 0);
    let (_, set) = verdict(&mut gate, &token(&key, "a", &claims()), 1);
    let report = "deny; code=insufficient_scope; rule=first".to_owned();
    assert_eq!(set, [("x-postern-report-only".to_owned(), report)]);
}

#[test]
fn a_request_that_cannot_wait_is_told_so_by_its_rule() {
    let deny = json!({"deny_response": {"status": 404}});
    let (mut gate, key) = (gate(&policy(deny)), key(1));
    let bearer = format!("Bearer {}", token(&key, "a", &claims()));
    let request = Request::new("GET", b"/", vec![("authorization", bearer.as_bytes())]);
    let now = Duration::from_secs(NOW);
    let Decision::AwaitKeys(key_set) = gate.decide(&request, now) else { panic!("no waiting") };
    assert_eq!(key_set, shop());
    let Decision::Deny(denied) = gate.decide_at_once(&request, now) else { panic!("no denial") };
    assert_eq!((denied.answer.status, denied.rule.as_deref()), (503, Some("0")));
    assert_eq!(gate.counters().denied, 1);
}

fn verify(gate: &mut Gate, token: &str, seconds: u64) -> Verification {
    gate.verify(token.as_bytes(), None, Duration::from_secs(NOW + seconds))
}

fn number(verification: &Verification) -> u64 {
    let number = match verification {
        Verification::Verified { provider: 0, number } => Some(*number),
        _ => None,
    };
    number.expect("a verified token")
}

#[test]
fn a_token_by_itself_keeps_its_number_until_it_is_verified_anew() {
    let mut gate = gate(&policy(json!({})));
    let token = token(&key(1), "one", &json!({"iss": ISSUER, "exp": NOW + 900}));
    assert_eq!(verify(&mut gate, &token, 0), Verification::AwaitKeys(shop()));
    let at_once = gate.verify_at_once(token.as_bytes(), None, Duration::from_secs(NOW));
    assert!(matches!(at_once, Verification::Denied(Denial::KeysUnavailable { .. })));
    fetch(&mut gate, &jwks(&[("one", &key(1))]), 0);
    let first = number(&verify(&mut gate, &token, 1));
    assert_eq!(number(&verify(&mut gate, &token, 2)), first);
    let other = self::token(&key(1), "one", &json!({"iss": ISSUER, "exp": NOW + 299}));
    assert_ne!(number(&verify(&mut gate, &other, 2)), first);
    // Another key set: whatever was read of the token before is not vouched for any more.
    fetch(&mut gate, &jwks(&[("one", &key(1)), ("two", &key(2))]), 480);
    assert_ne!(number(&verify(&mut gate, &token, 480)), first);
    assert_eq!((gate.counters().allowed, gate.counters().denied), (4, 1));
}

#[test]
fn a_token_by_itself_is_not_let_in_for_having_been_verified_before() {
    let mut gate = gate(&policy(json!({})));
    fetch(&mut gate, &jwks(&[("one", &key(1))]), 0);
    let session = json!({"iss": ISSUER, "sid": "s1", "exp": NOW + 100});
    let token = token(&key(1), "one", &session);
    number(&verify(&mut gate, &token, 1));
    let expired = verify(&mut gate, &token, 100);
    assert!(matches!(expired, Verification::Denied(Denial::TokenExpired { .. })), "{expired:?}");
    number(&verify(&mut gate, &token, 2));
    let until = Duration::from_secs(NOW + 100);
    assert!(gate.revoke(0, "s1", until, Duration::from_secs(NOW + 2)));
    assert_eq!(verify(&mut gate, &token, 3), Verification::Denied(Denial::TokenRevoked));
}

#[test]
fn a_request_tells_which_tokens_let_it_through() {
    let mut gate = gate(&policy(json!({})));
    fetch(&mut gate, &jwks(&[("one", &key(1))]), 0);
    let token = token(&key(1), "one", &claims());
    let field = format!("Bearer {token}");
    let request = Request::new("GET", b"/", vec![("authorization", field.as_bytes())]);
    let Decision::Allow(forward) = gate.decide(&request, Duration::from_secs(NOW + 1)) else {
        unreachable!("the token is right");
    };
    let bearers: Vec<_> = forward.bearers().collect();
    assert_eq!(bearers.len(), 1);
    assert_eq!((bearers[0].provider, bearers[0].domain), (0, None));
    assert_eq!(bearers[0].token, token.as_bytes());
    assert!(!format!("{bearers:?}").contains(&token));
}

#[test]
fn who_lets_a_request_through_is_told() {
    let trial = json!({"provider_name": "shop"});
    let mut gate = gate(&json!({
        "providers": policy(json!({}))["providers"],
        "bypass_cors_preflight": true,
        "rules": [
            {"match": {"path": "/tried"}, "requires": trial, "report_only": true},
            {"match": {"path": "/open"}}
        ]
    }));
    fetch(&mut gate, &jwks(&[("a", &key(1))]), 0);
    let mut rule = |target: &'static str, headers| {
        let request = Request::new("OPTIONS", target.as_bytes(), headers);
        match gate.decide(&request, Duration::from_secs(NOW)) {
            Decision::Allow(forward) => forward.rule(),
            other => unreachable!("{other:?}"),
        }
    };
    let (origin, method) = (("origin", &b"o"[..]), ("access-control-request-method", &b"GET"[..]));
    assert_eq!(rule("/open", vec![]), Some(1));
    assert_eq!(rule("/tried", vec![]), Some(0));
    assert_eq!(rule("/open", vec![origin, method]), None);
}

#[test]
fn what_a_rule_on_trial_takes_unchecked_is_marked_as_such() {
    let requires = json!({"extract_only_without_validation": {}});
    let mut gate = gate(&json!({
        "providers": policy(json!({}))["providers"],
        "rules": [{"match": {"prefix": "/"}, "requires": requires, "report_only": true}]
    }));
    let field = format!("Bearer {}", token(&key(9), "made-up", &claims()));
    let request = Request::new("GET", b"/", vec![("authorization", field.as_bytes())]);
    let Decision::Allow(forward) = gate.decide(&request, Duration::from_secs(NOW)) else {
        unreachable!("a rule on trial refuses nobody");
    };
    let set: Vec<_> = forward.set_headers().collect();
    assert!(set.contains(&("x-user", &b"alice"[..])), "{set:?}");
    assert!(set.contains(&("x-jwt-signature-verified", &b"false"[..])), "{set:?}");
    assert_eq!(forward.bearers().count(), 0);
}

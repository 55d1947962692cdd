//! Requests, policies and keys against the verdict, through the public interface only.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
)]

use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_compact::{
    Algorithm, AlgorithmSignature,
    alg::{Ed25519, Es256, Hs256, Hs256Key, Hs512, Hs512Key, SigningKey},
    jwk::JsonWebKey,
};
use postern_verify::{
    Algorithm as Alg, Answer, Decision, Denied, Forward, Gate, Policy, PublicKey, Request,
    SignatureVerifier,
};
use serde_json::{Value, json};

const NOW: u64 = 1_800_000_000;
const A: &str = "https://auth.example.com/a";
const B: &str = "https://auth.example.com/b";

type EsKey = <Es256 as Algorithm>::SigningKey;
type EdKey = <Ed25519 as Algorithm>::SigningKey;

fn es_key() -> EsKey {
    <EsKey as SigningKey<Es256>>::from_slice(&[7; 32]).unwrap()
}

fn ed_key() -> EdKey {
    <EdKey as SigningKey<Ed25519>>::from_slice(&[9; 32]).unwrap()
}

fn encode(text: impl AsRef<[u8]>) -> String {
    Base64UrlUnpadded::encode_string(text.as_ref())
}

fn sign_raw(header: &str, claims: &str) -> String {
    let text = format!("{}.{}", encode(header), encode(claims));
    let signature = Es256.sign(&es_key(), text.as_bytes());
    format!("{text}.{}", encode(signature.as_bytes()))
}

fn claims(changes: Value) -> Value {
    let mut claims = json!({"iss": A, "sub": "alice", "aud": "shop", "exp": NOW + 300});
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn token_with(changes: Value) -> String {
    sign_raw(r#"{"alg":"ES256","kid":"es"}"#, &claims(changes).to_string())
}

fn token() -> String {
    token_with(json!({}))
}

fn foreign_token() -> String {
    let text = format!(
        "{}.{}",
        encode(r#"{"alg":"EdDSA","kid":"ed"}"#),
        encode(claims(json!({"iss": B})).to_string())
    );
    let signature = Ed25519.sign(&ed_key(), text.as_bytes());
    format!("{text}.{}", encode(signature.as_bytes()))
}

fn jwk<'a>(kid: &str, key: impl Into<JsonWebKey<'a>>) -> Value {
    let mut jwk = serde_json::to_value(key.into().to_verifying_key()).unwrap();
    jwk["kid"] = json!(kid);
    jwk
}

/// Provider `a` holds an ES256 key, provider `b` an EdDSA key.
fn policy(requires: Value, changes: Value) -> Value {
    let jwks = |key| json!({"inline_string": json!({"keys": [key]}).to_string()});
    let mut a = json!({"issuer": A, "audiences": ["shop"],
        "local_jwks": jwks(jwk("es", es_key().verifying_key())),
        "claim_to_headers": [{"header_name": "X-User", "claim_name": "sub"}]});
    for (name, value) in changes.as_object().unwrap() {
        a[name] = value.clone();
    }
    let b = json!({"issuer": B, "local_jwks": jwks(jwk("ed", &ed_key()))});
    json!({"providers": {"a": a, "b": b}, "rules": [
        {"match": {"path": "/open"}},
        {"match": {"prefix": "/api/"}, "requires": requires}]})
}

/// A decision that owns what it says.
#[derive(Debug)]
enum Verdict {
    Allow(Changes),
    Deny(Box<Denied>),
    AwaitKeys,
}

/// What a [`Forward`] says.
#[derive(Debug, Default, PartialEq)]
struct Changes {
    removed: Vec<String>,
    set: Vec<(String, String)>,
    target: Option<String>,
}

impl Changes {
    fn of(forward: &Forward<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self {
            removed: forward.removed_headers().map(str::to_ascii_lowercase).collect(),
            set: forward
                .set_headers()
                .map(|(name, value)| (name.to_owned(), text(value)))
                .collect(),
            target: forward.target().map(text),
        }
    }

    fn sets(&self, expected: &[(&str, &str)]) -> bool {
        self.set
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .eq(expected.iter().copied())
    }
}

fn gate(policy: &Value) -> Gate {
    Gate::new(Policy::parse(policy.to_string().as_bytes()).unwrap())
}

fn decide_by(gate: &mut Gate, target: &str, headers: &[(&str, &str)]) -> Verdict {
    let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    let request = Request::new("GET", target.as_bytes(), headers);
    match gate.decide(&request, Duration::from_secs(NOW)) {
        Decision::Allow(forward) => Verdict::Allow(Changes::of(&forward)),
        Decision::Deny(denied) => Verdict::Deny(denied),
        Decision::AwaitKeys(_) => Verdict::AwaitKeys,
    }
}

fn decide(policy: &Value, target: &str, headers: &[(&str, &str)]) -> Verdict {
    decide_by(&mut gate(policy), target, headers)
}

fn code(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Allow(_) => "allow",
        Verdict::Deny(denied) => denied.denial.code(),
        Verdict::AwaitKeys => "await",
    }
}

fn allowed(verdict: Verdict) -> Changes {
    match verdict {
        Verdict::Allow(changes) => changes,
        other => panic!("{other:?}"),
    }
}

/// The code for one bearer token at a path that requires provider `a`.
fn code_of(token: &str) -> &'static str {
    let policy = policy(json!({"provider_name": "a"}), json!({}));
    code(&decide(&policy, "/api/x", &[("authorization", &format!("Bearer {token}"))]))
}

#[test]
fn a_good_token_passes_in_every_permitted_dress() {
    assert_eq!(code_of(&token()), "allow");
    for header in [
        r#"{"alg":"ES256"}"#,
        r#"{"alg":"ES256","kid":"es","typ":"JWT"}"#,
        r#"{"typ":"at+jwt","alg":"ES256","kid":"es"}"#,
        r#"{"typ":"application/AT+JWT","alg":"ES256"}"#,
        r#" {"alg" : "ES256", "x5u":"https://evil", "jwk":{"kty":"oct"}, "jku":"https://evil"} "#,
        r#"{"alg":"ES256","cty":"json"}"#,
    ] {
        assert_eq!(code_of(&sign_raw(header, &claims(json!({})).to_string())), "allow", "{header}");
    }
}

/// A host that says yes to whatever is signed with one algorithm, and nothing to the rest.
struct Trusting(Alg);

impl SignatureVerifier for Trusting {
    fn verify(&self, key: &PublicKey, _message: &[u8], _signature: &[u8]) -> Option<bool> {
        (key.algorithm() == self.0).then_some(true)
    }
}

#[test]
fn a_host_is_asked_where_it_answers_and_only_there() {
    let policy = policy(json!({"provider_name": "a"}), json!({}));
    let token = token();
    let (signed, _) = token.rsplit_once('.').unwrap();
    let forged = bearer(&format!("{signed}.{}", encode([1; 64])));
    let code = |host| {
        let mut gate = gate(&policy).with_signatures(Box::new(host));
        code(&decide_by(&mut gate, "/api/x", &[("authorization", &forged)]))
    };
    assert_eq!(code(Trusting(Alg::Es256)), "allow");
    assert_eq!(code(Trusting(Alg::EdDsa)), "signature_invalid");
}

#[test]
fn the_policy_names_the_algorithms() {
    let hs_keys = json!({"keys": [{"kty": "oct", "k": encode([7; 64]), "alg": "HS512"}]});
    let local = json!({"inline_string": hs_keys.to_string()});
    let unnamed = policy(json!({"provider_name": "a"}), json!({"local_jwks": local}));
    let error = Policy::parse(unnamed.to_string().as_bytes()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "providers.a.local_jwks.inline_string: \
         it holds a key for HS512; name it in `algorithms`"
    );
    let named = json!({"local_jwks": local, "algorithms": ["HS512", "RS256"]});
    let named = policy(json!({"provider_name": "a"}), named);
    let code_of = |alg: &str, mac: &dyn Fn(&[u8]) -> Vec<u8>| {
        let header = json!({ "alg": alg }).to_string();
        let text = format!("{}.{}", encode(header), encode(claims(json!({})).to_string()));
        let token = bearer(&format!("{text}.{}", encode(mac(text.as_bytes()))));
        code(&decide(&named, "/api/x", &[("authorization", &token)]))
    };
    let key = Hs512Key::new([7; 64]);
    let hs512 = |text: &[u8]| Hs512.sign(&key, text).as_bytes().into_owned();
    assert_eq!(code_of("HS512", &hs512), "allow");
    assert_eq!(code_of("RS256", &hs512), "algorithm_mismatch");
    assert_eq!(code_of("ES256", &hs512), "algorithm_not_allowed");
    assert_eq!(code_of("HS512", &|_| vec![0; 64]), "signature_invalid");
}

#[test]
fn each_broken_token_has_its_code() {
    let good = claims(json!({})).to_string();
    let header = r#"{"alg":"ES256","kid":"es"}"#;
    let token = token();
    let parts: Vec<&str> = token.split('.').collect();
    let [head, body, signature] = parts[..] else { panic!() };
    let hs = |text: String| {
        let public = serde_json::to_vec(&jwk("es", es_key().verifying_key())).unwrap();
        let mac = Hs256.sign(&Hs256Key::new(public), text.as_bytes());
        format!("{text}.{}", encode(mac.as_bytes()))
    };
    let long_claims = claims(json!({"x": "y".repeat(16 * 1024)})).to_string();
    for (token, expected) in [
        (head.to_owned(), "token_malformed"),
        (format!("{head}.{body}"), "token_malformed"),
        (format!("{head}.{body}.{signature}."), "token_malformed"),
        (format!("{head}.{body}.{signature}.x.y"), "token_malformed"),
        (format!("{head}=.{body}.{signature}"), "token_malformed"),
        (format!("{head}.{body}.{signature}=="), "token_malformed"),
        (format!("{head}.{body} .{signature}"), "token_malformed"),
        (format!("{head}.{body}.{signature} "), "token_malformed"),
        (format!("{head}.{body}.+{signature}"), "token_malformed"),
        (format!("{head}.{body}.é"), "token_malformed"),
        (format!(".{body}.{signature}"), "header_malformed"),
        (format!("{head}..{signature}"), "claims_malformed"),
        (format!("{head}.{body}."), "signature_invalid"),
        (format!("{head}.{body}.{}", encode([0; 64])), "signature_invalid"),
        (format!("{head}.{body}.{}", encode([1; 63])), "signature_invalid"),
        (
            format!("{head}.{}.{signature}", encode(r#"{"iss":"https://auth.example.com/a"}"#)),
            "signature_invalid",
        ),
        (
            hs(format!("{}.{body}", encode(r#"{"alg":"HS256","kid":"es"}"#))),
            "algorithm_not_allowed",
        ),
        (hs(format!("{}.{body}", encode(r#"{"alg":"HS256"}"#))), "algorithm_not_allowed"),
        (format!("{}.{body}.", encode(r#"{"alg":"none"}"#)), "algorithm_unsupported"),
        (format!("{}.{body}.", encode(r#"{"alg":"NoNe"}"#)), "algorithm_unsupported"),
        (format!("{}.{body}.", encode(r#"{"alg":""}"#)), "algorithm_unsupported"),
        (sign_raw(r#"{"alg":"es256"}"#, &good), "algorithm_unsupported"),
        (sign_raw(r#"{"alg":"EdDSA"}"#, &good), "algorithm_mismatch"),
        (sign_raw("{}", &good), "header_malformed"),
        (sign_raw(r#"{"alg":null}"#, &good), "header_malformed"),
        (sign_raw(r#"{"alg":["ES256"]}"#, &good), "header_malformed"),
        (sign_raw(r#"["ES256"]"#, &good), "header_malformed"),
        (sign_raw(r#"{"alg":"ES256","kid":7}"#, &good), "header_malformed"),
        (sign_raw(r#"{"alg":"ES256","typ":7}"#, &good), "header_malformed"),
        (sign_raw(r#"{"alg":"ES256"}x"#, &good), "header_malformed"),
        (sign_raw(r#"{"alg":"none","alg":"ES256"}"#, &good), "duplicate_member"),
        (sign_raw(r#"{"alg":"ES256","\u0061lg":"ES256"}"#, &good), "duplicate_member"),
        (sign_raw(r#"{"alg":"ES256","x":{"a":1,"a":1}}"#, &good), "duplicate_member"),
        (sign_raw(r#"{"alg":"ES256","crit":["exp"]}"#, &good), "critical_header"),
        (sign_raw(r#"{"alg":"ES256","crit":[]}"#, &good), "critical_header"),
        (sign_raw(r#"{"alg":"ES256","b64":true}"#, &good), "critical_header"),
        (sign_raw(r#"{"alg":"ES256","typ":"dpop+jwt"}"#, &good), "type_not_allowed"),
        (sign_raw(r#"{"alg":"ES256","typ":""}"#, &good), "type_not_allowed"),
        (sign_raw(r#"{"alg":"ES256","cty":"JWT"}"#, &good), "nested_token"),
        (sign_raw(r#"{"alg":"ES256","cty":"application/jwt"}"#, &good), "nested_token"),
        (sign_raw(r#"{"alg":"ES256","kid":"other"}"#, &good), "key_unknown"),
        (sign_raw(r#"{"alg":"ES256","kid":""}"#, &good), "key_unknown"),
        (sign_raw(header, "[]"), "claims_malformed"),
        (sign_raw(header, "\"x\""), "claims_malformed"),
        (
            sign_raw(header, &good.replace("\"sub\":\"alice\"", "\"sub\":\"a\",\"sub\":\"b\"")),
            "duplicate_member",
        ),
        (sign_raw(header, &good.replace("alice", "\\ud800")), "claims_malformed"),
        (sign_raw(header, &good.replace(&(NOW + 300).to_string(), "1e999")), "claims_malformed"),
        (sign_raw(header, &long_claims), "token_too_large"),
        (token_with(json!({"iss": B})), "issuer_unknown"),
        (token_with(json!({"iss": null})), "issuer_unknown"),
        (foreign_token(), "issuer_unknown"),
        (token_with(json!({"aud": ["x"]})), "audience_mismatch"),
        (token_with(json!({"exp": NOW - 60})), "token_expired"),
        (token_with(json!({"exp": -1})), "time_claim_invalid"),
        (token_with(json!({"nbf": NOW + 61})), "token_not_yet_valid"),
        (token_with(json!({"cnf": {"jkt": "x"}})), "key_binding_required"),
    ] {
        assert_eq!(code_of(&token), expected, "{token:.120}");
    }
    assert_eq!(code_of(&token_with(json!({"exp": NOW - 59, "nbf": NOW + 60}))), "allow");
}

#[test]
fn every_changed_character_of_a_token_is_noticed() {
    let token = token();
    for index in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert_ne!(code_of(&changed), "allow", "character {index}");
    }
}

#[test]
fn identity_goes_upstream_and_the_token_does_not() {
    let policy = policy(json!({"provider_name": "a"}), json!({"forward_payload_header": "X-P"}));
    let token = token();
    let bearer = format!("bearer {token}");
    let headers = [
        ("Authorization", bearer.as_str()),
        ("x-user", "root"),
        ("X_USER", "root"),
        ("x.user", "root"),
    ];
    let forward = allowed(decide(&policy, "/api/x", &headers));
    assert_eq!(forward.removed, ["x-user", "x_user", "x.user", "authorization"]);
    let payload = token.split('.').nth(1).unwrap();
    assert!(forward.sets(&[("x-p", payload), ("x-user", "alice")]), "{forward:?}");
    assert_eq!(forward.target, None);
}

#[test]
fn identity_headers_are_removed_from_open_paths_too() {
    let policy = policy(json!({"provider_name": "a"}), json!({}));
    let forward = allowed(decide(&policy, "/open", &[("X-User", "root"), ("other", "1")]));
    assert_eq!(forward.removed, ["x-user"]);
    assert!(forward.sets(&[]), "{forward:?}");
}

#[test]
fn tokens_are_stripped_from_wherever_they_stood() {
    let places = json!({"from_headers": [{"name": "X-Token"}], "from_cookies": ["t"],
        "from_params": ["t"]});
    let policy = policy(json!({"provider_name": "a"}), places);
    let token = token();
    let target = format!("/api/x?a=1&t={token}");
    let forward = allowed(decide(&policy, &target, &[]));
    assert_eq!(forward.target.as_deref(), Some("/api/x?a=1"));
    let cookie = format!("a=1; t={token}");
    let forward = allowed(decide(&policy, "/api/x", &[("cookie", &cookie)]));
    assert_eq!(forward.removed, ["cookie"]);
    assert!(forward.sets(&[("x-user", "alice"), ("cookie", "a=1")]), "{forward:?}");
    let forward = allowed(decide(&policy, "/api/x", &[("x-token", &token)]));
    assert_eq!(forward.removed, ["x-token"]);
    let twice = decide(&policy, &target, &[("x-token", &token)]);
    assert_eq!(code(&twice), "multiple_tokens");
    let elsewhere = decide(&policy, "/api/x", &[("authorization", &format!("Bearer {token}"))]);
    assert_eq!(code(&elsewhere), "token_missing");
}

#[test]
fn forward_keeps_the_token() {
    let policy = policy(json!({"provider_name": "a"}), json!({"forward": true}));
    let forward = allowed(decide(&policy, "/api/x", &[("authorization", &bearer(&token()))]));
    assert_eq!(forward.removed, Vec::<String>::new());
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[test]
fn requirements_combine() {
    let any =
        json!({"requires_any": {"requirements": [{"provider_name": "a"}, {"provider_name": "b"}]}});
    let all =
        json!({"requires_all": {"requirements": [{"provider_name": "a"}, {"provider_name": "b"}]}});
    let optional_b =
        json!({"requires_any": {"requirements": [{"provider_name": "b"}, {"allow_missing": {}}]}});
    let missing = json!({"allow_missing": {}});
    let failed = json!({"allow_missing_or_failed": {}});
    let (a, b) = (bearer(&token()), bearer(&foreign_token()));
    let expired = bearer(&token_with(json!({"exp": 1})));
    for (requires, header, expected) in [
        (&any, Some(&a), "allow"),
        (&any, Some(&b), "allow"),
        (&any, None, "token_missing"),
        (&any, Some(&expired), "token_expired"),
        (&all, Some(&a), "issuer_unknown"),
        (&all, None, "token_missing"),
        (&optional_b, None, "allow"),
        (&optional_b, Some(&b), "allow"),
        (&optional_b, Some(&a), "issuer_unknown"),
        (&missing, None, "allow"),
        (&missing, Some(&a), "allow"),
        (&missing, Some(&b), "allow"),
        (&missing, Some(&expired), "token_expired"),
        (&failed, None, "allow"),
        (&failed, Some(&b), "allow"),
        (&failed, Some(&expired), "allow"),
    ] {
        let policy = policy(requires.clone(), json!({}));
        let headers: Vec<_> =
            header.iter().map(|value| ("authorization", value.as_str())).collect();
        assert_eq!(
            code(&decide(&policy, "/api/x", &headers)),
            expected,
            "{requires} {header:.20?}"
        );
    }
}

#[test]
fn all_can_be_satisfied_by_tokens_in_several_places() {
    let all =
        json!({"requires_all": {"requirements": [{"provider_name": "a"}, {"provider_name": "b"}]}});
    let policy = policy(all, json!({"from_cookies": ["t"]}));
    let (bearer, cookie) = (bearer(&foreign_token()), format!("t={}", token()));
    let headers = [("authorization", bearer.as_str()), ("cookie", cookie.as_str())];
    let forward = allowed(decide(&policy, "/api/x", &headers));
    assert_eq!(forward.removed, ["authorization", "cookie"]);
    assert!(forward.sets(&[("x-user", "alice")]), "{forward:?}");
}

#[test]
fn a_failed_token_does_not_reach_the_upstream_either() {
    let policy = policy(json!({"allow_missing_or_failed": {}}), json!({}));
    let forged = bearer(&token().replace('.', ".A"));
    let forward = allowed(decide(&policy, "/api/x", &[("authorization", &forged)]));
    assert_eq!(forward.removed, ["authorization"]);
    assert!(forward.sets(&[]), "{forward:?}");
    let basic = allowed(decide(&policy, "/api/x", &[("authorization", "Basic eA==")]));
    assert_eq!(basic, Changes::default());
}

#[test]
fn forward_keeps_no_token_that_was_not_verified() {
    let policy = policy(
        json!({"requires_any": {"requirements": [
            {"provider_name": "a"}, {"allow_missing_or_failed": {}}]}}),
        json!({"forward": true}),
    );
    let forged = bearer(&token().replace('.', ".A"));
    let forward = allowed(decide(&policy, "/api/x", &[("authorization", &forged)]));
    assert_eq!(forward.removed, ["authorization"]);
}

#[test]
fn a_token_in_a_place_that_was_not_needed_is_stripped_too() {
    let any = json!({"requires_any": {"requirements": [
        {"provider_name": "a"}, {"provider_name": "b"}]}});
    let policy = policy(any, json!({"from_headers": [{"name": "X-Token"}], "forward": true}));
    let (token, forged) = (token(), bearer("forged"));
    let headers = [("x-token", token.as_str()), ("authorization", forged.as_str())];
    let forward = allowed(decide(&policy, "/api/x", &headers));
    assert_eq!(forward.removed, ["authorization"], "the verified one says `forward`");
    let foreign = bearer(&foreign_token());
    let headers = [("x-token", "forged"), ("authorization", foreign.as_str())];
    let forward = allowed(decide(&policy, "/api/x", &headers));
    assert_eq!(forward.removed, ["x-token", "authorization"]);
    // Which of the two counts is what readers could disagree on.
    let headers = [("x-token", token.as_str()), ("x.token", "forged")];
    assert_eq!(code(&decide(&policy, "/api/x", &headers)), "multiple_tokens");
}

#[test]
fn a_bad_token_behind_a_missing_one_is_not_a_missing_token() {
    let both = json!({"requires_all": {"requirements": [
        {"provider_name": "a"}, {"provider_name": "b"}]}});
    let requires = json!({"requires_any": {"requirements": [both, {"allow_missing": {}}]}});
    let policy = policy(requires, json!({"from_headers": [{"name": "X-Token"}]}));
    let forged = bearer("forged");
    assert_eq!(code(&decide(&policy, "/api/x", &[("authorization", &forged)])), "token_malformed");
    assert_eq!(code(&decide(&policy, "/api/x", &[])), "allow");
}

#[test]
fn a_token_that_waits_for_keys_beside_a_missing_one_is_not_a_missing_token() {
    let both = json!({"requires_all": {"requirements": [
        {"provider_name": "a"}, {"provider_name": "b"}]}});
    let requires = json!({"requires_any": {"requirements": [both, {"allow_missing": {}}]}});
    let mut policy = policy(requires, json!({"from_headers": [{"name": "X-Token"}]}));
    let a = policy["providers"]["a"].as_object_mut().unwrap();
    a.remove("local_jwks");
    a.insert("remote_jwks".to_owned(), json!({"http_uri": {"uri": "https://a/jwks"}}));
    assert_eq!(code(&decide(&policy, "/api/x", &[("x-token", &token())])), "await");
    assert_eq!(code(&decide(&policy, "/api/x", &[])), "allow");
}

#[test]
fn two_names_of_one_place_hold_one_token() {
    let places = json!({"from_headers": [{"name": "X-Token"}, {"name": "X_Token"}]});
    let policy = policy(json!({"provider_name": "a"}), places);
    assert_eq!(code(&decide(&policy, "/api/x", &[("x-token", &token())])), "allow");
}

#[test]
fn what_a_failed_alternative_has_verified_does_not_go_upstream() {
    let both = json!({"requires_all": {"requirements": [
        {"provider_name": "a"}, {"provider_name": "b"}]}});
    let requires =
        json!({"requires_any": {"requirements": [both, {"allow_missing_or_failed": {}}]}});
    let policy = policy(requires, json!({}));
    let forward = allowed(decide(&policy, "/api/x", &[("authorization", &bearer(&token()))]));
    assert!(forward.sets(&[]), "{forward:?}");
    assert_eq!(forward.removed, ["authorization"]);
}

#[test]
fn a_denial_is_answered_by_the_book() {
    let policy = policy(json!({"provider_name": "a"}), json!({}));
    let answer = |target, headers: &[(&str, &str)]| match decide(&policy, target, headers) {
        Verdict::Deny(denied) => denied.answer,
        other => panic!("{other:?}"),
    };
    let challenge = |answer: &Answer| {
        let field = answer.headers.iter().find(|field| field.0 == "www-authenticate");
        field.map(|field| field.1.clone())
    };
    let missing = answer("/api/x", &[]);
    assert_eq!(missing.status, 401);
    assert!(missing.body.contains(r#""code":"token_missing""#), "{}", missing.body);
    assert_eq!(challenge(&missing).as_deref(), Some("Bearer realm=\"postern\""));
    let invalid = answer("/api/x", &[("authorization", "Bearer x")]);
    assert_eq!(
        challenge(&invalid).as_deref(),
        Some(
            "Bearer realm=\"postern\", error=\"invalid_token\", \
             error_description=\"the token is not a JWS in compact form\""
        )
    );
    let closed = answer("/elsewhere", &[]);
    assert_eq!((closed.status, challenge(&closed)), (403, None));
}

//! What holds for any input, tried on inputs that proptest makes up.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{collections::BTreeSet, time::Duration};

use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_compact::{
    Algorithm, AlgorithmSignature,
    alg::{Hs256, Hs256Key},
};
use postern_verify::{
    Decision, Denial, Gate, JwkSet, KeyKinds, MAX_TOKEN_BYTES, Policy, Request, UnverifiedToken,
};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

const SECRET: [u8; 32] = [7; 32];

fn encode(text: impl AsRef<[u8]>) -> String {
    Base64UrlUnpadded::encode_string(text.as_ref())
}

fn token(header: &str, claims: &str) -> String {
    let text = format!("{}.{}", encode(header), encode(claims));
    let signature = Hs256.sign(&Hs256Key::new(SECRET), text.as_bytes());
    format!("{text}.{}", encode(signature.as_bytes()))
}

fn parse(text: &[u8]) -> Result<UnverifiedToken<'_>, Denial> {
    UnverifiedToken::parse(text, MAX_TOKEN_BYTES)
}

/// JSON as it is written: an object may name a member twice, and a letter may be escaped.
#[derive(Debug, Clone)]
enum Json {
    Scalar(&'static str),
    Number(f64),
    Array(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

impl Json {
    fn text(&self) -> String {
        match self {
            Self::Scalar(text) => (*text).to_owned(),
            Self::Number(number) => format!("{number:e}"),
            Self::Array(items) => {
                let items: Vec<String> = items.iter().map(Self::text).collect();
                format!("[{}]", items.join(" , "))
            }
            Self::Object(members) => {
                let member = |(name, value): &(&str, Self)| format!("\"{name}\": {}", value.text());
                let members: Vec<String> = members.iter().map(member).collect();
                format!("{{{}}}", members.join(","))
            }
        }
    }

    fn repeats_a_member(&self) -> bool {
        match self {
            Self::Scalar(_) | Self::Number(_) => false,
            Self::Array(items) => items.iter().any(Self::repeats_a_member),
            Self::Object(members) => {
                let names: BTreeSet<String> =
                    members.iter().map(|(name, _)| name.replace("\\u0061", "a")).collect();
                names.len() < members.len()
                    || members.iter().any(|(_, value)| value.repeats_a_member())
            }
        }
    }
}

fn members(value: impl Strategy<Value = Json>) -> impl Strategy<Value = Json> {
    let names = select(vec!["a", "b", "c", "d", "e", "\\u0061", "", "a a", "\u{e4}"]);
    vec((names, value), 0..5).prop_map(Json::Object)
}

fn json() -> impl Strategy<Value = Json> {
    let scalars = ["null", "true", "false", "0", "-0", "1e2", "\"\"", "\"\\ud83d\\ude00\"", "17"];
    let leaf = prop_oneof![
        select(scalars.to_vec()).prop_map(Json::Scalar),
        any::<f64>().prop_filter("JSON has none", |it| it.is_finite()).prop_map(Json::Number),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![vec(inner.clone(), 0..5).prop_map(Json::Array), members(inner)]
    })
}

/// Pieces of paths that services are known to read in different ways.
fn path() -> impl Strategy<Value = String> {
    let pieces = [
        "/",
        "/",
        "/",
        "/",
        "api",
        "open",
        "secret",
        "a",
        "%61",
        "%c3%a4",
        "%ff",
        "%00",
        ".",
        "..",
        "..",
        "%2e",
        "%2E%2e",
        "%252e%252e",
        "%2f",
        "%252f",
        "\\",
        "%5c",
        ";",
        ";x=1",
        "%3b",
        "#",
        "%23",
        "%3f",
        "%",
        "%25",
    ];
    let tail = vec(select(pieces.to_vec()), 0..8).prop_map(|pieces| pieces.concat());
    (select(vec!["", "/", "/api/", "/open"]), tail).prop_map(|(head, tail)| head.to_owned() + &tail)
}

/// How different services may read a path: decoded or not, twice decoded, with its dots resolved.
fn readings(path: &str) -> Vec<String> {
    // All agree on letters (RFC 3986 §2.3).
    let unescaped = path.replace("%61", "a");
    let once = decoded(path);
    let twice = decoded(&once);
    // A name that holds an escape of its own stays a name: only its decoding is judged.
    let decoded = [once, twice].into_iter().filter(|reading| !reading.contains('%'));
    decoded
        .chain([unescaped])
        .flat_map(|path| {
            let plain = path.replace('\\', "/");
            let bare = plain.split(['#', '?']).next().unwrap_or_default().to_owned();
            [plain.clone(), resolved(&plain), resolved(&bare), resolved(&without_parameters(&bare))]
        })
        .collect()
}

fn decoded(text: &str) -> String {
    let mut decoded = Vec::new();
    let mut rest = text.as_bytes();
    while let [byte, behind @ ..] = rest {
        let escaped = match behind {
            [high, low, ..] if *byte == b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                digit(*high).zip(digit(*low)).and_then(|(h, l)| u8::try_from(h * 16 + l).ok())
            }
            _ => None,
        };
        decoded.push(escaped.unwrap_or(*byte));
        rest = if escaped.is_some() { behind.get(2..).unwrap() } else { behind };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn without_parameters(path: &str) -> String {
    let bare = |segment: &str| segment.split(';').next().unwrap_or_default().to_owned();
    path.split('/').map(bare).collect::<Vec<String>>().join("/")
}

fn resolved(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    format!("/{}{}", kept.join("/"), if path.ends_with('/') { "/" } else { "" })
}

/// Whether a gate that opens `/open` and all below `/api/` lets a request through.
fn is_open(gate: &mut Gate, target: &[u8]) -> bool {
    let request = Request::new("GET", target, vec![]);
    let decision = gate.decide(&request, Duration::from_secs(1));
    matches!(decision, Decision::Allow(_))
}

fn open_gate() -> Gate {
    let rules = json!([{"match": {"path": "/open"}}, {"match": {"prefix": "/api/"}}]);
    Gate::new(Policy::parse(json!({ "rules": rules }).to_string().as_bytes()).unwrap())
}

proptest! {
    #[test]
    fn any_text_is_a_token_or_none(text in vec(any::<u8>(), 0..200)) {
        let _ = parse(&text);
    }

    #[test]
    fn a_token_has_one_spelling(text in "(eyJhbGciOiJIUzI1NiJ9|eyJh[A-Za-z0-9_=+/ -]{0,8})?[.]?(e30|[A-Za-z0-9_=-]{0,6})[.]{1,2}[A-Za-z0-9_=+/\n-]{0,8}") {
        if parse(text.as_bytes()).is_ok() {
            let parts: Vec<&str> = text.split('.').collect();
            prop_assert_eq!(parts.len(), 3);
            for part in parts {
                let bytes = Base64UrlUnpadded::decode_vec(part).unwrap();
                prop_assert_eq!(encode(bytes), part);
            }
        }
    }

    #[test]
    fn bits_behind_the_last_byte_are_zero(
        claims in "[a-z]{1,12}",
        part in 0..3_usize,
        change in 1..16_usize,
    ) {
        let text = token(r#"{"alg":"HS256"}"#, &json!({ "a": claims }).to_string());
        prop_assert!(parse(text.as_bytes()).is_ok());
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut parts: Vec<String> = text.split('.').map(str::to_owned).collect();
        let content = parts.get_mut(part).unwrap();
        let unused = match content.len() % 4 { 2 => 16, 3 => 4, _ => 1 };
        let last = alphabet.find(content.pop().unwrap()).unwrap();
        content.push(alphabet.chars().nth(last ^ (change % unused)).unwrap());
        let expected = change % unused == 0;
        prop_assert_eq!(parse(parts.join(".").as_bytes()).is_ok(), expected);
    }

    #[test]
    fn claims_are_what_serde_json_reads_unless_a_member_repeats(claims in members(json())) {
        let claims_text = claims.text();
        let text = token(r#"{"alg":"HS256","kid":"k"}"#, &claims_text);
        match parse(text.as_bytes()) {
            Err(denial) => {
                prop_assert_eq!(denial, Denial::DuplicateMember);
                prop_assert!(claims.repeats_a_member());
            }
            Ok(token) => {
                prop_assert!(!claims.repeats_a_member());
                let set = json!({"keys": [{"kty": "oct", "k": encode(SECRET), "kid": "k"}]});
                let keys =
                    JwkSet::parse(set.to_string().as_bytes(), KeyKinds::WithSecrets).unwrap();
                let signed = token.verify(&keys).unwrap();
                let expected: Value = serde_json::from_str(&claims_text).unwrap();
                for (name, value) in expected.as_object().unwrap() {
                    prop_assert_eq!(signed.claims().value(&[name]), Some(value));
                }
            }
        }
    }

    #[test]
    fn a_changed_token_is_refused(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut text = token(r#"{"alg":"HS256"}"#, r#"{"sub":"alice"}"#).into_bytes();
        let set = json!({"keys": [{"kty": "oct", "k": encode(SECRET)}]}).to_string();
        let keys = JwkSet::parse(set.as_bytes(), KeyKinds::WithSecrets).unwrap();
        prop_assert!(parse(&text).unwrap().verify(&keys).is_ok());
        *at.get_mut(&mut text) ^= 1 << bit;
        prop_assert!(parse(&text).is_err() || parse(&text).unwrap().verify(&keys).is_err());
    }

}

proptest! {
    // Most paths are refused at once, and few of the others are of interest.
    #![proptest_config(ProptestConfig::with_cases(8192))]

    /// Whatever a service makes of the path, it is one that the policy opens.
    #[test]
    fn no_reading_of_an_open_path_leads_elsewhere(path in path()) {
        if is_open(&mut open_gate(), path.as_bytes()) {
            let is_opened =
                |path: &String| path == "/open" || path.starts_with("/api/") || path == "/api";
            for reading in &readings(&path) {
                prop_assert!(is_opened(reading), "{path} may be read as {reading}");
            }
        }
    }

}

proptest! {
    #[test]
    fn any_target_has_a_verdict(target in vec(any::<u8>(), 0..64)) {
        is_open(&mut open_gate(), &target);
    }

    #[test]
    fn a_jwk_is_used_or_skipped(key in members(json()), kty in select(vec!["RSA", "EC", "OKP", "oct", "x"])) {
        let Ok(mut key) = serde_json::from_str::<Value>(&key.text()) else { return Ok(()) };
        for (name, value) in [("kty", kty), ("crv", "P-256"), ("x", "AA"), ("n", "AQAB")] {
            key[name] = json!(value);
        }
        let document = json!({ "keys": [key] }).to_string();
        for kinds in [KeyKinds::PublicOnly, KeyKinds::WithSecrets] {
            let set = JwkSet::parse(document.as_bytes(), kinds).unwrap();
            prop_assert_eq!((set.len(), set.skipped().len()), (0, 1));
        }
    }
}

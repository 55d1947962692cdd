//! Headers: algorithms, key ids, types and extensions.

use postern_tests::base64url;

use crate::{
    case::{Changes, Corpus, claims, header},
    signer::{ALGORITHMS, hmac256},
};

/// One of each kind; the others differ in the signature only.
const KINDS: [&str; 4] = ["HS256", "RS256", "ES256", "EdDSA"];

pub(crate) fn fill(corpus: &mut Corpus) {
    for algorithm in ALGORITHMS {
        let token = corpus.good(algorithm);
        corpus.add("good", algorithm, token);
        for typ in ["\"JWT\"", "\"jwt\"", "\"at+jwt\"", "\"application/at+jwt\""] {
            with(corpus, "good", algorithm, &[("typ", Some(typ))]);
        }
    }
    with(corpus, "the name Ed25519", "EdDSA", &[("alg", Some("\"Ed25519\""))]);
    swaps(corpus);
    secrets(corpus);
    none(corpus);
    for algorithm in KINDS {
        members(corpus, algorithm);
        shapes(corpus, algorithm);
    }
}

fn with(corpus: &mut Corpus, class: &'static str, algorithm: &str, changes: Changes<'_>) {
    let header = header(algorithm, changes);
    let token = corpus.signer.token(algorithm, &header, claims(&[]));
    corpus.add(class, format!("{algorithm}, {header}"), token);
}

/// What one algorithm signed, under the name of another, and with each one's key.
fn swaps(corpus: &mut Corpus) {
    for signed in ALGORITHMS {
        for named in ALGORITHMS.into_iter().filter(|named| *named != signed) {
            for kid in [signed, named] {
                let (named, kid) = (format!("\"{named}\""), format!("\"{kid}\""));
                let changes = [("alg", Some(named.as_str())), ("kid", Some(kid.as_str()))];
                with(corpus, "the algorithm of another key", signed, &changes);
            }
            let named = format!("\"{named}\"");
            let changes = [("alg", Some(named.as_str())), ("kid", None)];
            with(corpus, "another algorithm, without kid", signed, &changes);
        }
    }
}

/// What anyone can compute from a public key.
fn secrets(corpus: &mut Corpus) {
    for algorithm in ALGORITHMS.into_iter().filter(|name| !name.starts_with("HS")) {
        let jwk = corpus.signer.jwk(algorithm);
        let member = ["n", "x"].iter().find_map(|name| jwk[*name].as_str()).unwrap();
        for secret in [jwk.to_string(), member.to_owned(), String::new()] {
            for kid in [algorithm, "HS256"] {
                let kid = format!("\"{kid}\"");
                let header = header("HS256", &[("kid", Some(&kid))]);
                let text = format!("{}.{}", base64url(header), base64url(claims(&[])));
                let signature = hmac256(secret.as_bytes(), text.as_bytes());
                let token = format!("{text}.{}", base64url(signature));
                corpus.add("a public key as a secret", format!("{algorithm}, {kid}"), token);
            }
        }
    }
}

fn none(corpus: &mut Corpus) {
    for spelling in 0..16 {
        let case = |(at, letter): (usize, char)| {
            if spelling >> at & 1 == 1 { letter.to_ascii_uppercase() } else { letter }
        };
        let name: String = "none".chars().enumerate().map(case).collect();
        let name = format!("\"{name}\"");
        for kid in [None, Some("\"ES256\""), Some("\"HS256\"")] {
            let header = header("ES256", &[("alg", Some(&name)), ("kid", kid)]);
            let signed = corpus.signer.token("ES256", &header, claims(&[]));
            let unsigned = format!("{}.", signed.rsplit_once('.').unwrap().0);
            corpus.add("none", format!("{header}, signed"), signed);
            corpus.add("none", header, unsigned);
        }
    }
}

fn members(corpus: &mut Corpus, algorithm: &str) {
    for (class, name, values) in [
        (
            "crit",
            "crit",
            &["[]", "[\"exp\"]", "[\"alg\"]", "[\"kid\"]", "[\"x\"]", "\"exp\"", "null"][..],
        ),
        ("crit", "crit", &["[\"crit\"]", "[1]", "{}", "[\"b64\"]", "true"]),
        ("b64", "b64", &["true", "1", "null"]),
        ("b64 is false", "b64", &["false"]),
        (
            "another typ",
            "typ",
            &["\"JOSE\"", "\"dpop+jwt\"", "\"secevent+jwt\"", "\"\"", "\"JWT \""],
        ),
        ("another typ", "typ", &["\"id+jwt\"", "\"statuslist+jwt\"", "\"logout+jwt\""]),
        ("typ is no string", "typ", &["1", "[\"JWT\"]", "{}"]),
        ("typ is null", "typ", &["null"]),
        ("cty is JWT", "cty", &["\"JWT\"", "\"jwt\"", "\"application/jwt\""]),
        ("good", "cty", &["\"json\""]),
        ("cty is no string", "cty", &["1", "{}"]),
        ("an unknown kid", "kid", &["\"none-such\"", "\"\"", "\"es256\"", "\"ES256 \""]),
        ("the kid of another key", "kid", &["\"ES384\"", "\"PS256\""]),
        ("kid is no string", "kid", &["1", "{}", "[\"ES256\"]", "true"]),
        ("kid is null", "kid", &["null"]),
        ("an unknown alg", "alg", &["\"ES521\"", "\"ES256K\"", "\"es256\"", "\"ES256 \"", "\"\""]),
        (
            "an unknown alg",
            "alg",
            &["\"RSA1_5\"", "\"dir\"", "\"HS1\"", "\"Ed448\"", "\"constructor\""],
        ),
        ("alg is no string", "alg", &["1", "null", "[\"ES256\"]", "{}", "true"]),
        ("an unregistered header member", "x", &["1", "null", "{\"a\":[]}"]),
        ("an unregistered header member", "__proto__", &["{\"alg\":\"none\"}"]),
        ("an expiry in the header", "exp", &["1"]),
        ("the header points at another key", "jku", &["\"https://evil.example/\""]),
        ("the header points at another key", "x5u", &["\"https://evil.example/\""]),
        ("the header points at another key", "x5t", &["\"AAAA\""]),
        ("the header brings a key", "jwk", &["{\"kty\":\"oct\",\"k\":\"AAAA\"}"]),
        ("a malformed x5c", "x5c", &["\"AAAA\"", "1"]),
        ("an encryption in the header", "enc", &["\"A128GCM\""]),
        ("an encryption in the header", "zip", &["\"DEF\""]),
    ] {
        for value in values {
            with(corpus, class, algorithm, &[(name, Some(value))]);
        }
    }
    with(corpus, "no alg", algorithm, &[("alg", None)]);
    let known = [("crit", Some("[\"b64\"]")), ("b64", Some("true"))];
    with(corpus, "crit names b64", algorithm, &known);
    let plain = [("crit", Some("[\"b64\"]")), ("b64", Some("false"))];
    with(corpus, "b64 is false", algorithm, &plain);
    let extension = [("crit", Some("[\"x\"]")), ("x", Some("1"))];
    with(corpus, "crit", algorithm, &extension);
    let long = format!("\"{}\"", "x".repeat(600));
    with(corpus, "a header of 600 bytes", algorithm, &[("x5t", Some(&long))]);
    with(corpus, "no kid, among many keys", algorithm, &[("kid", None)]);
    let header = header(algorithm, &[("kid", None)]);
    let token = corpus.signer.token(algorithm, header, claims(&[]));
    let only = serde_json::json!({ "keys": [corpus.signer.jwk(algorithm)] }).to_string();
    corpus.add_with_keys("no kid, and one key", algorithm, token, only);
}

/// Headers that are no object, or none that all read alike.
fn shapes(corpus: &mut Corpus, algorithm: &str) {
    let plain = header(algorithm, &[]);
    let inner = plain.trim_start_matches('{').trim_end_matches('}');
    for (class, header) in [
        ("the header is no object", "[]".to_owned()),
        ("the header is no object", "null".into()),
        ("the header is no object", "1".into()),
        ("the header is no object", format!("\"{algorithm}\"")),
        ("the header is no object", format!("[{plain}]")),
        ("the header is no object", String::new()),
        ("the header is not JSON", format!("{{{inner}")),
        ("the header is not JSON", format!("{{{inner},}}")),
        ("the header is not JSON", plain.replace('"', "'")),
        ("the header is not JSON", format!("{plain}{plain}")),
        ("the header is not JSON", format!("{plain}x")),
        ("the header is not JSON", format!("/**/{plain}")),
        ("a byte order mark", format!("\u{feff}{plain}")),
        ("a member twice in the header", format!("{{{inner},\"alg\":\"{algorithm}\"}}")),
        ("a member twice in the header", format!("{{\"alg\":\"none\",{inner}}}")),
        ("a member twice in the header", format!("{{\"alg\":1,{inner}}}")),
        ("a member twice in the header", format!("{{\"kid\":\"x\",{inner}}}")),
        ("a member twice in the header", format!("{{{inner},\"al\\u0067\":\"{algorithm}\"}}")),
        ("another alg last", format!("{{{inner},\"alg\":\"none\"}}")),
        ("another kid last", format!("{{{inner},\"kid\":\"x\"}}")),
        ("NaN in the header", format!("{{{inner},\"x5t\":NaN}}")),
    ] {
        let token = corpus.signer.token(algorithm, &header, claims(&[]));
        corpus.add(class, format!("{algorithm}, {header}"), token);
    }
}

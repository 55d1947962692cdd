//! JWK Sets: keys that may not be used, alone and beside a good one.

use postern_tests::base64url;
use serde_json::{Value, json};

use crate::{
    case::{Corpus, claims, header},
    random::Seeded,
    signer::{Signer, hmac256},
};

pub(crate) fn fill(corpus: &mut Corpus) {
    for algorithm in ["HS256", "RS256", "PS256", "ES256", "ES512", "EdDSA"] {
        members(corpus, algorithm);
        sets(corpus, algorithm);
    }
    shapes(corpus);
    weak(corpus);
}

/// The key, changed, alone in its set; and behind a good key of another `kid`.
fn with(corpus: &mut Corpus, class: &'static str, algorithm: &str, changes: Value) {
    let mut jwk = corpus.signer.jwk(algorithm);
    for (name, value) in changes.as_object().unwrap() {
        jwk[name] = value.clone();
    }
    let name = format!("{algorithm}, {changes}");
    alone(corpus, class, &name, &corpus.good(algorithm), &jwk);
}

fn without(corpus: &mut Corpus, class: &'static str, algorithm: &str, name: &str) {
    let mut jwk = corpus.signer.jwk(algorithm);
    jwk.as_object_mut().unwrap().remove(name);
    let token = corpus.good(algorithm);
    alone(corpus, class, &format!("{algorithm}, without {name}"), &token, &jwk);
}

fn alone(corpus: &mut Corpus, class: &'static str, name: &str, token: &str, jwk: &Value) {
    let set = json!({ "keys": [jwk] }).to_string();
    corpus.add_with_keys(class, name, token.to_owned(), set);
}

fn members(corpus: &mut Corpus, algorithm: &str) {
    for changes in
        [json!({"use": "sig"}), json!({"key_ops": ["verify"]}), json!({"unknown": {"a": 1}})]
    {
        with(corpus, "good", algorithm, changes);
    }
    for (class, changes) in [
        ("a key that also signs", json!({"key_ops": ["sign", "verify"]})),
        ("a key for encryption", json!({"use": "enc"})),
        ("a key of an unknown use", json!({"use": "SIG"})),
        ("a key of an unknown use", json!({"use": 1})),
        ("a key of an unknown use", json!({"use": null})),
        ("a key for other operations", json!({"key_ops": ["sign"]})),
        ("a key for other operations", json!({"key_ops": ["encrypt"]})),
        ("a key for other operations", json!({"key_ops": []})),
        ("key_ops is no array", json!({"key_ops": "verify"})),
        ("a key of an unknown type", json!({"kty": "PBE"})),
        ("a key of an unknown type", json!({"kty": algorithm})),
        ("a key of an unknown type", json!({"kty": 1})),
        ("a key of another algorithm", json!({"alg": "ES384"})),
        ("a key of another algorithm", json!({"alg": "RS512"})),
        ("a key of another algorithm", json!({"alg": "none"})),
        ("a key of another algorithm", json!({"alg": "dir"})),
        ("alg of a key is no string", json!({"alg": 1})),
        ("the kid of a key is another", json!({"kid": "x"})),
        ("the kid of a key is no string", json!({"kid": 1})),
        ("the kid of a key is no string", json!({"kid": null})),
        ("ext is no boolean", json!({"ext": "yes"})),
    ] {
        with(corpus, class, algorithm, changes);
    }
    without(corpus, "good", algorithm, "use");
    without(corpus, "a key without kty", algorithm, "kty");
    without(corpus, "a key without kid", algorithm, "kid");
    // Then the type of the key chooses, or the type's oldest algorithm.
    let class = if algorithm == "PS256" { "a PSS key without alg" } else { "a key without alg" };
    without(corpus, class, algorithm, "alg");
    let material = ["k", "n", "e", "x", "y", "crv"];
    let has = |name: &&str| corpus.signer.jwk(algorithm).get(*name).is_some();
    let material: Vec<&str> = material.into_iter().filter(has).collect();
    for name in material {
        without(corpus, "a key without material", algorithm, name);
        let value = corpus.signer.jwk(algorithm)[name].as_str().unwrap().to_owned();
        for (class, changed) in [
            ("other key material", json!("")),
            ("other key material", json!(1)),
            ("other key material", json!("AQ")),
            ("other key material", json!(value.chars().rev().collect::<String>())),
            ("key material with white space", json!(format!("{value}\n"))),
            ("padded key material", json!(format!("{value}="))),
        ] {
            if name != "crv" || class == "other key material" {
                with(corpus, class, algorithm, json!({ name: changed }));
            }
        }
    }
}

fn sets(corpus: &mut Corpus, algorithm: &str) {
    let good = corpus.good(algorithm);
    let key = corpus.signer.jwk(algorithm);
    let stranger = Signer::new(&mut Seeded(7), 1024);
    let other = if algorithm.contains('S') && key["kty"] == "RSA" { "ES256" } else { algorithm };
    let mut twin = stranger.jwk(other);
    for (class, bad) in [
        ("beside a key of an unknown type", json!({"kty": "PBE", "kid": "x"})),
        ("beside a key without kty", json!({"kid": "x"})),
        ("beside a key without material", json!({"kty": "EC", "crv": "P-256", "kid": "x"})),
        (
            "beside a key of an unknown curve",
            json!({"kty": "EC", "crv": "P-192", "x": "AA", "y": "AA"}),
        ),
        (
            "beside a key for encryption",
            json!({"kty": "oct", "k": "AAAA", "use": "enc", "kid": "x"}),
        ),
    ] {
        for keys in [json!([bad, key]), json!([key, bad])] {
            let set = json!({ "keys": keys }).to_string();
            corpus.add_with_keys(class, algorithm, good.clone(), set);
        }
    }
    if other == algorithm {
        for keys in [json!([twin, key]), json!([key, twin])] {
            let set = json!({ "keys": keys }).to_string();
            corpus.add_with_keys("two keys of one kid", algorithm, good.clone(), set);
        }
        let only = json!({ "keys": [twin] }).to_string();
        corpus.add_with_keys("the key of a stranger", algorithm, good.clone(), only);
        let token =
            corpus.signer.token(algorithm, header(algorithm, &[("kid", None)]), claims(&[]));
        twin["kid"] = json!("x");
        for keys in [json!([twin, key]), json!([key, twin])] {
            let set = json!({ "keys": keys }).to_string();
            corpus.add_with_keys("no kid, and two keys", algorithm, token.clone(), set);
        }
    }
}

fn shapes(corpus: &mut Corpus) {
    let good = corpus.good("ES256");
    let key = corpus.signer.jwk("ES256").to_string();
    let inner = key.trim_start_matches('{').trim_end_matches('}');
    for (class, set) in [
        ("a set without keys", "{\"keys\":[]}".to_owned()),
        ("not a set", "{}".into()),
        ("not a set", "[]".into()),
        ("not a set", "null".into()),
        ("not a set", String::new()),
        ("not a set", key.clone()),
        ("not a set", format!("[{key}]")),
        ("not a set", format!("{{\"keys\":{key}}}")),
        ("not a set", format!("{{\"keys\":[{key}]}}x")),
        ("not a set", format!("{{\"keys\":[{key},]}}")),
        ("a key that is no object", format!("{{\"keys\":[1,{key}]}}")),
        ("a key that is no object", format!("{{\"keys\":[{key},null]}}")),
        ("good", format!("{{\"keys\":[{key}],\"x\":1}}")),
        ("a member twice in a set", format!("{{\"keys\":[],\"keys\":[{key}]}}")),
        ("a member twice in a key", format!("{{\"keys\":[{{\"x\":\"AA\",{inner}}}]}}")),
        ("a member twice in a key", format!("{{\"keys\":[{{{inner},\"kid\":\"ES256\"}}]}}")),
        ("NaN in a set", format!("{{\"keys\":[{key}],\"x\":NaN}}")),
    ] {
        let name: String = set.chars().take(40).collect();
        corpus.add_with_keys(class, name, good.clone(), set);
    }
}

/// Keys that are there to be refused, and what they signed.
fn weak(corpus: &mut Corpus) {
    let small = Signer::new(&mut Seeded(9), 1024);
    for algorithm in ["RS256", "PS256"] {
        let token = small.token(algorithm, header(algorithm, &[]), claims(&[]));
        alone(corpus, "an RSA key of 1024 bits", algorithm, &token, &small.jwk(algorithm));
    }
    for (algorithm, private) in [("RS256", "d"), ("RS256", "p"), ("ES256", "d"), ("EdDSA", "d")] {
        let value = base64url([7; 32]);
        with(corpus, "a public key with a private member", algorithm, json!({ private: value }));
    }
    let (token, private) = (corpus.good("ES256"), corpus.signer.private_jwk());
    alone(corpus, "a private key", "ES256", &token, &private);
    let rsa = corpus.signer.jwk("RS256")["n"].as_str().unwrap().to_owned();
    // Whole groups of three bytes, so that base64url can be put in front.
    let padded = json!({ "n": format!("AAAA{rsa}") });
    with(corpus, "a modulus with leading zeros", "RS256", padded);
    with(corpus, "an exponent with leading zeros", "RS256", json!({"e": "AAEAAQ"}));
    for e in ["AQ", "AA", "Ag", "AQAA", "Aw"] {
        with(corpus, "other key material", "RS256", json!({ "e": e }));
    }
    for bytes in [0, 8, 16, 31] {
        let secret = vec![7; bytes];
        let text = format!("{}.{}", base64url(header("HS256", &[])), base64url(claims(&[])));
        let token = format!("{text}.{}", base64url(hmac256(&secret, text.as_bytes())));
        let jwk = json!({"kty": "oct", "kid": "HS256", "alg": "HS256", "k": base64url(&secret)});
        alone(corpus, "a short secret", &format!("{bytes} bytes"), &token, &jwk);
    }
    // The neutral element as key: R is neutral and S is 0 for every message.
    let neutral = [&[1][..], &[0; 31]].concat();
    let text = format!("{}.{}", base64url(header("EdDSA", &[])), base64url(claims(&[])));
    let token = format!("{text}.{}", base64url([&neutral[..], &[0; 32]].concat()));
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "EdDSA", "x": base64url(&neutral)});
    alone(corpus, "an Ed25519 key of small order", "the neutral element", &token, &jwk);
    let off = json!({"x": base64url([7; 32]), "y": base64url([9; 32])});
    with(corpus, "a point off the curve", "ES256", off);
    with(corpus, "a point off the curve", "ES256", json!({"y": corpus.signer.jwk("ES256")["x"]}));
    with(corpus, "another curve", "ES256", json!({"crv": "P-384"}));
    with(corpus, "another curve", "ES256", json!({"crv": "secp256k1"}));
    with(corpus, "another curve", "EdDSA", json!({"crv": "X25519"}));
    with(corpus, "another curve", "EdDSA", json!({"crv": "Ed448"}));
    for name in ["x", "y"] {
        let value = corpus.signer.jwk("ES256")[name].as_str().unwrap().to_owned();
        let padded = json!({ name: format!("AAAA{value}") });
        with(corpus, "a coordinate with leading zeros", "ES256", padded);
    }
}

//! Tokens: good ones, ones that a right key has signed and that are bad all the same, and what
//! becomes of them when somebody changes them.

use postern_tests::{ForgedKeys, Key, base64url, now};
use serde_json::{Value, json};

use super::{REMOTE_ISSUER, SECRET};
use crate::local_gate::ISSUER;
use crate::random::Random;

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const ALGORITHMS: [&str; 9] =
    ["none", "None", "HS256", "HS512", "RS256", "PS256", "ES256", "ES384", "EdDSA"];

/// A token that is valid for an hour.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) text: String,
    /// No two tokens have the same.
    pub(super) subject: String,
    /// Whether it has the scope `orders`.
    pub(super) scoped: bool,
}

/// All tokens of a run.
pub(super) struct Tokens {
    keys: [ForgedKeys; 2],
    pub(super) local: Vec<Token>,
    pub(super) remote: Vec<Token>,
    /// Signed, and to be refused everywhere.
    pub(super) bad: Vec<String>,
}

impl Tokens {
    pub(super) fn generate() -> Self {
        let keys = [ForgedKeys::generate().unwrap(), ForgedKeys::generate().unwrap()];
        let secret = [(Key::Hs256(SECRET), "HS256", "hs")];
        let pairs = [(Key::Es256, "ES256", "es"), (Key::Rs256, "RS256", "rs")];
        let edwards = [(Key::EdDsa, "EdDSA", "ed")];
        let of = |issuer: &str, keys: &ForgedKeys, algorithms: &[(Key<'_>, &str, &str)]| {
            let all = algorithms.iter().enumerate();
            all.flat_map(|(at, algorithm)| good(issuer, keys, *algorithm, at)).collect()
        };
        let public = [&pairs[..], &edwards].concat();
        let local = of(ISSUER, &keys[0], &[&public[..], &secret].concat());
        let remote = of(REMOTE_ISSUER, &keys[1], &public);
        let bad = bad(&keys[0], &keys[1]);
        Self { keys, local, remote, bad }
    }

    pub(super) fn local_keys(&self) -> Value {
        self.keys[0].jwks()
    }

    pub(super) fn remote_keys(&self) -> Value {
        self.keys[1].jwks()
    }

    /// Any token as it was signed.
    pub(super) fn any(&self, random: &mut Random) -> &str {
        match random.below(5) {
            0 | 1 => &random.pick(&self.local).text,
            2 => &random.pick(&self.remote).text,
            _ => random.pick::<String>(&self.bad),
        }
    }

    /// What somebody made of a token.
    pub(super) fn mutated(&self, random: &mut Random) -> Vec<u8> {
        let mut token = self.any(random).as_bytes().to_vec();
        for _ in 0..=random.below(2) {
            self.change(&mut token, random);
        }
        token.retain(|byte| !matches!(byte, b'\r' | b'\n'));
        token
    }

    fn change(&self, token: &mut Vec<u8>, random: &mut Random) {
        let at = random.below(token.len() + 1);
        match random.below(12) {
            0 => token.truncate(at),
            1 => token.insert(at, random.byte()),
            2 => token.insert(at, *random.pick(b"=.+/ \t%,;\"\0")),
            3 => drop(token.drain(at..).take(random.below(9)).count()),
            4 => token.extend(std::iter::repeat_n(b'A', random.below(20_000))),
            5 => *token = garbage(random),
            6 => respell(token, random),
            7 => edit(token, random, |part, random| {
                let other = self.any(random).split('.').nth(random.below(3));
                *part = other.unwrap_or_default().as_bytes().to_vec();
            }),
            8 => edit(token, random, |part, random| {
                let algorithm = random.pick(&ALGORITHMS);
                let header = format!(r#"{{"alg":"{algorithm}","kid":"es"}}"#);
                *part = base64url(header).into_bytes();
            }),
            9 => edit(token, random, |part, _| part.clear()),
            _ => flip(token, random),
        }
    }
}

fn flip(token: &mut [u8], random: &mut Random) {
    if !token.is_empty() {
        let at = random.below(token.len());
        token[at] ^= 1 << random.below(8);
    }
}

/// The same bytes to a decoder that ignores the bits behind the last whole byte.
fn respell(token: &mut Vec<u8>, random: &mut Random) {
    edit(token, random, |part, random| {
        let Some(last) = part.last_mut() else { return };
        let at = LETTERS.iter().position(|letter| letter == last).unwrap_or_default();
        *last = LETTERS[at ^ (1 << random.below(2))];
    });
}

fn garbage(random: &mut Random) -> Vec<u8> {
    (0..random.below(300)).map(|_| random.byte()).collect()
}

fn edit(token: &mut Vec<u8>, random: &mut Random, change: impl FnOnce(&mut Vec<u8>, &mut Random)) {
    let mut parts: Vec<Vec<u8>> = token.split(|byte| *byte == b'.').map(<[u8]>::to_vec).collect();
    let which = random.below(parts.len());
    change(&mut parts[which], random);
    *token = parts.join(&b'.');
}

fn claims(issuer: &str, subject: &str) -> Value {
    json!({
        "iss": issuer, "sub": subject, "aud": ["api", "other"], "iat": now(), "exp": now() + 3600,
    })
}

/// With every spelling of the header that is allowed.
fn good(
    issuer: &str,
    keys: &ForgedKeys,
    (key, algorithm, kid): (Key<'_>, &str, &str),
    at: usize,
) -> Vec<Token> {
    let headers = [
        json!({"alg": algorithm, "kid": kid, "typ": "at+jwt"}),
        json!({"alg": algorithm, "kid": kid, "typ": "JWT"}),
        json!({"alg": algorithm}),
    ];
    let signed = |(number, header): (usize, &Value)| {
        let subject = format!("{}-{at}-{number}", issuer.rsplit('/').next().unwrap());
        let mut claims = claims(issuer, &subject);
        let scoped = number == 0;
        claims["scope"] = json!(if scoped { "read orders" } else { "read" });
        let text = keys.sign(key, header.to_string(), claims.to_string());
        Token { text, subject, scoped }
    };
    headers.iter().enumerate().map(signed).collect()
}

fn bad(keys: &ForgedKeys, strangers: &ForgedKeys) -> Vec<String> {
    let es = json!({"alg": "ES256", "kid": "es"});
    let with = |member: &str, value: Value| {
        let mut claims = claims(ISSUER, "nobody");
        claims[member] = value;
        keys.sign(Key::Es256, es.to_string(), claims.to_string())
    };
    let under =
        |key: Key<'_>, header: &str| keys.sign(key, header, claims(ISSUER, "nobody").to_string());
    let good = claims(ISSUER, "nobody").to_string();
    let doubled = good.replacen('{', r#"{"sub":"admin","#, 1);
    let public = keys.jwks().to_string();
    vec![
        with("exp", json!(now() - 3600)),
        with("exp", json!("tomorrow")),
        with("exp", Value::Null),
        with("nbf", json!(now() + 3000)),
        with("iat", json!(-1)),
        with("aud", json!("else")),
        with("iss", json!("https://issuer.example/other")),
        with("iss", json!(REMOTE_ISSUER)),
        with("cnf", json!({"jkt": "x"})),
        with("padding", json!("x".repeat(13_000))),
        under(Key::Es256, r#"{"alg":"ES256","kid":"es","crit":["exp"],"exp":1}"#),
        under(Key::Es256, r#"{"alg":"ES256","alg":"ES256","kid":"es"}"#),
        under(Key::Es256, r#"{"alg":"ES256","kid":"es","typ":"dpop+jwt"}"#),
        under(Key::Es256, r#"{"alg":"ES256","kid":"es","cty":"JWT"}"#),
        under(Key::Es256, r#"{"alg":"ES256","kid":"es","b64":false,"crit":["b64"]}"#),
        under(Key::Es256, r#"{"alg":"ES256","kid":"rs"}"#),
        under(Key::Es256, r#"{"alg":"RS256","kid":"es"}"#),
        under(Key::Es256, r#"{"alg":"ES256","kid":"unknown"}"#),
        under(Key::Bytes(b""), r#"{"alg":"none"}"#),
        under(Key::Bytes(&[0; 64]), r#"{"alg":"ES256","kid":"es"}"#),
        under(Key::Hs256(&keys.es_point()), r#"{"alg":"HS256","kid":"es"}"#),
        under(Key::Hs256(public.as_bytes()), r#"{"alg":"HS256","kid":"rs"}"#),
        under(Key::Hs256(b""), r#"{"alg":"HS256","kid":"hs"}"#),
        keys.sign(Key::Es256, es.to_string(), doubled),
        keys.sign(Key::Es256, es.to_string(), "[]"),
        strangers.sign(Key::Es256, es.to_string(), &good),
        strangers.sign(Key::EdDsa, r#"{"alg":"EdDSA","kid":"ed"}"#, &good),
        strangers.sign(Key::Rs256, r#"{"alg":"RS256","kid":"rs"}"#, &good),
    ]
}

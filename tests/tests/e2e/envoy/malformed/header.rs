//! The header: algorithms, types, extensions, keys that it names.

use postern_tests::{ForgedKeys, Key, base64url};
use serde_json::json;

use super::Table;
use crate::local_gate::claims as good_claims;

pub(super) fn fill(table: &mut Table<'_>) {
    algorithms(table);
    unsigned(table);
    public_key_as_secret(table);
    extensions(table);
    key_ids(table);
    shapes(table);
}

fn algorithms(table: &mut Table<'_>) {
    for algorithm in ["es256", "ES256 ", "ES256K", "ES521", "RSA-OAEP", "", "EdDSA2"] {
        let header = json!({ "alg": algorithm, "kid": "es" }).to_string();
        table.header(header, "algorithm_unsupported");
    }
    for algorithm in ["ES384", "PS256", "RS512", "Ed25519"] {
        let header = format!(r#"{{"alg":"{algorithm}","kid":"es"}}"#);
        table.header(&header, "algorithm_mismatch");
    }
    for algorithm in ["HS256", "HS384", "HS512"] {
        let header = format!(r#"{{"alg":"{algorithm}","kid":"es"}}"#);
        table.header(&header, "algorithm_not_allowed");
    }
    table.header(r#"{"alg":"RS256","kid":"es"}"#, "algorithm_mismatch");
    table.header(r#"{"alg":"EdDSA","kid":"es"}"#, "algorithm_mismatch");
    table.header(r#"{"alg":"ES256","kid":"rs"}"#, "algorithm_mismatch");
    let claims = good_claims().to_string();
    let header = r#"{"alg":"ES256","kid":"rs","x":1}"#;
    let token = table.keys.sign(Key::Rs256, header, &claims);
    table.raw("signed by the key `rs`, but calls it ES256", token, "algorithm_mismatch");
    table.header(r#"{"kid":"es"}"#, "header_malformed");
    table.header(r#"{"alg":null,"kid":"es"}"#, "header_malformed");
    table.header(r#"{"alg":["ES256"],"kid":"es"}"#, "header_malformed");
}

fn unsigned(table: &mut Table<'_>) {
    let claims = good_claims().to_string();
    for none in ["none", "None", "NONE", "nOnE", "none ", "n\u{43e}ne"] {
        let header = json!({ "alg": none, "kid": "es" }).to_string();
        let token = table.keys.sign(Key::Bytes(b""), &header, &claims);
        table.raw(&format!("alg {none}, no signature"), token, "algorithm_unsupported");
        table.header(&header, "algorithm_unsupported");
    }
    let header = base64url(r#"{"alg":"none"}"#);
    let token = format!("{header}.{}", base64url(&claims));
    table.raw("alg none, two parts", token, "token_malformed");
}

/// The old confusion: a public key is no secret, so it must not work as one.
fn public_key_as_secret(table: &mut Table<'_>) {
    let point = table.keys.es_point();
    let jwk = table.keys.jwk("es").to_string();
    let jwks = table.keys.jwks().to_string();
    let pem = pem_of(&point);
    let secrets: [&[u8]; 5] =
        [&point, &point[1..], jwk.as_bytes(), jwks.as_bytes(), pem.as_bytes()];
    for (index, secret) in secrets.into_iter().enumerate() {
        let header = format!(r#"{{"alg":"HS256","kid":"es","n":{index}}}"#);
        let claims = good_claims().to_string();
        let token = table.keys.sign(Key::Hs256(secret), header, claims);
        table.raw(&format!("HS256 by the public key, {index}"), token, "algorithm_not_allowed");
    }
}

/// The key as `SubjectPublicKeyInfo`, as servers keep it in a file.
fn pem_of(point: &[u8]) -> String {
    use base64ct::{Base64, Encoding};
    const PREFIX: [u8; 26] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
        0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ];
    let body = Base64::encode_string(&[&PREFIX, point].concat());
    let (first, second) = body.split_at(64);
    format!("-----BEGIN PUBLIC KEY-----\n{first}\n{second}\n-----END PUBLIC KEY-----\n")
}

fn extensions(table: &mut Table<'_>) {
    for header in [
        r#"{"alg":"ES256","kid":"es","crit":["exp"],"exp":1}"#,
        r#"{"alg":"ES256","kid":"es","crit":[]}"#,
        r#"{"alg":"ES256","kid":"es","crit":null}"#,
        r#"{"alg":"ES256","kid":"es","crit":["b64"],"b64":false}"#,
        r#"{"alg":"ES256","kid":"es","b64":false}"#,
        r#"{"alg":"ES256","kid":"es","b64":true}"#,
    ] {
        table.header(header, "critical_header");
    }
    for content in ["JWT", "jwt", "application/jwt"] {
        let header = json!({ "alg": "ES256", "kid": "es", "cty": content }).to_string();
        table.header(header, "nested_token");
    }
    for kind in ["dpop+jwt", "secevent+jwt", "JOSE", "logout+jwt", "", " JWT"] {
        let header = json!({ "alg": "ES256", "kid": "es", "typ": kind }).to_string();
        table.header(header, "type_not_allowed");
    }
    table.header(r#"{"alg":"ES256","kid":"es","typ":1}"#, "header_malformed");
}

/// The key is the policy's to choose; a token's own key, or a place to fetch one, is ignored.
fn key_ids(table: &mut Table<'_>) {
    for id in ["unknown", "ES", "es ", "", "../es", "es\u{0}", "' OR 1=1 --"] {
        table.header(json!({ "alg": "ES256", "kid": id }).to_string(), "key_unknown");
    }
    table.header(r#"{"alg":"ES256","kid":7}"#, "header_malformed");
    let stranger = ForgedKeys::generate().unwrap();
    let claims = good_claims().to_string();
    let own_key = json!({ "alg": "ES256", "kid": "es", "jwk": stranger.jwk("es") });
    let token = stranger.sign(Key::Es256, own_key.to_string(), &claims);
    table.raw("brings its own jwk", token, "signature_invalid");
    for place in ["jku", "x5u"] {
        let header = json!({ "alg": "ES256", "kid": "es", place: "http://127.0.0.1:1/keys" });
        let token = stranger.sign(Key::Es256, header.to_string(), &claims);
        table.raw(&format!("names its own {place}"), token, "signature_invalid");
    }
    let token = stranger.sign(Key::Es256, r#"{"alg":"ES256","kid":"theirs"}"#, &claims);
    table.raw("a stranger's key", token, "key_unknown");
}

fn shapes(table: &mut Table<'_>) {
    for header in [
        r#"{"alg":"none","alg":"ES256","kid":"es"}"#,
        r#"{"alg":"ES256","kid":"es","kid":"es"}"#,
        r#"{"alg":"ES256","\u0061lg":"ES256","kid":"es"}"#,
        r#"{"alg":"ES256","kid":"es","jwk":{"k":1,"k":2}}"#,
    ] {
        table.header(header, "duplicate_member");
    }
    for header in [
        r#"["ES256"]"#,
        r#""ES256""#,
        "null",
        "7",
        "{",
        r#"{"alg":"ES256","kid":"es"}{}"#,
        r#"{"alg":"ES256","kid":"es",}"#,
        r"{'alg':'ES256'}",
        r#"{"alg":"ES256"} //"#,
    ] {
        table.header(header, "header_malformed");
    }
    table.header(b"{\"alg\":\"ES256\",\"kid\":\"e\xff\"}", "header_malformed");
    table.header("\u{feff}{\"alg\":\"ES256\",\"kid\":\"es\"}", "header_malformed");
}

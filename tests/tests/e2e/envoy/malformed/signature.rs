//! The signature: of another text, cut, bent, or in another form.

use postern_tests::{ForgedKeys, Key, base64url};
use serde_json::json;

use super::Table;
use crate::local_gate::{HEADER, claims as good_claims};

const INVALID: &str = "signature_invalid";

pub(super) fn fill(table: &mut Table<'_>) {
    bent(table);
    other_text(table);
    other_forms(table);
}

fn bent(table: &mut Table<'_>) {
    let claims = good_claims().to_string();
    let message = format!("{}.{}", base64url(HEADER), base64url(&claims));
    for (key, header) in [
        (Key::Es256, HEADER),
        (Key::Rs256, r#"{"alg":"RS256","kid":"rs"}"#),
        (Key::EdDsa, r#"{"alg":"EdDSA","kid":"ed"}"#),
    ] {
        let message = format!("{}.{}", base64url(header), base64url(&claims));
        let good = table.keys.signature(key, message.as_bytes());
        for at in [0, good.len() / 2, good.len() - 1] {
            let mut signature = good.clone();
            signature[at] ^= 1;
            let token = table.keys.sign(Key::Bytes(&signature), header, &claims);
            table.raw(&format!("{key:?}, a bit of byte {at} flipped"), token, INVALID);
        }
        for length in [1, good.len() / 2, good.len() - 1] {
            let token = table.keys.sign(Key::Bytes(&good[..length]), header, &claims);
            table.raw(&format!("{key:?}, cut to {length} bytes"), token, INVALID);
        }
        let longer = [good.as_slice(), &[0]].concat();
        let token = table.keys.sign(Key::Bytes(&longer), header, &claims);
        table.raw(&format!("{key:?}, a byte longer"), token, INVALID);
    }
    let swapped = table.keys.signature(Key::Es256, message.as_bytes());
    let (r, s) = swapped.split_at(32);
    let token = table.keys.sign(Key::Bytes(&[s, r].concat()), HEADER, &claims);
    table.raw("r and s swapped", token, INVALID);
}

/// A genuine signature under claims, or a header, that it was not made for.
fn other_text(table: &mut Table<'_>) {
    let token = table.keys.sign(Key::Es256, HEADER, good_claims().to_string());
    let signature = token.rsplit('.').next().unwrap();
    let mut claims = good_claims();
    claims["sub"] = json!("admin");
    let changed = format!("{}.{}.{signature}", base64url(HEADER), base64url(claims.to_string()));
    table.raw("other claims", changed, INVALID);
    let header = r#"{"alg":"ES256","kid":"es","typ":"JWT"}"#;
    let claims = good_claims().to_string();
    let changed = format!("{}.{}.{signature}", base64url(header), base64url(claims));
    table.raw("another header", changed, INVALID);
    let stranger = ForgedKeys::generate().unwrap();
    let token = stranger.sign(Key::Es256, HEADER, good_claims().to_string());
    table.raw("a stranger's signature under our kid", token, INVALID);
}

fn other_forms(table: &mut Table<'_>) {
    let claims = good_claims().to_string();
    let zeros = table.keys.sign(Key::Bytes(&[0; 64]), HEADER, &claims);
    table.raw("r and s are zero", zeros, INVALID);
    let ones = table.keys.sign(Key::Bytes(&[0xff; 64]), HEADER, &claims);
    table.raw("r and s are over the order", ones, INVALID);
    let message = format!("{}.{}", base64url(HEADER), base64url(&claims));
    let der = der_of(&table.keys.signature(Key::Es256, message.as_bytes()));
    let token = table.keys.sign(Key::Bytes(&der), HEADER, &claims);
    table.raw("DER instead of r and s", token, INVALID);
    let zeros = table.keys.sign(Key::Bytes(&[0; 256]), r#"{"alg":"RS256","kid":"rs"}"#, &claims);
    table.raw("an RSA signature of zeros", zeros, INVALID);
    let zeros = table.keys.sign(Key::Bytes(&[0; 64]), r#"{"alg":"EdDSA","kid":"ed"}"#, &claims);
    table.raw("an EdDSA signature of zeros", zeros, INVALID);
}

/// The form that most crypto libraries give, and JWS forbids.
fn der_of(signature: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let padding: &[u8] = if bytes[0] & 0x80 == 0 { &[] } else { &[0] };
        let length = u8::try_from(bytes.len() + padding.len()).unwrap();
        [&[2, length], padding, bytes].concat()
    };
    let (r, s) = signature.split_at(32);
    let body = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(body.len()).unwrap()], body.as_slice()].concat()
}

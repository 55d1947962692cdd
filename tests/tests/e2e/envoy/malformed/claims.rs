//! The claims: times, audience, issuer, and JSON that two readers could read differently.

use postern_tests::now;
use serde_json::{Value, json};

use super::Table;
use crate::local_gate::{ISSUER, claims as good_claims};

pub(super) fn fill(table: &mut Table<'_>) {
    times(table);
    parties(table);
    shapes(table);
    table.claim("cnf", Some(json!({ "jkt": "thumbprint" })), "key_binding_required");
    table.claim("cnf", Some(Value::Null), "key_binding_required");
}

fn times(table: &mut Table<'_>) {
    table.claim("exp", None, "expiration_missing");
    for expired in [json!(now() - 3600), json!(0), json!(1.5), json!(1)] {
        table.claim("exp", Some(expired), "token_expired");
    }
    table.claim("nbf", Some(json!(now() + 3600)), "token_not_yet_valid");
    table.claim("nbf", Some(json!(1e18)), "token_not_yet_valid");
    for name in ["exp", "nbf", "iat"] {
        let text = (now() + 300).to_string();
        for value in [json!(text), json!(-1), json!(null), json!(true), json!([1]), json!({})] {
            table.claim(name, Some(value), "time_claim_invalid");
        }
    }
    // Infinite in floating point: no JSON reader of ours makes a number of it.
    let infinite = good_claims().to_string().replace("\"exp\":", "\"exp\":1e999,\"old\":");
    table.claims(infinite, "claims_malformed");
    let not_a_number = good_claims().to_string().replace("\"exp\":", "\"exp\":NaN,\"old\":");
    table.claims(not_a_number, "claims_malformed");
}

fn parties(table: &mut Table<'_>) {
    for other in [json!("other"), json!("api2"), json!("API"), json!(""), json!([]), json!(["x"])] {
        table.claim("aud", Some(other), "audience_mismatch");
    }
    table.claim("aud", None, "audience_mismatch");
    for kind in [json!(7), json!({ "api": 1 }), json!(["api", 7]), json!(null)] {
        table.claim("aud", Some(kind), "claims_malformed");
    }
    let slash = format!("{ISSUER}/");
    let above = ISSUER.trim_end_matches("/api");
    for other in [json!("https://other.example"), json!(slash), json!(above), json!([ISSUER])] {
        table.claim("iss", Some(other), "issuer_unknown");
    }
    table.claim("iss", None, "issuer_unknown");
    table.claim("sub", Some(json!(7)), "claims_malformed");
}

fn shapes(table: &mut Table<'_>) {
    let good = good_claims().to_string();
    let with = |members: &str| format!("{{{members},{}", good.trim_start_matches('{'));
    for twice in [
        r#""sub":"admin""#,
        r#""\u0073ub":"admin""#,
        r#""x":{"role":"user","role":"admin"}"#,
        r#""x":[{"a":1,"a":1}]"#,
        r#""x":{"y":{"z":1,"\u007a":2}}"#,
    ] {
        table.claims(with(twice), "duplicate_member");
    }
    for other in ["[]", "\"text\"", "7", "null", "", "{", "{}{}"] {
        table.claims(other, "claims_malformed");
    }
    table.claims(format!("{good} x"), "claims_malformed");
    table.claims(format!("\u{feff}{good}"), "claims_malformed");
    table.claims(with(r#""x":"\ud800""#), "claims_malformed");
    table
        .claims(with(&format!("\"x\":{}{}", "[".repeat(500), "]".repeat(500))), "claims_malformed");
    let mut bytes = with(r#""x":"?""#).into_bytes();
    let mark = bytes.iter().position(|byte| *byte == b'?').unwrap();
    bytes[mark] = 0xff;
    table.claims(bytes, "claims_malformed");
}

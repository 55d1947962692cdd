//! Key sets that stand in the input itself. They may hold secrets: nothing of them is told.

use std::collections::BTreeSet;

use serde_json::Value;

/// What `algorithms` of a provider has to name so that the keys of this set can be used: an HMAC
/// has to be named, and then all others too. `None` where the default will do.
pub(super) fn algorithms(document: &str) -> Option<Vec<String>> {
    let document: Value = serde_json::from_str(document).ok()?;
    let keys = document.get("keys")?.as_array()?;
    if !keys.iter().any(|key| member(key, "kty") == Some("oct")) {
        return None;
    }
    let names: BTreeSet<&str> = keys.iter().filter_map(algorithm).collect();
    Some(names.into_iter().map(str::to_owned).collect())
}

/// The `alg` of a key, or the one that its type stands for.
fn algorithm(key: &Value) -> Option<&str> {
    let default = match (member(key, "kty")?, member(key, "crv")) {
        ("oct", _) => "HS256",
        ("RSA", _) => "RS256",
        ("EC", Some("P-256")) => "ES256",
        ("EC", Some("P-384")) => "ES384",
        ("EC", Some("P-521")) => "ES512",
        ("OKP", _) => "EdDSA",
        _ => return None,
    };
    Some(member(key, "alg").unwrap_or(default))
}

fn member<'a>(key: &'a Value, name: &str) -> Option<&'a str> {
    key.get(name)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_secrets_need_names() {
        let set = r#"{"keys": [{"kty": "RSA"}, {"kty": "EC", "crv": "P-256"}]}"#;
        assert_eq!(algorithms(set), None);
        let set = r#"{"keys": [{"kty": "oct", "alg": "HS512"}, {"kty": "oct"}, {"kty": "RSA"}]}"#;
        assert_eq!(algorithms(set).unwrap(), ["HS256", "HS512", "RS256"]);
        assert_eq!(algorithms("not JSON"), None);
    }
}

//! Several credentials in one document: an edge of several issuers has one from each, and while one takes
//! the place of another, both: of those that cover an issuer, the last one counts.

use serde_json::Value;
use zeroize::Zeroizing;

use super::{CredentialError, EdgeCredential};
use crate::json;

impl EdgeCredential {
    /// Reads one credential, as [`EdgeCredential::parse`], or a JSON array of them.
    ///
    /// # Errors
    ///
    /// [`CredentialError`] names the member that is missing or cannot be used, such as `[1].keys`.
    pub fn parse_all(document: &[u8]) -> Result<Vec<Self>, CredentialError> {
        if !document.trim_ascii_start().starts_with(b"[") {
            return Ok(vec![Self::parse(document)?]);
        }
        let parsed = json::Wiped(json::parse(document).unwrap_or_default());
        let Value::Array(documents) = &parsed.0 else {
            let reason = "it is not a JSON array of objects with distinct members".to_owned();
            return Err(CredentialError { member: String::new(), reason });
        };
        let parse = |(index, document): (usize, &Value)| {
            let text = Zeroizing::new(document.to_string());
            Self::parse(text.as_bytes()).map_err(|error| {
                let member = match error.member.as_str() {
                    "" => format!("[{index}]"),
                    member => format!("[{index}].{member}"),
                };
                CredentialError { member, ..error }
            })
        };
        documents.iter().enumerate().map(parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::edge::forged::credential_document;

    #[test]
    fn one_or_several_are_read_and_a_bad_one_is_named_by_its_place() {
        let read = |document: &Value| EdgeCredential::parse_all(document.to_string().as_bytes());
        let named = |document: &Value| read(document).unwrap_err().member;
        let (shop, blog) =
            (credential_document(&["https://a/shop"]), credential_document(&["https://a/blog"]));
        assert_eq!(read(&shop).unwrap().len(), 1);
        let both = read(&json!([shop, blog])).unwrap();
        assert!(both[0].covers("https://a/shop") && both[1].covers("https://a/blog"));
        assert!(read(&json!([])).unwrap().is_empty());
        let mut bad = blog;
        bad["keys"][1]["d"] = json!("AAAA");
        assert_eq!(named(&bad), "keys[1].d");
        assert_eq!(named(&json!([shop, bad])), "[1].keys[1].d");
        assert_eq!(named(&json!([shop, 7])), "[1]");
        assert_eq!(EdgeCredential::parse_all(b"[{},").unwrap_err().member, "");
    }
}

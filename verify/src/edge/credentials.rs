//! Several credentials in one document: an edge of several issuers has one from each.

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
        let Ok(Value::Array(documents)) = json::parse(document) else {
            let reason = "it is not a JSON array of objects with distinct members".to_owned();
            return Err(CredentialError { member: String::new(), reason });
        };
        let parse = |(index, document): (usize, Value)| {
            let text = Zeroizing::new(document.to_string());
            Self::parse(text.as_bytes()).map_err(|error| {
                let member = match error.member.as_str() {
                    "" => format!("[{index}]"),
                    member => format!("[{index}].{member}"),
                };
                CredentialError { member, ..error }
            })
        };
        documents.into_iter().enumerate().map(parse).collect()
    }
}

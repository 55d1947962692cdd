//! What the enrolments of an edge printed, as a secret of the host has it.

use postern_verify::{CredentialError, EdgeCredential};
use serde_json::value::RawValue;

/// Reads one credential of an edge, or a JSON array of several.
///
/// # Errors
///
/// [`CredentialError`] names the member that is missing or cannot be used, such as `keys[0].d`, and of
/// several credentials `[1].keys[0].d`. It never quotes anything.
pub fn edge_credentials(text: &str) -> Result<Vec<EdgeCredential>, CredentialError> {
    let text = text.trim();
    if !text.starts_with('[') {
        return Ok(vec![EdgeCredential::parse(text.as_bytes())?]);
    }
    // serde's own words might quote the document.
    let documents: Vec<&RawValue> =
        serde_json::from_str(text).map_err(|_| whole("it is neither JSON nor an array of it"))?;
    if documents.is_empty() {
        return Err(whole("it holds no credential"));
    }
    let credentials = documents.iter().enumerate().map(|(index, document)| {
        EdgeCredential::parse(document.get().as_bytes()).map_err(|error| {
            let member = format!("[{index}].{}", error.member);
            CredentialError { member: member.trim_end_matches('.').to_owned(), ..error }
        })
    });
    credentials.collect()
}

fn whole(reason: &str) -> CredentialError {
    CredentialError { member: String::new(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(text: &str) -> String {
        edge_credentials(text).unwrap_err().member
    }

    #[test]
    fn what_is_wrong_is_named_and_never_quoted() {
        assert_eq!(member(r#"[{"edge": "hidden"}, 1]"#).split('.').next(), Some("[0]"));
        for text in ["", "[]", "[", "hidden", r#"{"hidden": 1}"#, r#"[{"hidden": 1}]"#, "[hidden]"]
        {
            let error = edge_credentials(text).unwrap_err();
            assert!(!error.to_string().contains("hidden"), "{text}: {error}");
        }
    }
}

//! `postern policy import`: an Envoy `jwt_authn` configuration, or Istio's `RequestAuthentication`
//! and `AuthorizationPolicy`, as a Postern policy.
//!
//! The policy lets in what the input lets in, or less. What cannot be said is left out and told;
//! where leaving it out would let in more, the rule around it is closed: it denies.

mod check;
mod document;
mod duration;
mod envoy;
mod istio;
mod jwks;
mod members;
mod notes;
mod policy;

use std::path::Path;

use serde_json::Value;

use self::members::Node;
pub(crate) use self::{document::MAX_INPUT_BYTES, notes::Notes};

/// A policy, and what there is to tell about it.
#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) policy: Value,
    pub(crate) notes: Notes,
}

/// What makes an import impossible: the place in the input, and why.
#[derive(Debug, thiserror::Error)]
#[error("{place}{}{reason}", if place.is_empty() { "" } else { ": " })]
pub(crate) struct ImportError {
    place: String,
    reason: String,
}

impl ImportError {
    fn new(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { place: place.into(), reason: reason.into() }
    }
}

/// Reads a key set that the input names as a file.
pub(crate) type ReadFile<'a> = dyn Fn(&Path) -> std::io::Result<String> + 'a;

/// Turns the text of a configuration into a policy. `filter` chooses among several `jwt_authn`
/// filters, counted from 1.
///
/// # Errors
///
/// [`ImportError`] where the input cannot be read, or nothing in it can be carried safely.
pub(crate) fn import(
    text: &str,
    filter: Option<usize>,
    read_file: &ReadFile<'_>,
) -> Result<Import, ImportError> {
    let documents = document::parse(text)?;
    let mut notes = Notes::default();
    let resources = istio::resources(&documents)?;
    let policy = if resources.is_empty() {
        let filter = envoy::find(&documents, filter, &mut notes)?;
        envoy::policy(&filter, read_file, &mut notes)?
    } else {
        istio::policy(&resources, &mut notes)?
    };
    match check::policy(&policy) {
        None => Ok(Import { policy, notes }),
        Some(error) => {
            Err(ImportError::new("", format!("the policy that came out cannot be used: {error}")))
        }
    }
}

/// A document's place: documents are only numbered where there are several.
fn document_place(documents: &[Value], index: usize) -> String {
    if documents.len() == 1 { String::new() } else { format!("documents[{index}]") }
}

fn nodes(documents: &[Value]) -> impl Iterator<Item = Node<'_>> {
    let node = |(index, value)| Node::new(document_place(documents, index), value);
    documents.iter().enumerate().map(node)
}

#[cfg(test)]
mod tests;

//! JWK Sets (RFC 7517 §5): from a document to the keys that can check a signature.

use std::fmt;

use serde_json::Value;

use crate::{
    algorithm::Algorithm,
    json,
    jwk::{self, KeyKinds},
    signature::VerifyingKey,
};

/// Largest JWK Set document that is read, in bytes.
pub const MAX_JWK_SET_BYTES: usize = 256 * 1024;
/// Most keys that a document may hold.
const MAX_KEYS: usize = 256;
/// How much of a `kid` a message shows.
const SHOWN_KEY_ID_CHARS: usize = 48;

/// The usable keys of a JWK Set, and what was left out.
#[derive(Debug, Clone)]
pub struct JwkSet {
    keys: Vec<Key>,
    skipped: Vec<SkippedKey>,
}

/// One usable key. Its algorithm is its own; a token cannot choose another.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) id: Option<String>,
    pub(crate) verifying: VerifyingKey,
}

/// A key that was left out of a [`JwkSet`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedKey {
    /// Place in the document's `keys` array, from 0.
    pub index: usize,
    /// The key's `kid`, if it has one.
    pub key_id: Option<String>,
    /// Why it cannot be used. Never quotes key material.
    pub reason: &'static str,
}

/// Why a document is not a JWK Set.
#[derive(Debug)]
#[non_exhaustive]
pub enum JwkSetError {
    /// Longer than [`MAX_JWK_SET_BYTES`].
    TooLarge {
        /// Length of the document, in bytes.
        bytes: usize,
    },
    /// Not strict JSON: malformed, or an object names a member twice.
    NotJson {
        /// What the parser says; places only, no content.
        message: String,
    },
    /// No object with a `keys` array of objects (RFC 7517 §5).
    NotAJwkSet,
    /// More keys than a set may hold (256).
    TooManyKeys,
}

impl JwkSet {
    /// Parses a JWK Set document. Keys that cannot be used are left out and listed by
    /// [`JwkSet::skipped`]. A set without any usable key is valid: it withdraws all others.
    ///
    /// # Errors
    ///
    /// [`JwkSetError`] where the document is no JWK Set.
    pub fn parse(document: &[u8], kinds: KeyKinds) -> Result<Self, JwkSetError> {
        let mut set = Self { keys: Vec::new(), skipped: Vec::new() };
        // They may be secrets.
        let values = json::Wiped(Value::Array(key_values(document)?));
        for (index, value) in values.0.as_array().into_iter().flatten().enumerate() {
            let members = value.as_object().ok_or(JwkSetError::NotAJwkSet)?;
            let key_id = members.get("kid").and_then(Value::as_str).map(str::to_owned);
            match jwk::parse(members, kinds) {
                Ok(verifying) => set.keys.push(Key { id: key_id, verifying }),
                Err(reason) => set.skipped.push(SkippedKey { index, key_id, reason }),
            }
        }
        Ok(set)
    }

    /// The keys that were left out, and why.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }

    /// Number of usable keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key is usable.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether a usable key has this `kid`.
    #[must_use]
    pub fn contains(&self, key_id: &str) -> bool {
        self.keys.iter().any(|key| key.id.as_deref() == Some(key_id))
    }

    /// Whether any usable key has no `kid`.
    pub(crate) fn has_unnamed(&self) -> bool {
        self.keys.iter().any(|key| key.id.is_none())
    }

    /// The algorithms of the usable keys.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.keys.iter().map(|key| key.verifying.algorithm())
    }

    /// The keys that a token with this `kid` may mean. A token without `kid` may mean any key.
    pub(crate) fn candidates<'a>(
        &'a self,
        key_id: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Key> {
        self.keys.iter().filter(move |key| key_id.is_none() || key.id.as_deref() == key_id)
    }
}

fn key_values(document: &[u8]) -> Result<Vec<Value>, JwkSetError> {
    if document.len() > MAX_JWK_SET_BYTES {
        return Err(JwkSetError::TooLarge { bytes: document.len() });
    }
    let members = json::parse_object(document)
        .map_err(|error| JwkSetError::NotJson { message: error.to_string() })?
        .ok_or(JwkSetError::NotAJwkSet)?;
    let Some(Value::Array(keys)) = members.get("keys") else {
        return Err(JwkSetError::NotAJwkSet);
    };
    if keys.len() > MAX_KEYS {
        return Err(JwkSetError::TooManyKeys);
    }
    Ok(keys.clone())
}

impl fmt::Display for SkippedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "keys[{}]", self.index)?;
        if let Some(key_id) = &self.key_id {
            // The document is a stranger's text, and this one goes into a log.
            let shown = key_id.chars().take(SHOWN_KEY_ID_CHARS).flat_map(char::escape_debug);
            write!(formatter, " (`{}`)", shown.collect::<String>())?;
        }
        write!(formatter, ": {}", self.reason)
    }
}

impl fmt::Display for JwkSetError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes } => {
                write!(formatter, "the JWK Set has {bytes} bytes, at most {MAX_JWK_SET_BYTES}")
            }
            Self::NotJson { message } => write!(formatter, "the JWK Set is not JSON: {message}"),
            Self::NotAJwkSet => formatter.write_str("a JWK Set is an object with an array `keys`"),
            Self::TooManyKeys => write!(formatter, "the JWK Set has more than {MAX_KEYS} keys"),
        }
    }
}

impl std::error::Error for JwkSetError {}

#[cfg(test)]
mod tests;

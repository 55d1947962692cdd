//! What a secret's value may be: a key set, or what a template puts there before there is one.

use serde::{Deserialize, Deserializer, de::IgnoredAny};
use zeroize::Zeroizing;

use crate::{key::SigningAlgorithm, key_set::KeySet, store::StoreError};

const DAMAGED: StoreError = StoreError::Damaged("key set");

/// The value of one version of a secret.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Document {
    /// A key set.
    KeySet(Box<KeySet>),
    /// A JSON object with no member of one: the first key set goes in its place, with keys for `algorithm`.
    Placeholder { algorithm: SigningAlgorithm },
}

/// What tells the two apart.
#[derive(Deserialize)]
struct Outline {
    #[serde(default)]
    generation: Present,
    #[serde(default)]
    next: Present,
    #[serde(default)]
    current: Present,
    #[serde(default)]
    previous: Present,
    algorithm: Option<SigningAlgorithm>,
}

/// Whether a member is there, be it `null`.
#[derive(Default)]
struct Present(bool);

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self(true))
    }
}

impl Outline {
    /// One that is cut or damaged is one, too: nothing may take its place.
    fn is_key_set(&self) -> bool {
        [&self.generation, &self.next, &self.current, &self.previous].iter().any(|member| member.0)
    }
}

impl Document {
    pub(super) fn parse(text: &str) -> Result<Self, StoreError> {
        let outline: Outline = serde_json::from_str(text).map_err(|_| DAMAGED)?;
        if outline.is_key_set() {
            return serde_json::from_str(text).map(Self::KeySet).map_err(|_| DAMAGED);
        }
        let [default, ..] = SigningAlgorithm::ALL;
        Ok(Self::Placeholder { algorithm: outline.algorithm.unwrap_or(default) })
    }
}

pub(super) fn text(key_set: &KeySet) -> Result<Zeroizing<String>, StoreError> {
    serde_json::to_string(key_set).map(Zeroizing::new).map_err(|_| DAMAGED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn a_key_set_survives() {
        let key_set = KeySet::generate(SigningAlgorithm::EdDsa, Timestamp(1)).unwrap();
        let stored = text(&key_set).unwrap();
        assert_eq!(Document::parse(&stored).unwrap(), Document::KeySet(Box::new(key_set)));
    }

    #[test]
    fn an_object_that_is_no_key_set_holds_the_place_of_one() {
        let algorithm = |text| match Document::parse(text) {
            Ok(Document::Placeholder { algorithm }) => Some(algorithm),
            _ => None,
        };
        assert_eq!(algorithm("{}"), Some(SigningAlgorithm::Es256));
        assert_eq!(algorithm(r#"{"algorithm": "RS256"}"#), Some(SigningAlgorithm::Rs256));
        assert_eq!(algorithm(r#"{"note": "by the template"}"#), Some(SigningAlgorithm::Es256));
    }

    #[test]
    fn everything_else_is_damaged_and_not_shown() {
        let cut = r#"{"generation": 1, "next": "hunter2"}"#;
        let members = [
            r#"{"generation": null}"#,
            r#"{"next": {}}"#,
            r#"{"current": null}"#,
            r#"{"previous": []}"#,
        ];
        let others = ["", "hunter2", "[]", "\"hunter2\"", r#"{"algorithm": "none"}"#, cut];
        for text in others.into_iter().chain(members) {
            let refused = Document::parse(text).unwrap_err();
            assert_eq!(refused.to_string(), "stored key set is damaged", "{text}");
        }
    }
}

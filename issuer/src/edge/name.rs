//! What an operator calls an edge.

use std::{fmt, str::FromStr};

const MAX_BYTES: usize = 63;

/// The name of an edge: 1 to 63 of a-z, 0-9, `-`, `_` and `.`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EdgeName(String);

impl EdgeName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EdgeName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for EdgeName {
    type Err = EdgeNameError;

    fn from_str(name: &str) -> Result<Self, EdgeNameError> {
        let allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        if (1..=MAX_BYTES).contains(&name.len()) && name.bytes().all(allowed) {
            Ok(Self(name.to_owned()))
        } else {
            Err(EdgeNameError(name.to_owned()))
        }
    }
}

/// The name is too long, empty, or of other characters.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid edge name `{}`: use 1 to 63 of a-z, 0-9, `-`, `_` and `.`", .0.escape_debug())]
pub struct EdgeNameError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_lists_labels_and_keys_as_they_are() {
        let longest = "a".repeat(63);
        for name in ["a", "envoy-eu", "worker.2_b", &longest] {
            assert_eq!(name.parse::<EdgeName>().map(|name| name.to_string()).as_deref(), Ok(name));
        }
        for name in ["", "A", "a b", "a#b", "a\"", "a\n", "ä", &"a".repeat(64)] {
            assert!(name.parse::<EdgeName>().is_err(), "{name}");
        }
    }
}

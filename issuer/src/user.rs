//! Users of a domain.

use std::{fmt, str::FromStr};

use crate::{clock::Timestamp, domain::DomainName};

const USERNAME_MAX_CHARS: usize = 128;

/// The name that a user logs in with: 1 to 128 characters, no control characters, no white
/// space at either end. Compared byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Username(String);

impl Username {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Username {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Username {
    type Err = UsernameError;

    fn from_str(name: &str) -> Result<Self, UsernameError> {
        let length_fits = (1..=USERNAME_MAX_CHARS).contains(&name.chars().count());
        if length_fits && name.trim() == name && !name.chars().any(char::is_control) {
            Ok(Self(name.to_owned()))
        } else {
            Err(UsernameError)
        }
    }
}

/// A username is refused. It is not repeated: control characters would reach the terminal.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid username: use 1 to 128 characters, no control characters, no surrounding white space"
)]
pub struct UsernameError;

/// A user as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Random and never reused: the `sub` of the user's tokens.
    pub id: String,
    /// The domain that the user belongs to.
    pub domain: DomainName,
    /// Unique within the domain.
    pub username: Username,
    /// What the password is checked against.
    pub password_hash: PasswordHash,
    /// When the user was created.
    pub created_at: Timestamp,
    /// Since when the user can neither log in nor refresh.
    pub disabled_at: Option<Timestamp>,
}

/// An argon2id hash in PHC string format, or a bcrypt hash that came from another system and is
/// replaced when its user logs in. Prints as `[redacted]`: it invites guessing.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub(crate) String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames_are_printable_and_trimmed() {
        let longest = "ü".repeat(128);
        for name in ["ada", "ada@example.com", "Ada Lovelace", &longest] {
            assert!(name.parse::<Username>().is_ok(), "{name}");
        }
        let too_long = "a".repeat(129);
        for name in ["", " ada", "ada ", "a\nb", "a\0", "\u{a0}", &too_long] {
            assert_eq!(name.parse::<Username>(), Err(UsernameError), "{name:?}");
        }
    }

    #[test]
    fn a_password_hash_prints_redacted() {
        assert_eq!(format!("{:?}", PasswordHash("$argon2id$".to_owned())), "[redacted]");
    }
}

//! Password hashing: argon2id. Hashes that other systems made are checked too.

mod checks;
mod foreign;
mod queue;

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHash as Phc, PasswordHasher, PasswordVerifier, SaltString},
};

pub(crate) use self::checks::PasswordChecks;
pub use self::foreign::PasswordHashError;
use crate::{
    secret::{SecretBytes, SecretText},
    user::PasswordHash,
};

// OWASP Password Storage Cheat Sheet, argon2id.
const MEMORY_KIB: u32 = 19_456;
const ITERATIONS: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;

const PASSWORD_BYTES: std::ops::RangeInclusive<usize> = 8..=1024;

/// What every hash that [`hash_password`] makes begins with.
const PRESENT: &str = "$argon2id$v=19$m=19456,t=2,p=1$";

/// What an unknown user's password is checked against, so that the answer takes as long as
/// for a known one. Its parameters must be those above; no password is known to match.
///
/// A user whose hash another system made costs what that hash costs, some 250 ms for bcrypt of
/// cost 12 against some 30 ms. So time tells that there is such a user, but only of one who has not
/// logged in since the migration, or whose password bcrypt cuts off. A dummy that costs as much
/// would give away those who have logged in instead, and one of both kinds would charge everybody
/// for both, for good.
const DUMMY_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$cG9zdGVybi1kdW1teS1zYQ\
     $NcMkcbNJtmEYGVyWoTmRIuEnLNhxqQRb0cAjLQjkCgs";

/// Why a password could not be hashed or checked.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// The password is too short or too long.
    #[error("invalid password: use 8 to 1024 bytes")]
    Length,
    /// Too many logins wait already.
    #[error("too many logins at once")]
    Overloaded,
    /// The hash function itself failed, or a stored hash is damaged.
    #[error("password hashing failed")]
    Hashing,
}

/// Hashes `password` for storage.
///
/// # Errors
///
/// [`PasswordError::Length`] unless it has 8 to 1024 bytes.
pub(crate) fn hash_password(password: &SecretText) -> Result<PasswordHash, PasswordError> {
    if PASSWORD_BYTES.contains(&password.expose().len()) {
        hash(password)
    } else {
        Err(PasswordError::Length)
    }
}

impl PasswordHash {
    /// Whether it is as [`hash_password`] makes them.
    pub(crate) fn is_present(&self) -> bool {
        self.0.starts_with(PRESENT)
    }
}

/// Whether `hash` is to be made anew, now that `password` is known to match it.
pub(crate) fn is_outdated(hash: &PasswordHash, password: &SecretText) -> bool {
    !hash.is_present() && foreign::matches_all_of(&hash.0, password)
}

/// The rule of lengths is for new passwords: whoever has another one from elsewhere keeps it.
fn hash(password: &SecretText) -> Result<PasswordHash, PasswordError> {
    let salt = SaltString::encode_b64(SecretBytes::random(SALT_BYTES).expose())
        .map_err(|_| PasswordError::Hashing)?;
    let hash = argon2id()?
        .hash_password(password.expose().as_bytes(), &salt)
        .map_err(|_| PasswordError::Hashing)?;
    Ok(PasswordHash(hash.to_string()))
}

fn matches(password: &SecretText, hash: Option<&PasswordHash>) -> Result<bool, PasswordError> {
    if let Some(hash) = hash.filter(|hash| foreign::is_bcrypt(&hash.0)) {
        return foreign::bcrypt_matches(password, &hash.0);
    }
    let text = hash.map_or(DUMMY_HASH, |hash| hash.0.as_str());
    let phc = Phc::new(text).map_err(|_| PasswordError::Hashing)?;
    // By the parameters that the hash names, which need not be ours.
    let verdict = argon2id()?.verify_password(password.expose().as_bytes(), &phc);
    match verdict {
        Ok(()) => Ok(hash.is_some()),
        Err(argon2::password_hash::Error::Password) => Ok(false),
        Err(_) => Err(PasswordError::Hashing),
    }
}

fn argon2id() -> Result<Argon2<'static>, PasswordError> {
    let params = Params::new(MEMORY_KIB, ITERATIONS, LANES, None);
    let params = params.map_err(|_| PasswordError::Hashing)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretText {
        SecretText::new(text.to_owned())
    }

    #[test]
    fn hashes_with_the_owasp_parameters_and_a_fresh_salt() {
        let password = secret("correct horse");
        let (one, two) = (hash_password(&password).unwrap(), hash_password(&password).unwrap());
        assert!(one.0.starts_with(PRESENT), "{}", one.0);
        assert!(!is_outdated(&one, &password));
        assert_ne!(one, two);
        assert_eq!(matches(&password, Some(&one)), Ok(true));
        assert_eq!(matches(&secret("correct horsf"), Some(&one)), Ok(false));
    }

    #[test]
    fn the_dummy_costs_what_a_real_hash_costs_and_never_matches() {
        let real = hash_password(&secret("correct horse")).unwrap();
        let (real, dummy) = (Phc::new(&real.0).unwrap(), Phc::new(DUMMY_HASH).unwrap());
        assert_eq!(dummy.algorithm, real.algorithm);
        assert_eq!(dummy.version, real.version);
        assert_eq!(dummy.params, real.params);
        assert_eq!(dummy.hash.unwrap().len(), real.hash.unwrap().len());
        assert_eq!(dummy.salt.unwrap().len(), real.salt.unwrap().len());
        assert_eq!(matches(&secret("correct horse"), None), Ok(false));
    }

    #[test]
    fn password_length_is_bounded() {
        for password in ["", "1234567", &"x".repeat(1025)] {
            assert_eq!(hash_password(&secret(password)), Err(PasswordError::Length));
        }
        assert!(hash_password(&secret(&"x".repeat(1024))).is_ok());
        assert!(hash_password(&secret("12345678")).is_ok());
    }
}

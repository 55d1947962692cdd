//! Password hashes that other systems made: bcrypt, and argon2id of other parameters.

use std::ops::RangeInclusive;

use argon2::{
    Params,
    password_hash::{Ident, PasswordHash as Phc},
};
use bcrypt::HashParts;

use super::PasswordError;
use crate::{secret::SecretText, user::PasswordHash};

/// `$2x$` is missing: it marks hashes of an implementation that mistook some characters for others.
const BCRYPT_PREFIXES: [&str; 3] = ["$2a$", "$2b$", "$2y$"];
/// 14 takes about a second of a core; each step more doubles it.
const BCRYPT_COSTS: RangeInclusive<u32> = 4..=14;
/// bcrypt does not see what comes after.
const BCRYPT_PASSWORD_BYTES: usize = 72;

const ARGON2_MEMORY_MAX_KIB: u32 = 128 * 1024;
/// Memory times iterations, which is what the time goes by: about a second of a core.
const ARGON2_WORK_MAX_KIB: u64 = 1024 * 1024;
const ARGON2_LANES_MAX: u32 = 16;
/// Fewer bits would be guessed rather than the password.
const ARGON2_OUTPUT_MIN_BYTES: usize = 16;

/// Why a password hash of another system is not taken. Never repeats it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordHashError {
    /// Another kind of hash, or none.
    #[error("it is no bcrypt (`$2a$`, `$2b$`, `$2y$`) and no argon2id hash")]
    Unknown,
    /// It has the beginning of a hash, and not the rest.
    #[error("it is damaged")]
    Damaged,
    /// Each login would cost too much.
    #[error("its bcrypt cost `{0}` is not within 4 to 14: a login would take seconds")]
    Cost(u32),
    /// Each login would cost too much, or the hash is too short.
    #[error(
        "its argon2id parameters are out of bounds: use up to 128 MiB, memory times iterations up \
         to 1 GiB, 16 lanes, at least 16 bytes of hash, and no secret"
    )]
    Parameters,
}

impl PasswordHash {
    /// A hash that another system made, if a login can check it and costs about a second at most:
    /// bcrypt of cost 4 to 14, or argon2id in PHC string format.
    ///
    /// # Errors
    ///
    /// [`PasswordHashError`].
    pub fn import(text: &str) -> Result<Self, PasswordHashError> {
        if is_bcrypt(text) {
            check_bcrypt(text)?;
        } else if text.starts_with("$argon2id$") {
            check_argon2id(text)?;
        } else {
            return Err(PasswordHashError::Unknown);
        }
        Ok(Self(text.to_owned()))
    }
}

pub(super) fn is_bcrypt(hash: &str) -> bool {
    BCRYPT_PREFIXES.iter().any(|prefix| hash.starts_with(prefix))
}

/// Like every implementation, it takes any password that begins with the 72 bytes that were hashed.
///
/// But none with a NUL: some implementations end there, and to the others the password may be a
/// repetition of itself, `secret NUL secret`.
pub(super) fn bcrypt_matches(password: &SecretText, hash: &str) -> Result<bool, PasswordError> {
    let password = password.expose();
    let matches = bcrypt::verify(password, hash).map_err(|_| PasswordError::Hashing)?;
    Ok(matches && !password.contains('\0'))
}

/// Whether a hash that `password` matches was made of all of it. What comes after the 72nd byte may
/// be a slip of the pen, which must not become the password.
pub(super) fn matches_all_of(hash: &str, password: &SecretText) -> bool {
    !is_bcrypt(hash) || password.expose().len() <= BCRYPT_PASSWORD_BYTES
}

fn check_bcrypt(text: &str) -> Result<(), PasswordHashError> {
    let parts: HashParts = text.parse().map_err(|_| PasswordHashError::Damaged)?;
    let cost = parts.get_cost();
    if BCRYPT_COSTS.contains(&cost) { Ok(()) } else { Err(PasswordHashError::Cost(cost)) }
}

fn check_argon2id(text: &str) -> Result<(), PasswordHashError> {
    let phc = Phc::new(text).map_err(|_| PasswordHashError::Damaged)?;
    // Without a version it would be the oldest one, and is refused rather than misread.
    let has_all = phc.salt.is_some() && matches!(phc.version, Some(0x10 | 0x13));
    let output = phc.hash.filter(|_| has_all).ok_or(PasswordHashError::Damaged)?;
    let known = ["m", "t", "p"].map(Ident::new_unwrap);
    let no_secret = phc.params.iter().all(|(name, _)| known.contains(&name));
    let params = Params::try_from(&phc).map_err(|_| PasswordHashError::Parameters)?;
    let work = u64::from(params.m_cost()) * u64::from(params.t_cost());
    let fits = params.m_cost() <= ARGON2_MEMORY_MAX_KIB
        && work <= ARGON2_WORK_MAX_KIB
        && params.p_cost() <= ARGON2_LANES_MAX
        && output.len() >= ARGON2_OUTPUT_MIN_BYTES;
    if fits && no_secret { Ok(()) } else { Err(PasswordHashError::Parameters) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::password::{hash, is_outdated, matches};

    fn secret(text: &str) -> SecretText {
        SecretText::new(text.to_owned())
    }

    /// Test vectors of jBCrypt and `crypt_blowfish`, and what libxcrypt makes.
    #[test]
    fn bcrypt_hashes_of_other_implementations_are_checked() {
        let umlaut = "abcdefghijklmnopqrstuul9W/bOUOPAuDuYBlAfPW8jdF/V25n8i";
        for (password, text) in [
            ("", "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s."),
            ("abc", "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i"),
            ("U*U*", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"),
            ("gründlich geheim", &format!("$2a$05${umlaut}")),
            ("gründlich geheim", &format!("$2b$05${umlaut}")),
            ("gründlich geheim", &format!("$2y$05${umlaut}")),
        ] {
            let imported = PasswordHash::import(text).unwrap();
            assert_eq!(matches(&secret(password), Some(&imported)), Ok(true), "{text}");
            assert_eq!(matches(&secret("wrong"), Some(&imported)), Ok(false), "{text}");
            assert!(is_outdated(&imported, &secret(password)));
        }
    }

    #[test]
    fn argon2id_of_other_parameters_is_checked_and_outdated() {
        let params = Params::new(1024, 1, 2, None).unwrap();
        let other =
            argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        let salt = argon2::password_hash::SaltString::encode_b64(b"salt of 16 bytes").unwrap();
        let text = argon2::PasswordHasher::hash_password(&other, b"x", &salt).unwrap().to_string();
        let imported = PasswordHash::import(&text).unwrap();
        assert_eq!(matches(&secret("x"), Some(&imported)), Ok(true));
        assert_eq!(matches(&secret("y"), Some(&imported)), Ok(false));
        assert!(is_outdated(&imported, &secret("x")));
        let own = hash(&secret("x")).unwrap();
        assert_eq!(PasswordHash::import(&own.0), Ok(own));
    }

    #[test]
    fn what_a_login_could_not_check_or_afford_is_refused() {
        let bcrypt = |cost: &str| {
            format!("$2b${cost}$abcdefghijklmnopqrstuul9W/bOUOPAuDuYBlAfPW8jdF/V25n8i")
        };
        let argon2 = |parameters: &str, hash: &str| {
            format!("$argon2id${parameters}$c2FsdCBvZiAxNiBieXRlcw${hash}")
        };
        let (long, short) = ("QUFBQUFBQUFBQUFBQUFBQQ", "QUFBQUFBQUFBQUFB");
        let refused = |text: &str| PasswordHash::import(text).unwrap_err();
        for cost in ["04", "14"] {
            assert!(PasswordHash::import(&bcrypt(cost)).is_ok(), "{cost}");
        }
        for (cost, value) in [("03", 3), ("15", 15), ("31", 31), ("99", 99)] {
            assert_eq!(refused(&bcrypt(cost)), PasswordHashError::Cost(value));
        }
        for damaged in ["$2a$", &bcrypt("xx"), &bcrypt("10").replace('W', "!"), &bcrypt("010")] {
            assert_eq!(refused(damaged), PasswordHashError::Damaged, "{damaged}");
        }
        assert!(PasswordHash::import(&argon2("v=19$m=131072,t=8,p=16", long)).is_ok());
        for parameters in ["v=19$m=131073,t=1,p=1", "v=19$m=131072,t=9,p=1", "v=19$m=1024,t=1,p=17"]
        {
            assert_eq!(refused(&argon2(parameters, long)), PasswordHashError::Parameters);
        }
        let keyed = argon2("v=19$m=1024,t=1,p=1,keyid=AAAA", long);
        assert_eq!(refused(&keyed), PasswordHashError::Parameters);
        assert_eq!(refused(&argon2("v=19$m=1024,t=1,p=1", short)), PasswordHashError::Parameters);
        assert_eq!(refused(&argon2("m=1024,t=1,p=1", long)), PasswordHashError::Damaged);
        for unknown in
            ["", "secret", "$2x$10$", "$2$10$", "$1$salt$hash", "$argon2i$v=19$", " $2b$"]
        {
            assert_eq!(refused(unknown), PasswordHashError::Unknown, "{unknown}");
        }
    }

    #[test]
    fn bcrypt_sees_72_bytes_and_what_it_does_not_see_is_not_hashed_anew() {
        let known = "x".repeat(72);
        let imported = PasswordHash(bcrypt::hash(&known, 4).unwrap());
        for (password, right, outdated) in [
            (known.clone(), true, true),
            (format!("{known}y"), true, false),
            (known.replace("xx", "xy"), false, true),
            ("x".repeat(71), false, true),
        ] {
            let password = secret(&password);
            assert_eq!(matches(&password, Some(&imported)), Ok(right));
            assert_eq!(is_outdated(&imported, &password), outdated);
        }
    }

    #[test]
    fn a_password_with_a_nul_matches_no_bcrypt_hash() {
        let imported = PasswordHash(bcrypt::hash("secret", 4).unwrap());
        for password in ["secret\0secret", "secret\0", "secret\0x"] {
            assert_eq!(matches(&secret(password), Some(&imported)), Ok(false), "{password:?}");
        }
        assert_eq!(bcrypt::verify("secret\0secret", &imported.0).ok(), Some(true), "without care");
        let with_nul = PasswordHash(bcrypt::hash("a\0b", 4).unwrap());
        assert_eq!(matches(&secret("a\0b"), Some(&with_nul)), Ok(false));
        assert_eq!(matches(&secret("a"), Some(&with_nul)), Ok(false));
    }
}

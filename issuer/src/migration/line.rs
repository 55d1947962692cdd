//! Postern's own format: JSON lines, each a domain or a user.

use std::sync::Arc;

use serde_json::Value;

use super::{
    Migration, Place,
    members::{Fault, Members, moment},
    secrets::{checked_secret, decoded_secret},
};
use crate::{
    administration::{ImportedDomain, ImportedUser, UserState},
    clock::Timestamp,
    domain::DomainName,
    key::SigningAlgorithm,
    secret::{SecretBytes, SecretText},
    user::{PasswordHash, Username, UsernameError},
};

const ID_MAX_CHARS: usize = 128;

impl Migration {
    /// Reads lines such as `{"type": "domain", "name": "shop"}` and `{"type": "user", "domain":
    /// "shop", "username": "ada", "password_hash": "$2b$…"}`. `file` is what messages call it.
    pub fn read_lines(&mut self, file: &str, text: &str) {
        for (place, line) in lines(file, text) {
            if let Err(fault) = self.read_line(&place, line) {
                self.problems.add(&place, &fault);
            }
        }
    }

    fn read_line(&mut self, place: &Place, line: &str) -> Result<(), Fault> {
        let mut members = Members::parse(line)?;
        let kind = members.required_text("type")?;
        match kind.expose() {
            "domain" => {
                let domain = domain(&mut members)?;
                members.finish()?;
                self.add_domain(place.clone(), domain)
            }
            "user" => {
                let user = user(&mut members, self.now)?;
                members.finish()?;
                self.add_user(place.clone(), user)
            }
            _ => Err(Fault::new("`type`: it is neither `domain` nor `user`")),
        }
    }
}

/// The lines that are not blank, each with its place.
pub(super) fn lines<'t>(file: &str, text: &'t str) -> impl Iterator<Item = (Place, &'t str)> {
    let file: Arc<str> = file.into();
    let place = move |number| Place { file: file.clone(), within: Some(("line", number)) };
    let numbered = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    numbered.map(move |(number, line)| (place(number), line))
}

fn domain(members: &mut Members) -> Result<ImportedDomain, Fault> {
    let domain = ImportedDomain {
        name: members.required("name", domain_name)?,
        algorithm: members.parsed("algorithm", |name| name.parse().map_err(|_| unknown()))?,
        audience: members.parsed("audience", |audience| Ok(audience.to_owned()))?,
        token_lifetime: members.seconds("token_lifetime")?,
        session_lifetime: members.seconds("session_lifetime")?,
        jwks_max_age: members.seconds("jwks_max_age")?,
        secret: secret(members)?,
    };
    let algorithm = domain.algorithm.unwrap_or(SigningAlgorithm::Hs256);
    if domain.secret.is_some() && algorithm != SigningAlgorithm::Hs256 {
        return Err(Fault::new("`secret`: only an HS256 domain has one"));
    }
    Ok(domain)
}

fn unknown() -> String {
    "it is none of ES256, HS256, RS256 and EdDSA".to_owned()
}

/// Base64url, or `{"text": "…"}` for a secret that is used as it is written.
fn secret(members: &mut Members) -> Result<Option<SecretBytes>, Fault> {
    let in_member = |reason| Fault::new(format!("`secret`: {reason}"));
    let secret = match members.take("secret") {
        None => return Ok(None),
        Some(Value::String(text)) => decoded_secret(&SecretText::new(text)),
        Some(Value::Object(mut object)) => match (object.len(), object.remove("text")) {
            (1, Some(Value::String(text))) => Ok(SecretBytes::new(text.into_bytes())),
            _ => Err("as an object it has one member, `text`"),
        },
        Some(_) => Err("it is neither base64url nor an object with a `text`"),
    };
    let secret = secret.and_then(checked_secret).map_err(in_member)?;
    Ok(Some(secret))
}

fn user(members: &mut Members, now: Timestamp) -> Result<ImportedUser, Fault> {
    Ok(ImportedUser {
        id: members.parsed("id", user_id)?,
        domain: members.required("domain", domain_name)?,
        username: members.required("username", username)?,
        password_hash: members.required("password_hash", password_hash)?,
        created_at: members.moment("created_at")?,
        state: match members.take("disabled") {
            None => None,
            Some(Value::Bool(true)) => Some(UserState::DisabledSince(now)),
            Some(Value::Bool(false)) => Some(UserState::Active),
            Some(value) => Some(UserState::DisabledSince(moment("disabled", &value)?)),
        },
    })
}

pub(super) fn domain_name(name: &str) -> Result<DomainName, String> {
    // Not the error's own text: it repeats the name, whatever that is.
    let reason = "it is no domain name: use 1 to 63 of a-z, 0-9 and `-`, and no path of the issuer";
    name.parse().map_err(|_| reason.to_owned())
}

pub(super) fn username(name: &str) -> Result<Username, String> {
    name.parse().map_err(|error: UsernameError| error.to_string())
}

pub(super) fn password_hash(text: &str) -> Result<PasswordHash, String> {
    PasswordHash::import(text).map_err(|error| error.to_string())
}

/// What may be a `sub`.
pub(super) fn user_id(id: &str) -> Result<String, String> {
    let length_fits = (1..=ID_MAX_CHARS).contains(&id.chars().count());
    if length_fits && id.trim() == id && !id.chars().any(char::is_control) {
        Ok(id.to_owned())
    } else {
        Err("use 1 to 128 characters, no control characters, no surrounding white space".to_owned())
    }
}

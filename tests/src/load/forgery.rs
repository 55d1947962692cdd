//! Tokens that look like the issuer's and are not.

use super::Random;
use crate::{Failure, ForgedKeys, Key, base64url, claims_of};

/// Who makes them: keys of their own, and what they have seen of others.
pub(crate) struct Forger {
    keys: ForgedKeys,
}

impl Forger {
    pub(crate) fn new() -> Result<Self, Failure> {
        Ok(Self { keys: ForgedKeys::generate()? })
    }

    /// A token like this genuine one, which names its key so, that nobody may take. `public` is what
    /// everyone knows of that key.
    pub(crate) fn forge(
        &self,
        genuine: &str,
        (key_id, public): (&str, &[u8]),
        random: &Random,
    ) -> String {
        let (header, claims, signature) = parts(genuine);
        match random.below(6) {
            0 => {
                let mut changed = signature.to_owned();
                let at = random.below(changed.len());
                let other = if changed.get(at..=at) == Some("A") { "B" } else { "A" };
                changed.replace_range(at..=at, other);
                format!("{header}.{claims}.{changed}")
            }
            1 => format!("{header}.{}.{signature}", Self::other_claims(genuine)),
            // The right `kid`, and another's key.
            2 => self.signed(&header_of_key(key_id, "ES256"), claims, None),
            // A `kid` of nobody.
            3 => self.signed(&header_of_key("es", "ES256"), claims, None),
            // The public key for a secret.
            4 => self.signed(&header_of_key(key_id, "HS256"), claims, Some(public)),
            _ => format!("{}.{claims}.", base64url(header_of_key(key_id, "none"))),
        }
    }

    fn other_claims(genuine: &str) -> String {
        let mut claims = claims_of(genuine);
        if let Some(claims) = claims.as_object_mut() {
            claims.insert("sub".to_owned(), "admin".into());
        }
        base64url(claims.to_string())
    }

    fn signed(&self, header: &str, claims: &str, secret: Option<&[u8]>) -> String {
        let message = format!("{}.{claims}", base64url(header));
        let key = secret.map_or(Key::Es256, Key::Hs256);
        format!("{message}.{}", base64url(self.keys.signature(key, message.as_bytes())))
    }
}

fn header_of_key(key_id: &str, algorithm: &str) -> String {
    format!(r#"{{"alg":"{algorithm}","kid":"{key_id}","typ":"at+jwt"}}"#)
}

fn parts(token: &str) -> (&str, &str, &str) {
    let mut parts = token.splitn(3, '.');
    let mut next = || parts.next().unwrap_or_default();
    (next(), next(), next())
}

//! The life of a token: [`UnverifiedToken`] → [`SignedToken`] → [`VerifiedToken`].
//!
//! Each step has private fields, so only the step before can make one.

use std::{fmt, time::Duration};

use serde_json::{Map, Value};

use crate::{
    algorithm::Algorithm,
    base64url,
    claims::{ClaimRules, Claims},
    denial::Denial,
    json::{self, JsonError},
    jwk_set::JwkSet,
};

/// The size budget of a token, in bytes. Nothing longer is looked at.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// How many keys a token without a `kid` may try. Bounds the work that a stranger can cause.
const MAX_CANDIDATES: usize = 4;

/// A token whose structure is right, and of which nothing else is known.
#[derive(Clone)]
pub struct UnverifiedToken<'t> {
    algorithm: Algorithm,
    key_id: Option<String>,
    claims: Claims,
    signed_text: &'t str,
    payload: &'t str,
    signature: Vec<u8>,
}

/// A token that was signed by a known key. Its claims have not been judged yet.
pub struct SignedToken<'t> {
    claims: Claims,
    payload: &'t str,
}

/// A token that passed: the signature and the claims are right.
pub struct VerifiedToken<'t> {
    claims: Claims,
    payload: &'t str,
}

impl<'t> UnverifiedToken<'t> {
    /// Takes a JWS in compact form (RFC 7515 §7.1) with JSON claims apart.
    ///
    /// # Errors
    ///
    /// A [`Denial`] that names the first rule of structure that `text` breaks.
    pub fn parse(text: &'t [u8], max_bytes: usize) -> Result<Self, Denial> {
        if text.len() > max_bytes {
            return Err(Denial::TokenTooLarge { bytes: text.len(), limit: max_bytes });
        }
        let text = std::str::from_utf8(text).map_err(|_| Denial::TokenMalformed)?;
        let (signed_text, signature) = text.rsplit_once('.').ok_or(Denial::TokenMalformed)?;
        let (header, payload) = signed_text.split_once('.').ok_or(Denial::TokenMalformed)?;
        let decode = |part| base64url::decode(part).ok_or(Denial::TokenMalformed);
        let (header, claims) = (decode(header)?, decode(payload)?);
        let signature = decode(signature)?;
        let header = Header::parse(&header)?;
        let claims = Claims::new(object(&claims, Denial::ClaimsMalformed)?);
        let Header { algorithm, key_id } = header;
        Ok(Self { algorithm, key_id, claims, signed_text, payload, signature })
    }

    /// The header's `kid`. Not to be trusted; good for choosing a key only.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The claim `iss`. Not to be trusted; good for choosing a provider only.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.claims.string("iss")
    }

    /// Checks the signature with the key that `kid` names, or, without `kid`, with the first few
    /// (4) keys of the token's algorithm.
    ///
    /// # Errors
    ///
    /// [`Denial::KeyUnknown`], [`Denial::AlgorithmMismatch`] or [`Denial::SignatureInvalid`].
    pub fn verify(self, keys: &JwkSet) -> Result<SignedToken<'t>, Denial> {
        self.check_signature(keys)?;
        Ok(SignedToken { claims: self.claims, payload: self.payload })
    }

    fn check_signature(&self, keys: &JwkSet) -> Result<(), Denial> {
        let mut candidates = keys.candidates(self.key_id()).peekable();
        if candidates.peek().is_none() {
            return Err(Denial::KeyUnknown);
        }
        let mut fitting = candidates
            .map(|key| &key.verifying)
            .filter(|key| key.algorithm() == self.algorithm)
            .take(MAX_CANDIDATES)
            .peekable();
        if fitting.peek().is_none() {
            return Err(Denial::AlgorithmMismatch);
        }
        let message = self.signed_text.as_bytes();
        if fitting.any(|key| key.verify(message, &self.signature)) {
            Ok(())
        } else {
            Err(Denial::SignatureInvalid)
        }
    }
}

impl<'t> SignedToken<'t> {
    /// The claims as the signer wrote them. They may be expired or meant for someone else.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Holds the claims to `rules` at the time `now`, counted from the Unix epoch.
    ///
    /// # Errors
    ///
    /// The first rule that is broken. Expiry is judged last: [`Denial::TokenExpired`] says that
    /// everything else is in order.
    pub fn check(self, rules: &ClaimRules, now: Duration) -> Result<VerifiedToken<'t>, Denial> {
        self.claims.check(rules, now)?;
        Ok(VerifiedToken { claims: self.claims, payload: self.payload })
    }
}

impl VerifiedToken<'_> {
    /// The claims.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The claims as the token spells them: base64url of JSON.
    #[must_use]
    pub fn payload(&self) -> &str {
        self.payload
    }
}

struct Header {
    algorithm: Algorithm,
    key_id: Option<String>,
}

impl Header {
    fn parse(text: &[u8]) -> Result<Self, Denial> {
        let members = object(text, Denial::HeaderMalformed)?;
        let string = |name| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(Denial::HeaderMalformed),
        };
        let algorithm = string("alg")?.ok_or(Denial::HeaderMalformed)?;
        let algorithm = Algorithm::from_name(algorithm).ok_or(Denial::AlgorithmUnsupported)?;
        if members.contains_key("crit") || members.contains_key("b64") {
            return Err(Denial::CriticalHeader);
        }
        if string("cty")?.is_some_and(|content_type| is_media_type(content_type, "jwt")) {
            return Err(Denial::NestedToken);
        }
        let type_allowed = string("typ")?
            .is_none_or(|name| is_media_type(name, "jwt") || is_media_type(name, "at+jwt"));
        if !type_allowed {
            return Err(Denial::TypeNotAllowed);
        }
        Ok(Self { algorithm, key_id: string("kid")?.map(str::to_owned) })
    }
}

/// Media types ignore case, and a header may leave out `application/` (RFC 7515 §4.1.9).
fn is_media_type(name: &str, subtype: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.strip_prefix("application/").unwrap_or(&name) == subtype
}

fn object(text: &[u8], malformed: Denial) -> Result<Map<String, Value>, Denial> {
    match json::parse_object(text) {
        Ok(Some(members)) => Ok(members),
        Ok(None) | Err(JsonError::Malformed(_)) => Err(malformed),
        Err(JsonError::DuplicateMember) => Err(Denial::DuplicateMember),
    }
}

impl fmt::Debug for UnverifiedToken<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("UnverifiedToken([redacted])")
    }
}

impl fmt::Debug for SignedToken<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SignedToken([redacted])")
    }
}

impl fmt::Debug for VerifiedToken<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("VerifiedToken([redacted])")
    }
}

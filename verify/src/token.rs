//! The life of a token: [`UnverifiedToken`] → [`SignedToken`] → [`VerifiedToken`].
//!
//! Each step has private fields, so only the step before can make one.

use std::{fmt, time::Duration};

use serde_json::{Map, Value};

use crate::{
    algorithm::Algorithm,
    claims::{ClaimRules, Claims},
    denial::Denial,
    json,
    jwk_set::JwkSet,
    jws::Jws,
    signature::{CoreSignatures, SignatureVerifier},
};

/// The size budget of a token, in bytes. Nothing longer is looked at.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// A token whose structure is right, and of which nothing else is known.
pub struct UnverifiedToken<'t> {
    jws: Jws<'t>,
    claims: Claims,
}

/// A token that was signed by a known key. Its claims have not been judged yet.
pub struct SignedToken<'t>(&'t UnverifiedToken<'t>);

/// A token that passed: the signature and the claims are right.
pub struct VerifiedToken<'t>(&'t UnverifiedToken<'t>);

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
        let (jws, payload) = Jws::parse(text)?;
        let claims = Claims::new(json::object(&payload, Denial::ClaimsMalformed)?);
        Ok(Self { jws, claims })
    }

    /// The header's `kid`. Not to be trusted; good for choosing a key only.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.jws.key_id.as_deref()
    }

    /// The claim `iss`. Not to be trusted; good for choosing a provider only.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.claims.string("iss")
    }

    /// A token whose claims nobody has checked, as if they had been.
    ///
    /// Only for what says aloud that it is unverified (`extract_only_without_validation`).
    pub(crate) fn dangerous_assume_verified(&self) -> VerifiedToken<'_> {
        VerifiedToken(self)
    }

    /// The claims, for who knows that they have been verified.
    pub(crate) fn into_claims(self) -> Claims {
        self.claims
    }

    /// The header's `alg`. Not to be trusted; the key decides.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.jws.algorithm
    }

    /// Checks the signature with the core's own code. See [`UnverifiedToken::verify_by`].
    ///
    /// # Errors
    ///
    /// [`Denial::KeyUnknown`], [`Denial::AlgorithmMismatch`] or [`Denial::SignatureInvalid`].
    pub fn verify(&self, keys: &JwkSet) -> Result<SignedToken<'_>, Denial> {
        self.verify_by(&CoreSignatures, keys)
    }

    /// Checks the signature with the key that `kid` names, or, without `kid`, with the first few
    /// (4) keys of the token's algorithm; by the host where it offers to.
    ///
    /// # Errors
    ///
    /// As [`UnverifiedToken::verify`].
    pub fn verify_by(
        &self,
        host: &dyn SignatureVerifier,
        keys: &JwkSet,
    ) -> Result<SignedToken<'_>, Denial> {
        self.jws.verify(host, keys)?;
        Ok(SignedToken(self))
    }
}

impl<'t> SignedToken<'t> {
    /// The claims as the signer wrote them. They may be expired or meant for someone else.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.0.claims
    }

    /// The same token, to be checked once more.
    pub(crate) fn again(&self) -> SignedToken<'t> {
        SignedToken(self.0)
    }

    /// Holds the claims to `rules` at the time `now`, counted from the Unix epoch.
    ///
    /// # Errors
    ///
    /// The first rule that is broken. Expiry is judged last: [`Denial::TokenExpired`] says that
    /// everything else is in order.
    pub fn check(self, rules: &ClaimRules, now: Duration) -> Result<VerifiedToken<'t>, Denial> {
        if !rules.token_types.iter().any(|name| *name == self.0.jws.token_type()) {
            return Err(Denial::TypeNotAllowed);
        }
        self.0.claims.check(rules, now)?;
        Ok(VerifiedToken(self.0))
    }
}

impl VerifiedToken<'_> {
    /// The claims.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.0.claims
    }

    /// The members of the header.
    pub(crate) fn header(&self) -> &Map<String, Value> {
        &self.0.jws.header
    }

    /// The claims as the token spells them: base64url of JSON.
    #[must_use]
    pub fn payload(&self) -> &str {
        self.0.jws.payload_text
    }
}

/// What its header says, for people: no claim and no signature.
impl fmt::Display for UnverifiedToken<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "alg {}, typ {}",
            self.algorithm(),
            self.jws.token_type().escape_debug()
        )?;
        match self.key_id() {
            Some(key_id) => write!(formatter, ", kid `{}`", key_id.escape_debug()),
            None => formatter.write_str(", no kid"),
        }
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

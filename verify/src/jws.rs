//! The JSON Web Signature around a token: structure, header, and the choice of the key.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::{
    algorithm::Algorithm, base64url, denial::Denial, json, jwk_set::JwkSet,
    signature::SignatureVerifier,
};

/// How many keys a token without a `kid` may try. Bounds the work that a stranger can cause.
const MAX_CANDIDATES: usize = 4;

/// A JWS in compact form (RFC 7515 §7.1) whose structure and header are right. Nothing in it is
/// to be trusted before [`Jws::verify`].
pub(crate) struct Jws<'t> {
    pub(crate) algorithm: Algorithm,
    pub(crate) key_id: Option<String>,
    pub(crate) header: Map<String, Value>,
    pub(crate) payload_text: &'t str,
    signed_text: &'t str,
    signature: Vec<u8>,
}

impl<'t> Jws<'t> {
    /// The JWS, and its payload, which is of no use for checking it.
    pub(crate) fn parse(text: &'t [u8]) -> Result<(Self, Vec<u8>), Denial> {
        let text = std::str::from_utf8(text).map_err(|_| Denial::TokenMalformed)?;
        let (signed_text, signature) = text.rsplit_once('.').ok_or(Denial::TokenMalformed)?;
        let (header, payload_text) = signed_text.split_once('.').ok_or(Denial::TokenMalformed)?;
        let decode = |part| base64url::decode(part).ok_or(Denial::TokenMalformed);
        let (header, payload) = (decode(header)?, decode(payload_text)?);
        let signature = decode(signature)?;
        let Header { algorithm, key_id, members: header } = Header::parse(&header)?;
        Ok((Self { algorithm, key_id, header, payload_text, signed_text, signature }, payload))
    }

    /// The header's `typ`, in lower case and without `application/`; a token without one counts as
    /// a `jwt` (RFC 7519 §5.1).
    pub(crate) fn token_type(&self) -> Cow<'_, str> {
        match self.header.get("typ").and_then(Value::as_str) {
            Some(name) => Cow::Owned(media_type(name)),
            None => Cow::Borrowed("jwt"),
        }
    }

    /// Checks the signature with the key that `kid` names, or, without `kid`, with the first few
    /// (4) keys of the algorithm; by the host where it offers to.
    pub(crate) fn verify(&self, host: &dyn SignatureVerifier, keys: &JwkSet) -> Result<(), Denial> {
        let mut candidates = keys.candidates(self.key_id.as_deref()).peekable();
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
        if fitting.any(|key| key.verify(host, message, &self.signature)) {
            Ok(())
        } else {
            Err(Denial::SignatureInvalid)
        }
    }
}

struct Header {
    algorithm: Algorithm,
    key_id: Option<String>,
    members: Map<String, Value>,
}

impl Header {
    fn parse(text: &[u8]) -> Result<Self, Denial> {
        let members = json::object(text, Denial::HeaderMalformed)?;
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
        if string("cty")?.is_some_and(|content_type| media_type(content_type) == "jwt") {
            return Err(Denial::NestedToken);
        }
        string("typ")?;
        let key_id = string("kid")?.map(str::to_owned);
        Ok(Self { algorithm, key_id, members })
    }
}

/// Media types ignore case, and a header may leave out `application/` (RFC 7515 §4.1.9).
pub(crate) fn media_type(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.strip_prefix("application/").map(str::to_owned).unwrap_or(name)
}

#[cfg(test)]
pub(crate) mod vectors;

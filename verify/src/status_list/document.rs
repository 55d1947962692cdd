//! The list as its issuer signs it: a `statuslist+jwt` (§5.1).

use std::time::Duration;

use serde_json::{Map, Value};

use super::{
    error::StatusListError,
    inflate::inflate,
    not_before::{NotBefore, time},
    places::Places,
};
use crate::{
    algorithm::Algorithm, base64url, denial::Denial, json, jwk_set::JwkSet, jws::Jws,
    signature::SignatureVerifier,
};

/// The longest token that is looked at, in bytes, and the longest list that it may unpack to.
pub(crate) const MAX_LIST_BYTES: usize = 1 << 20;
const TOKEN_TYPE: &str = "statuslist+jwt";
/// How far, beside the skew, a list's `iat` may lie ahead. What an issuer signs whose clock is wrong
/// by years must not outweigh all that it signs later.
const AHEAD: Duration = Duration::from_secs(300);

/// A list whose structure is right, and of which nothing else is known.
pub(crate) struct UnverifiedList<'b> {
    jws: Jws<'b>,
    payload: Vec<u8>,
}

/// What a list is held to.
pub(crate) struct Terms<'a> {
    /// Where it was fetched.
    pub(crate) uri: &'a str,
    pub(crate) clock_skew: Duration,
    pub(crate) now: Duration,
}

/// A list that the issuer has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StatusList {
    pub(crate) key_id: Option<Box<str>>,
    pub(crate) issued_at: Duration,
    /// When it stops to count, the skew included.
    pub(crate) ends: Duration,
    /// How long it counts as new.
    pub(crate) time_to_live: Option<Duration>,
    pub(crate) places: Places,
    pub(crate) not_before: NotBefore,
}

impl<'b> UnverifiedList<'b> {
    pub(crate) fn parse(body: &'b [u8]) -> Result<Self, StatusListError> {
        if body.len() > MAX_LIST_BYTES {
            return Err(StatusListError::TooLarge { bytes: body.len() });
        }
        let (jws, payload) = Jws::parse(body).map_err(StatusListError::Token)?;
        // A type of its own, and named: no other token of the issuer's must pass for a list.
        if !jws.header.contains_key("typ") || jws.token_type() != TOKEN_TYPE {
            return Err(StatusListError::NotTheList("its `typ` is not `statuslist+jwt`"));
        }
        Ok(Self { jws, payload })
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        self.jws.algorithm
    }

    /// The list, if it is signed by one of `keys` and is the one that `terms` say. It is not
    /// unpacked before the signature is known to be right.
    pub(crate) fn verify(
        self,
        host: &dyn SignatureVerifier,
        keys: &JwkSet,
        terms: &Terms<'_>,
    ) -> Result<StatusList, StatusListError> {
        self.jws.verify(host, keys).map_err(StatusListError::Token)?;
        let malformed = StatusListError::Token(Denial::ClaimsMalformed);
        let claims =
            json::object(&self.payload, Denial::ClaimsMalformed).map_err(StatusListError::Token)?;
        drop(self.payload);
        if claims.get("sub").and_then(Value::as_str) != Some(terms.uri) {
            return Err(StatusListError::NotTheList("its `sub` is not where it was fetched"));
        }
        let issued_at = claims.get("iat").and_then(time).ok_or(malformed.clone())?;
        let optional_time = |name: &str| match claims.get(name) {
            None => Ok(None),
            Some(value) => time(value).map(Some).ok_or(malformed.clone()),
        };
        let (expiration, time_to_live) = (optional_time("exp")?, optional_time("ttl")?);
        if issued_at > terms.now.saturating_add(terms.clock_skew).saturating_add(AHEAD) {
            return Err(StatusListError::NotTheList("its `iat` lies far ahead"));
        }
        let ends = expiration.map_or(Duration::MAX, |end| end.saturating_add(terms.clock_skew));
        if terms.now >= ends {
            return Err(StatusListError::Expired);
        }
        let places = places(&claims).ok_or(StatusListError::NotTheList("it cannot be unpacked"))?;
        let not_before = NotBefore::of_claim(claims.get("postern_not_before")).ok_or(malformed)?;
        let key_id = self.jws.key_id.map(Into::into);
        Ok(StatusList { key_id, issued_at, ends, time_to_live, places, not_before })
    }
}

fn places(claims: &Map<String, Value>) -> Option<Places> {
    let list = claims.get("status_list")?.as_object()?;
    let bits = list.get("bits")?.as_u64()?;
    let packed = base64url::decode(list.get("lst")?.as_str()?)?;
    Places::of_list(bits, &inflate(&packed, MAX_LIST_BYTES)?)
}

#[cfg(test)]
mod tests;

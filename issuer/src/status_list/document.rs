//! The signed form of a list, and the claim that leads to it.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::Serialize;

use super::{bit_list::BitList, not_before::NotBefore, place::StatusPlace};
use crate::{
    clock::Timestamp,
    key::{Key, KeyError},
    secret::sha256,
};

/// draft-ietf-oauth-status-list-20, section 5.1.
const LIST_TYPE: &str = "statuslist+jwt";
const BITS_PER_PLACE: u8 = 1;
/// Seconds for which a cache may keep a list.
pub(super) const TTL_SECONDS: u64 = 5;
/// Seconds from a list's `iat` to its `exp`.
const LIFETIME_SECONDS: u64 = 300;
const ETAG_HASH_BYTES: usize = 16;

/// A list as the world sees it at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPublication {
    /// The JWS in compact form, `application/statuslist+jwt`.
    pub token: String,
    /// A strong entity tag with its quotes (RFC 9110, section 8.8.3).
    pub etag: String,
    /// How long caches may keep it, in seconds.
    pub max_age: u64,
}

/// The `status` of a token (draft-ietf-oauth-status-list-20, section 6.2).
#[derive(Serialize)]
pub(crate) struct StatusClaim {
    status_list: Reference,
}

#[derive(Serialize)]
struct Reference {
    idx: u32,
    uri: String,
}

impl StatusClaim {
    pub(crate) fn of(issuer: &str, place: StatusPlace) -> Self {
        let uri = list_uri(issuer, place.list);
        Self { status_list: Reference { idx: place.index, uri } }
    }
}

/// Where a list of the domain with that issuer URL is published.
pub(crate) fn list_uri(issuer: &str, list: u32) -> String {
    format!("{issuer}/status-lists/{list}")
}

/// All that goes into a list's signed form.
pub(super) struct ListContent {
    pub(super) uri: String,
    pub(super) issued_at: Timestamp,
    pub(super) bits: BitList,
    pub(super) not_before: NotBefore,
}

#[derive(Serialize)]
struct ListClaims<'c> {
    sub: &'c str,
    iat: u64,
    exp: u64,
    ttl: u64,
    status_list: StatusList,
    #[serde(skip_serializing_if = "Option::is_none")]
    postern_not_before: Option<&'c NotBefore>,
}

#[derive(Serialize)]
struct StatusList {
    bits: u8,
    lst: String,
}

impl ListContent {
    /// Compressing and signing take some milliseconds: call it off the async threads.
    pub(super) fn sign(&self, key: &Key) -> Result<ListPublication, KeyError> {
        let lst = Base64UrlUnpadded::encode_string(&self.bits.compress());
        let token = key.sign_as(
            LIST_TYPE,
            ListClaims {
                sub: &self.uri,
                iat: self.issued_at.0,
                exp: self.issued_at.plus(LIFETIME_SECONDS).0,
                ttl: TTL_SECONDS,
                status_list: StatusList { bits: BITS_PER_PLACE, lst },
                postern_not_before: Some(&self.not_before).filter(|times| !times.is_empty()),
            },
        )?;
        let token = token.expose().to_owned();
        Ok(ListPublication { etag: etag(&token), token, max_age: TTL_SECONDS })
    }
}

fn etag(token: &str) -> String {
    let hash: Vec<u8> = sha256(token.as_bytes()).into_iter().take(ETAG_HASH_BYTES).collect();
    format!("\"{}\"", Base64UrlUnpadded::encode_string(&hash))
}

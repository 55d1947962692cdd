//! What the enrolment of an edge printed.

use std::{fmt, time::Duration};

use serde_json::Value;

use super::private_key::{PrivateKey, RawPrivateKey};
use crate::{
    algorithm::Algorithm,
    base64url,
    claims::ClaimRules,
    denial::Denial,
    json,
    jwk::KeyKinds,
    jwk_set::JwkSet,
    policy::HttpUri,
    read::{FromValue, Members, ReadError, objects},
    token::{MAX_TOKEN_BYTES, UnverifiedToken},
};

/// Largest credential that is read, in bytes.
const MAX_CREDENTIAL_BYTES: usize = 256 * 1024;
/// An edge's identifier: 16 random bytes.
const ID_BYTES: usize = 16;

const PUSH_TYPE: &str = "postern-push+jwt";
/// How far the issuer's clock and this one may differ for a push.
const PUSH_SKEW: Duration = Duration::from_secs(60);
/// A push is good for a minute.
const PUSH_LIFETIME: Duration = Duration::from_secs(60);

/// What an edge has from its enrolment (`postern edge enrol`): its own keys, the issuer's, and which
/// issuers it may fetch keys of. A secret.
#[derive(Clone)]
pub struct EdgeCredential {
    id: String,
    name: String,
    signing: PrivateKey,
    receiving: PrivateKey,
    issuer_keys: JwkSet,
    issuers: Vec<String>,
}

/// Why a document is no credential. Never quotes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialError {
    /// Such as `keys[0].d`; empty for the whole.
    pub member: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The credential as it is written, but for what is secret.
struct RawCredential {
    edge: String,
    name: String,
    keys: Vec<RawPrivateKey>,
    issuer_keys: Value,
    issuers: Vec<RawIssuer>,
}

objects! {
    /// An issuer that the edge may fetch keys of, and where they are.
    struct RawIssuer {
        issuer: String,
        keys_uri: String,
    }
}

impl FromValue for RawCredential {
    fn from_value(value: &Value) -> Result<Self, ReadError> {
        let mut members = Members::of(value)?;
        let credential = Self {
            edge: members.read("edge"),
            name: members.read("name"),
            keys: members.read("keys"),
            issuer_keys: members.read("issuer_keys"),
            issuers: members.read("issuers"),
        };
        members.end(credential)
    }
}

impl EdgeCredential {
    /// Reads what `postern edge enrol` printed.
    ///
    /// # Errors
    ///
    /// [`CredentialError`] names the member that is missing or cannot be used.
    pub fn parse(document: &[u8]) -> Result<Self, CredentialError> {
        if document.len() > MAX_CREDENTIAL_BYTES {
            return Err(CredentialError::new("", "it is longer than 256 KiB"));
        }
        let malformed = "it is not a JSON object of distinct members";
        let parsed = json::parse(document).map_err(|_| CredentialError::new("", malformed))?;
        let parsed = json::Wiped(parsed);
        let raw = RawCredential::from_value(&parsed.0)
            .map_err(|error| CredentialError { member: error.member, reason: error.reason })?;
        Self::new(raw)
    }

    fn new(raw: RawCredential) -> Result<Self, CredentialError> {
        if base64url::decode(&raw.edge).is_none_or(|id| id.len() != ID_BYTES) {
            return Err(CredentialError::new("edge", "it is not 16 bytes of base64url"));
        }
        let [signing, receiving] = raw.keys.as_slice() else {
            return Err(CredentialError::new("keys", "it needs two keys"));
        };
        let key = |raw: &RawPrivateKey, index, usage, algorithm| {
            raw.key(usage, algorithm).map_err(|(member, reason)| {
                CredentialError::new(&format!("keys[{index}].{member}"), reason)
            })
        };
        let signing = key(signing, 0, "sig", "ES256")?;
        let receiving = key(receiving, 1, "enc", "ECDH-ES+A256KW")?;
        if signing.id == receiving.id {
            return Err(CredentialError::new("keys", "one key is for one thing"));
        }
        let issuer_keys = issuer_keys(&raw.issuer_keys)
            .map_err(|reason| CredentialError::new("issuer_keys", reason))?;
        let issuers = issuers(raw.issuers)?;
        Ok(Self { id: raw.edge, name: raw.name, signing, receiving, issuer_keys, issuers })
    }

    /// Whether the edge may fetch the keys of this issuer.
    #[must_use]
    pub fn covers(&self, issuer: &str) -> bool {
        self.issuers.iter().any(|covered| covered == issuer)
    }

    /// The issuers of whose news a push speaks, where it is the issuer's, for this edge, and of now.
    /// Those that the edge is not enrolled with are left out.
    ///
    /// # Errors
    ///
    /// [`Denial`] where it is not.
    pub fn check_push(&self, token: &[u8], now: Duration) -> Result<Vec<String>, Denial> {
        let mut rules = ClaimRules::new("");
        rules.issuer = None;
        rules.audiences = vec![self.id.clone()];
        rules.clock_skew = PUSH_SKEW;
        rules.max_lifetime = Some(PUSH_LIFETIME + PUSH_SKEW);
        rules.token_types = vec![PUSH_TYPE.to_owned()];
        let push = UnverifiedToken::parse(token, MAX_TOKEN_BYTES)?;
        if !push.key_id().is_some_and(|key_id| self.issuer_keys.contains(key_id)) {
            return Err(Denial::KeyUnknown);
        }
        let push = push.verify(&self.issuer_keys)?;
        let push = push.check(&rules, now)?;
        let named = push.claims().value(&["issuers"]).and_then(Value::as_array);
        let named = named.filter(|named| named.iter().all(Value::is_string));
        let named = named.ok_or(Denial::ClaimsMalformed)?.iter().filter_map(Value::as_str);
        Ok(named.filter(|issuer| self.covers(issuer)).map(str::to_owned).collect())
    }

    pub(crate) fn issuers(&self) -> impl Iterator<Item = &str> {
        self.issuers.iter().map(String::as_str)
    }

    /// What the issuer knows the edge by. Not a secret.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn signing_key(&self) -> &PrivateKey {
        &self.signing
    }

    pub(super) fn receiving_key(&self) -> &PrivateKey {
        &self.receiving
    }

    pub(super) fn issuer_keys(&self) -> &JwkSet {
        &self.issuer_keys
    }
}

/// Nobody will mend them later, so all of them have to be of use now.
fn issuer_keys(document: &Value) -> Result<JwkSet, &'static str> {
    let keys = JwkSet::parse(document.to_string().as_bytes(), KeyKinds::PublicOnly)
        .map_err(|_| "it is no JWK Set")?;
    if keys.is_empty() || !keys.skipped().is_empty() {
        return Err("a key is missing, or cannot be used");
    }
    if keys.algorithms().any(|algorithm| algorithm != Algorithm::Es256) {
        return Err("a key is not for ES256");
    }
    if keys.has_unnamed() {
        return Err("a key has no `kid`");
    }
    Ok(keys)
}

fn issuers(raw: Vec<RawIssuer>) -> Result<Vec<String>, CredentialError> {
    if raw.is_empty() {
        return Err(CredentialError::new("issuers", "it names none"));
    }
    for (index, RawIssuer { issuer, keys_uri }) in raw.iter().enumerate() {
        let uri = |member: &str, uri: &str| {
            let parsed = HttpUri::parse(uri, None, Duration::ZERO);
            parsed.map_err(|reason| {
                CredentialError::new(&format!("issuers[{index}].{member}"), reason)
            })
        };
        uri("issuer", issuer)?;
        // The policy says where they are fetched from.
        uri("keys_uri", keys_uri)?;
    }
    Ok(raw.into_iter().map(|raw| raw.issuer).collect())
}

impl CredentialError {
    fn new(member: &str, reason: &str) -> Self {
        Self { member: member.to_owned(), reason: reason.to_owned() }
    }
}

/// Without the keys.
impl fmt::Debug for EdgeCredential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EdgeCredential")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("issuers", &self.issuers)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for CredentialError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.member.is_empty() {
            return formatter.write_str(&self.reason);
        }
        write!(formatter, "{}: {}", self.member, self.reason)
    }
}

impl std::error::Error for CredentialError {}

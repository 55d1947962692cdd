//! Recognizing the issuer's own tokens, by the same core that the edges run.

use base64ct::{Base64UrlUnpadded, Encoding};
use postern_verify::{
    ClaimRules, Claims, Denial, JwkSet, KeyKinds, MAX_TOKEN_BYTES, UnverifiedToken,
};
use zeroize::Zeroizing;

use crate::{
    clock::Timestamp,
    key::Key,
    key_set::{KeySet, KeyState},
    session::RefreshToken,
};

/// A token that the issuer signed for the domain it was held to.
#[derive(Debug)]
pub(crate) struct OwnToken {
    pub(crate) subject: String,
    pub(crate) username: String,
    pub(crate) session: String,
    pub(crate) refresh: RefreshToken,
    pub(crate) expires_at: Timestamp,
    pub(crate) expired: bool,
}

/// What a token says of the key that it wants to be checked with. Untrusted: it only chooses.
pub(crate) struct Claimed {
    /// The `iss`, or nothing.
    pub(crate) issuer: String,
    /// The `kid`, or nothing.
    pub(crate) key_id: String,
}

/// What a token claims that is at least well formed.
pub(crate) fn claimed(token: &[u8]) -> Option<Claimed> {
    let token = UnverifiedToken::parse(token, MAX_TOKEN_BYTES).ok()?;
    let issuer = token.issuer().unwrap_or_default().to_owned();
    Some(Claimed { issuer, key_id: token.key_id().unwrap_or_default().to_owned() })
}

/// The token, if a key of `key_set` signed it for `issuer` and `audience`, be it expired or not.
pub(crate) fn recognize(
    token: &[u8],
    key_set: &KeySet,
    issuer: String,
    audience: String,
    now: Timestamp,
) -> Option<OwnToken> {
    let token = UnverifiedToken::parse(token, MAX_TOKEN_BYTES).ok()?;
    let key_id = token.key_id()?.to_owned();
    let (key, state, _) = key_set.keys(now).find(|(key, ..)| key.id == key_id)?;
    let signed = token.verify(&verifying(key)?).ok()?;
    let own = OwnToken::read(signed.claims())?;
    let mut rules = ClaimRules::new(issuer);
    rules.audiences = vec![audience];
    match signed.check(&rules, now.since_epoch()) {
        // All that a retired key signed has expired; if it says otherwise, it was stolen.
        Ok(_) if state == KeyState::Retired => None,
        Ok(_) => Some(own),
        Err(Denial::TokenExpired { .. }) => Some(OwnToken { expired: true, ..own }),
        Err(_) => None,
    }
}

/// Whether what `key` signs passes where `key_set` is known as it is published at `now`.
pub(crate) fn passes(key: &Key, key_set: &KeySet, now: Timestamp) -> bool {
    let Ok(token) = key.sign(serde_json::json!({ "iat": now.0 })) else {
        return false;
    };
    let Ok(token) = UnverifiedToken::parse(token.expose().as_bytes(), MAX_TOKEN_BYTES) else {
        return false;
    };
    let keys = if key.public.is_some() {
        let published = key_set.publish(1, now).ok();
        published.and_then(|set| JwkSet::parse(&set.document, KeyKinds::PublicOnly).ok())
    } else {
        // A secret is not published: whoever holds it has it from the key set itself.
        let held = key_set.keys(now).find(|(held, ..)| held.id == key.id);
        held.and_then(|(held, ..)| verifying(held))
    };
    keys.is_some_and(|keys| token.verify(&keys).is_ok())
}

impl OwnToken {
    fn read(claims: &Claims) -> Option<Self> {
        Some(Self {
            subject: claims.string("sub")?.to_owned(),
            username: claims.string("username")?.to_owned(),
            session: claims.string("session")?.to_owned(),
            // A token without one is not refused here: it fails at `/refresh` alone.
            refresh: RefreshToken::presented(claims.string("refresh_token").unwrap_or_default()),
            expires_at: Timestamp(claims.value(&["exp"])?.as_u64()?),
            expired: false,
        })
    }
}

fn verifying(key: &Key) -> Option<JwkSet> {
    let mut members = match (&key.public, &key.secret) {
        (Some(public), _) => serde_json::to_value(public).ok()?,
        (None, Some(secret)) => {
            let secret = Base64UrlUnpadded::encode_string(secret.expose());
            serde_json::json!({ "kty": "oct", "k": secret })
        }
        (None, None) => return None,
    };
    let object = members.as_object_mut()?;
    object.insert("kid".to_owned(), key.id.as_str().into());
    object.insert("alg".to_owned(), key.algorithm.as_str().into());
    let document = serde_json::to_vec(&serde_json::json!({ "keys": [members] })).ok()?;
    JwkSet::parse(&Zeroizing::new(document), KeyKinds::WithSecrets).ok()
}

//! The access tokens that the issuer hands out.

use serde::Serialize;

use crate::{
    clock::Timestamp,
    domain::Domain,
    key::KeyError,
    key_set::KeySet,
    secret::SecretText,
    session::{RefreshToken, Session},
    status_list::StatusClaim,
};

/// A token on its way to its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedToken {
    /// The JWS in compact form.
    pub token: SecretText,
    /// Seconds until its `exp`.
    pub expires_in: u64,
}

/// RFC 9068, section 2.2, the first-party claims `domain`, `username`, `session` and
/// `refresh_token`, and where edges learn whether the session is over.
#[derive(Serialize)]
struct TokenClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: u64,
    exp: u64,
    jti: String,
    domain: &'a str,
    username: &'a str,
    session: &'a str,
    refresh_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<StatusClaim>,
}

/// Signs the token that carries `refresh`. All of its claims follow from the session as it is
/// stored, so that every racer of one refresh gets the same ones.
pub(crate) fn mint(
    issuer: &str,
    domain: &Domain,
    key_set: &KeySet,
    session: &Session,
    refresh: &RefreshToken,
    now: Timestamp,
) -> Result<IssuedToken, KeyError> {
    // Edges refuse what was issued before older sessions were cut off, which this one was not.
    let issued_at = session.refreshed_at.max(session.created_at);
    // An edge does not know the session: its last token must not outlive it.
    let lifetime = domain.settings.token_lifetime;
    let expires_at = session.refreshed_at.plus(lifetime).min(session.expires_at);
    let token = key_set.current.sign(TokenClaims {
        iss: issuer,
        sub: &session.user_id,
        aud: &domain.settings.audience,
        iat: issued_at.0,
        exp: expires_at.0,
        jti: session.token_id(refresh),
        domain: domain.name.as_str(),
        username: session.username.as_str(),
        session: &session.id,
        refresh_token: refresh.expose(),
        status: session.status.map(|place| StatusClaim::of(issuer, place)),
    })?;
    Ok(IssuedToken { token, expires_in: expires_at.since(now) })
}

//! Sessions: one login each, kept alive by single-use refresh tokens.

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};

use crate::{
    clock::Timestamp,
    domain::DomainName,
    secret::{SecretBytes, SecretText, random_id, sha256},
    status_list::StatusPlace,
    user::{User, Username},
};

/// How long the loser of a race may still claim the winner's successor, in seconds.
const REPLAY_WINDOW_SECONDS: u64 = 10;
const ID_BYTES: usize = 16;
const SECRET_BYTES: usize = 32;

/// A session as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Random and never reused: the `session` claim of its tokens.
    pub id: String,
    /// The domain of its user.
    pub domain: DomainName,
    /// Its user's [`User::id`].
    pub user_id: String,
    /// Its user's name at login.
    pub username: Username,
    /// When the user logged in; or, when older sessions were cut off in that very second, the second
    /// after. No token of the session has an earlier `iat`.
    pub created_at: Timestamp,
    /// From when on it cannot be refreshed, whatever happens.
    pub expires_at: Timestamp,
    /// When it ended before its time, and why.
    pub ended: Option<(Timestamp, EndReason)>,
    /// The refresh token that is good for one refresh.
    pub current_refresh: RefreshHash,
    /// The refresh token that the current one replaced.
    pub previous_refresh: Option<RefreshHash>,
    /// When the current refresh token came into being.
    pub refreshed_at: Timestamp,
    /// Derives each refresh token's successor, so that every racer gets the same one and none
    /// is stored in clear.
    pub successor_key: SecretBytes,
    /// Its place in the domain's status lists; a session of before there were any has none.
    pub status: Option<StatusPlace>,
}

/// Why a session ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndReason {
    /// The user logged out.
    Logout,
    /// A refresh token came back after its successor was in use: one of the two was stolen.
    Reuse,
    /// The user was disabled.
    Disabled,
}

impl EndReason {
    pub(crate) const ALL: [Self; 3] = [Self::Logout, Self::Reuse, Self::Disabled];

    /// The stable name that is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::Reuse => "reuse",
            Self::Disabled => "disabled",
        }
    }
}

/// A refresh token in clear: 32 bytes as base64url.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefreshToken(SecretText);

/// SHA-256 of a refresh token, which is all that is stored. A plain hash is enough: the token
/// is 256 random bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RefreshHash(pub [u8; 32]);

impl fmt::Debug for RefreshHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

/// What a presented refresh token is to its session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RefreshStanding {
    /// The current one: good for one refresh.
    Current,
    /// The one just replaced, within the window: a racer or a retry.
    JustReplaced,
    /// Any other: it was used before.
    Reused,
}

impl Session {
    /// A fresh session of `user`, and its first refresh token.
    pub(crate) fn start(user: &User, now: Timestamp, lifetime: u64) -> (Self, RefreshToken) {
        let refresh = RefreshToken::random();
        let session = Self {
            id: random_id(ID_BYTES),
            domain: user.domain.clone(),
            user_id: user.id.clone(),
            username: user.username.clone(),
            created_at: now,
            expires_at: now.plus(lifetime),
            ended: None,
            current_refresh: refresh.hash(),
            previous_refresh: None,
            refreshed_at: now,
            successor_key: SecretBytes::random(SECRET_BYTES),
            status: None,
        };
        (session, refresh)
    }

    /// Whether nothing has ended it and its time is not over.
    pub(crate) fn is_alive(&self, now: Timestamp) -> bool {
        self.ended.is_none() && now < self.expires_at
    }

    pub(crate) fn standing(&self, presented: &RefreshToken, now: Timestamp) -> RefreshStanding {
        let hash = presented.hash();
        // Both ways: after a clock was set back the window must not stay open until it has
        // caught up.
        let in_window = now.0.abs_diff(self.refreshed_at.0) <= REPLAY_WINDOW_SECONDS;
        if hash == self.current_refresh {
            RefreshStanding::Current
        } else if in_window && self.has_just_replaced(presented) {
            RefreshStanding::JustReplaced
        } else {
            RefreshStanding::Reused
        }
    }

    /// Whether the current refresh token is the successor of `refresh`.
    pub(crate) fn has_just_replaced(&self, refresh: &RefreshToken) -> bool {
        self.previous_refresh == Some(refresh.hash())
    }

    /// The one successor of `refresh` in this session.
    pub(crate) fn successor(&self, refresh: &RefreshToken) -> RefreshToken {
        let mac = self.successor_key.hmac(&[b"refresh", refresh.0.expose().as_bytes()]);
        RefreshToken::encode(mac.expose())
    }

    /// The `jti` of the access token that carries `refresh`: every racer must name the same.
    pub(crate) fn token_id(&self, refresh: &RefreshToken) -> String {
        let mac = self.successor_key.hmac(&[b"jti", refresh.0.expose().as_bytes()]);
        let half: Vec<u8> = mac.expose().iter().take(ID_BYTES).copied().collect();
        Base64UrlUnpadded::encode_string(&half)
    }
}

impl RefreshToken {
    fn random() -> Self {
        Self::encode(SecretBytes::random(SECRET_BYTES).expose())
    }

    fn encode(bytes: &[u8]) -> Self {
        Self(SecretText::new(Base64UrlUnpadded::encode_string(bytes)))
    }

    /// Takes a presented text as it is; only its hash is ever compared.
    pub(crate) fn presented(text: &str) -> Self {
        Self(SecretText::new(text.to_owned()))
    }

    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }

    pub(crate) fn hash(&self) -> RefreshHash {
        RefreshHash(sha256(self.0.expose().as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::PasswordHash;

    fn session() -> (Session, RefreshToken) {
        let user = User {
            id: "u1".to_owned(),
            domain: "shop".parse().unwrap(),
            username: "ada".parse().unwrap(),
            password_hash: PasswordHash(String::new()),
            created_at: Timestamp(0),
            disabled_at: None,
        };
        Session::start(&user, Timestamp(1000), 600)
    }

    #[test]
    fn a_refresh_token_is_current_then_replaced_then_reused() {
        let (mut session, first) = session();
        assert_eq!(session.standing(&first, Timestamp(1500)), RefreshStanding::Current);
        session.previous_refresh = Some(session.current_refresh);
        session.current_refresh = session.successor(&first).hash();
        session.refreshed_at = Timestamp(1500);
        assert_eq!(session.standing(&first, Timestamp(1510)), RefreshStanding::JustReplaced);
        assert_eq!(session.standing(&first, Timestamp(1511)), RefreshStanding::Reused);
        assert_eq!(session.standing(&first, Timestamp(1490)), RefreshStanding::JustReplaced);
        assert_eq!(session.standing(&first, Timestamp(1489)), RefreshStanding::Reused);
        let stranger = RefreshToken::presented("");
        assert_eq!(session.standing(&stranger, Timestamp(1500)), RefreshStanding::Reused);
    }

    #[test]
    fn successors_are_one_per_token_and_session() {
        let (session, first) = session();
        let second = session.successor(&first);
        assert_eq!(second, session.successor(&first));
        assert_ne!(second, session.successor(&second));
        assert_ne!(second, super::tests::session().0.successor(&first));
        assert_ne!(session.token_id(&first), session.token_id(&second));
        assert_eq!(second.expose().len(), 43);
    }

    #[test]
    fn a_session_lives_until_its_time_is_over_or_it_is_ended() {
        let (mut session, _) = session();
        assert!(session.is_alive(Timestamp(1599)));
        assert!(!session.is_alive(Timestamp(1600)));
        session.ended = Some((Timestamp(1001), EndReason::Logout));
        assert!(!session.is_alive(Timestamp(1001)));
    }

    #[test]
    fn debug_shows_no_secret() {
        let (session, refresh) = session();
        let text = format!("{session:?} {refresh:?}");
        assert!(text.contains("successor_key: [redacted]"), "{text}");
        assert!(text.contains("current_refresh: [redacted]"), "{text}");
        assert!(!text.contains(refresh.expose()));
    }
}

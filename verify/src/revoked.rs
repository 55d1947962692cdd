//! Sessions that ended before their tokens do.

use std::{collections::BTreeMap, time::Duration};

use crate::claims::Claims;

/// Most sessions that are remembered at once.
const MAX_SESSIONS: usize = 100_000;

/// The sessions whose tokens are refused, whatever else is right about them.
#[derive(Debug, Default)]
pub(crate) struct RevokedSessions {
    /// Until when, by provider and session: no token of it lives longer.
    until: BTreeMap<usize, BTreeMap<Box<str>, Duration>>,
}

impl RevokedSessions {
    /// Refuses the tokens of a session from now on; false where there is no room for it.
    pub(crate) fn add(
        &mut self,
        provider: usize,
        session: &str,
        until: Duration,
        now: Duration,
    ) -> bool {
        if self.len() >= MAX_SESSIONS {
            self.until.values_mut().for_each(|sessions| sessions.retain(|_, until| *until > now));
        }
        let is_full = self.len() >= MAX_SESSIONS;
        let sessions = self.until.entry(provider).or_default();
        if is_full && !sessions.contains_key(session) {
            return false;
        }
        let known = sessions.entry(session.into()).or_default();
        *known = until.max(*known);
        true
    }

    pub(crate) fn holds(&self, provider: usize, session: &str, now: Duration) -> bool {
        let until = self.until.get(&provider).and_then(|sessions| sessions.get(session));
        until.is_some_and(|until| now < *until)
    }

    fn len(&self) -> usize {
        self.until.values().map(BTreeMap::len).sum()
    }
}

/// The session that a token belongs to: `sid` (OpenID Connect Front-Channel Logout 1.0 §3), or
/// `session`, as Postern's issuer calls it.
pub(crate) fn session(claims: &Claims) -> Option<&str> {
    claims.string("sid").or(claims.string("session"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);

    #[test]
    fn a_session_is_refused_for_as_long_as_its_tokens_live() {
        let mut revoked = RevokedSessions::default();
        let end = NOW + Duration::from_secs(300);
        assert!(revoked.add(0, "s", end, NOW) && revoked.add(0, "s", NOW, NOW));
        let just_before = end.saturating_sub(Duration::from_nanos(1));
        assert!(revoked.holds(0, "s", NOW) && revoked.holds(0, "s", just_before));
        assert!(!revoked.holds(0, "s", end));
        assert!(!revoked.holds(1, "s", NOW) && !revoked.holds(0, "t", NOW));
    }

    #[test]
    fn there_is_a_bound_and_it_is_told() {
        let mut revoked = RevokedSessions::default();
        let end = NOW + Duration::from_secs(300);
        assert!((0..MAX_SESSIONS).all(|number| revoked.add(0, &number.to_string(), end, NOW)));
        assert!(!revoked.add(0, "one more", end, NOW));
        assert!(revoked.add(0, "7", end, NOW), "what is known needs no room");
        assert!(revoked.add(0, "one more", end * 2, end), "what has ended makes room");
        assert!(revoked.holds(0, "one more", end));
    }
}

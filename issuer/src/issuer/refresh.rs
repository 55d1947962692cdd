//! Refreshing: of any number of racers one takes the turn, and all get the same successor.

use std::sync::Arc;

use super::{Issuer, Presented, Refusal};
use crate::{
    session::{EndReason, RefreshStanding, Session},
    token::IssuedToken,
};

impl Issuer {
    /// Replaces a token, expired or not, by its one successor.
    ///
    /// # Errors
    ///
    /// [`Refusal::Token`], [`Refusal::Domain`], [`Refusal::Session`],
    /// [`Refusal::RefreshToken`], [`Refusal::SessionExpired`] or [`Refusal::Failed`].
    pub async fn refresh(&self, token: &[u8]) -> Result<IssuedToken, Refusal> {
        let presented = self.recognize(token).await?;
        let session = self.living_session(&presented).await?;
        match session.standing(&presented.token.refresh, self.ports.clock.now()) {
            RefreshStanding::Current => match self.take_turn(&presented, &session).await? {
                Some(issued) => Ok(issued),
                None => self.after_lost_race(&presented).await,
            },
            RefreshStanding::JustReplaced => self.successor(&presented, &session),
            RefreshStanding::Reused => self.refuse_reuse(&presented, &session).await,
        }
    }

    /// The next token, if the refresh token still is the current one when it comes to writing.
    async fn take_turn(
        &self,
        presented: &Presented,
        session: &Session,
    ) -> Result<Option<IssuedToken>, Refusal> {
        let refresh = &presented.token.refresh;
        let session = Session { refreshed_at: self.ports.clock.now(), ..session.clone() };
        // Before anything is written: a key that cannot sign must not cost the refresh token.
        let issued = self.successor(presented, &session)?;
        let (current, next) = (refresh.hash(), session.successor(refresh).hash());
        let clock = Arc::clone(&self.ports.clock);
        let replaced = self.ports.store.replace_refresh(&session, current, next, clock).await?;
        if replaced.is_some() {
            self.refuse_cut_off(&session).await?;
        }
        match replaced {
            Some(written) if written == session.refreshed_at => Ok(Some(issued)),
            // The write had to wait. Racers tell the times in the token by what is stored.
            Some(written) => {
                let session = Session { refreshed_at: written, ..session };
                self.successor(presented, &session).map(Some)
            }
            None => Ok(None),
        }
    }

    /// Someone may have cut the session off since it was found alive, and the token that was written
    /// after that would outlive the cut at edges.
    async fn refuse_cut_off(&self, session: &Session) -> Result<(), Refusal> {
        let Session { domain, user_id, created_at, .. } = session;
        let not_before = self.ports.store.not_before_of(domain, user_id).await?;
        if *created_at < not_before { Err(Refusal::Session) } else { Ok(()) }
    }

    /// This request itself has seen its refresh token current, so it is no reuse, however long
    /// the request has waited since.
    async fn after_lost_race(&self, presented: &Presented) -> Result<IssuedToken, Refusal> {
        let session = self.living_session(presented).await?;
        let refresh = &presented.token.refresh;
        if session.has_just_replaced(refresh) {
            return self.successor(presented, &session);
        }
        match session.standing(refresh, presented.now) {
            // Nobody has replaced it: while the write waited, the session's time ran out.
            RefreshStanding::Current => Err(Refusal::SessionExpired),
            _ => self.refuse_reuse(presented, &session).await,
        }
    }

    fn successor(&self, presented: &Presented, session: &Session) -> Result<IssuedToken, Refusal> {
        let Presented { domain, key_set, token, .. } = presented;
        Ok(self.mint(domain, key_set, session, &session.successor(&token.refresh))?)
    }

    async fn refuse_reuse(
        &self,
        presented: &Presented,
        session: &Session,
    ) -> Result<IssuedToken, Refusal> {
        self.ports.store.end_session(session, EndReason::Reuse, presented.now).await?;
        Err(Refusal::RefreshToken)
    }
}

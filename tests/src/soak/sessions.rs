//! Those who keep sessions: they log in, refresh, log out, and see what the issuer says to that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::knowledge::KeyStanding;
use super::ledger::{Session, Specimen};
use super::load::Scene;
use super::{PASSWORD, USERNAME};
use crate::load::since_epoch;
use crate::{Client, Failure, Request, Response};
use serde_json::json;

/// A token is refreshed when it is so old.
const SHORTEST_LIFE: Duration = Duration::from_secs(1);
const LONGEST_LIFE: Duration = Duration::from_secs(4);
/// Of so many tokens, the session of one is ended instead.
const ENDINGS: usize = 12;
/// Before asking an issuer again that gives no answer.
const PAUSE: Duration = Duration::from_millis(200);
/// The issuer takes a refresh token that it has replaced for 10 s, for those who got no answer.
const RETRY_WINDOW: Duration = Duration::from_secs(9);

/// What became of sessions, at the issuer.
#[derive(Debug, Default)]
pub(super) struct IssuerCounts {
    pub(super) logins: AtomicU64,
    pub(super) refreshes: AtomicU64,
    pub(super) logouts: AtomicU64,
    pub(super) disabled: AtomicU64,
    /// Refreshes of ended sessions that were refused, as they have to be.
    pub(super) refused: AtomicU64,
    /// Refreshes that were refused because the keys of their tokens are withdrawn.
    pub(super) withdrawn: AtomicU64,
    /// Refreshes whose answer was lost, and that could be tried again only too late.
    pub(super) too_late: AtomicU64,
    /// Times without an answer, as the issuer was down.
    pub(super) unanswered: AtomicU64,
}

/// One more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// One who keeps one session after the other, until the run ends.
pub(super) struct Keeper {
    pub(super) scene: Arc<Scene>,
    pub(super) counts: Arc<IssuerCounts>,
    pub(super) issuer: Client,
    pub(super) domain: &'static str,
}

impl Keeper {
    /// # Errors
    /// When the issuer refuses what it must grant, or grants what it must refuse.
    pub(super) async fn keep(self) -> Result<(), Failure> {
        while !self.scene.has_ended() {
            let session = Arc::default();
            let Some(token) = self.log_in(USERNAME, &session).await? else { break };
            self.live(&session, token).await?;
        }
        Ok(())
    }

    /// From the login to the end of a session, or of the run.
    async fn live(&self, session: &Arc<Session>, mut token: Arc<Specimen>) -> Result<(), Failure> {
        self.scene.pool.renew(None, &token);
        while !self.scene.has_ended() {
            tokio::time::sleep(self.scene.random.between(SHORTEST_LIFE, LONGEST_LIFE)).await;
            if self.scene.random.below(ENDINGS) == 0 {
                self.log_out(session, &token).await?;
                return self.is_refused(&token).await;
            }
            let Some(next) = self.refresh(session, &token).await? else { break };
            self.scene.pool.renew(Some(&token), &next);
            token = next;
        }
        self.scene.pool.abandon(&token);
        Ok(())
    }

    /// Logs in, however long the issuer is down; none at the end of the run.
    pub(super) async fn log_in(
        &self,
        username: &str,
        session: &Arc<Session>,
    ) -> Result<Option<Arc<Specimen>>, Failure> {
        let body = json!({ "domain": self.domain, "username": username, "password": PASSWORD });
        let Some(answer) = self.answer(&Request::post("/login", &body)).await else {
            return Ok(None);
        };
        count(&self.counts.logins);
        self.specimen(&answer, session).map(Some)
    }

    /// The token's successor; none where there will not be one, through nobody's fault.
    async fn refresh(
        &self,
        session: &Arc<Session>,
        token: &Specimen,
    ) -> Result<Option<Arc<Specimen>>, Failure> {
        let start = Instant::now();
        let request = Request::get("/refresh").bearer(&token.token);
        let Some(answer) = self.answer(&request).await else { return Ok(None) };
        if answer.status == 200 {
            count(&self.counts.refreshes);
            return self.specimen(&answer, session).map(Some);
        }
        let standing = self.scene.knowledge.standing(&token.key_id, since_epoch());
        if matches!(standing, KeyStanding::BeingWithdrawn | KeyStanding::Withdrawn) {
            count(&self.counts.withdrawn);
            return Ok(None);
        }
        if start.elapsed() > RETRY_WINDOW {
            count(&self.counts.too_late);
            return Ok(None);
        }
        Err(surprise("a living session was not refreshed", &answer))
    }

    async fn log_out(&self, session: &Session, token: &Arc<Specimen>) -> Result<(), Failure> {
        // From here on, whoever asks may find it ended: the answer may get lost.
        session.end();
        self.scene.pool.revoke(token);
        let request = Request::post("/logout", &json!({})).bearer(&token.token);
        match self.answer(&request).await {
            // 401: it was ended, and the answer to that was lost, or its key was withdrawn.
            Some(answer) if [204, 401].contains(&answer.status) => count(&self.counts.logouts),
            Some(answer) => return Err(surprise("a logout was refused", &answer)),
            None => {}
        }
        Ok(())
    }

    /// An ended session gives no token any more, from the first request on.
    pub(super) async fn is_refused(&self, token: &Specimen) -> Result<(), Failure> {
        let request = Request::get("/refresh").bearer(&token.token);
        match self.answer(&request).await {
            Some(answer) if answer.status == 200 => {
                Err(surprise("an ended session was refreshed", &answer))
            }
            Some(_) => {
                count(&self.counts.refused);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Asks until the issuer answers; none at the end of the run. What it says when it is busy or
    /// starting is no answer.
    async fn answer(&self, request: &Request) -> Option<Response> {
        while !self.scene.has_ended() {
            match self.issuer.send(request.clone()).await {
                Ok(answer) if answer.status < 500 && answer.status != 429 => return Some(answer),
                _ => count(&self.counts.unanswered),
            }
            tokio::time::sleep(PAUSE).await;
        }
        None
    }

    fn specimen(
        &self,
        answer: &Response,
        session: &Arc<Session>,
    ) -> Result<Arc<Specimen>, Failure> {
        if answer.status != 200 {
            return Err(surprise("there is no token", answer));
        }
        Specimen::read(answer.text("token"), self.domain, Arc::clone(session)).map(Arc::new)
    }
}

fn surprise(what: &str, answer: &Response) -> Failure {
    Failure::new(format!("the issuer: {what}: {} {}", answer.status, answer.body))
}

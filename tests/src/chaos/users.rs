//! Those who keep sessions: they log in, refresh, and end them by every means that there is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::PASSWORD;
use super::book::{Hit, Means, Scope};
use super::pool::Specimen;
use super::scene::{Scene, count};
use crate::load::{command, since_epoch};
use crate::{Client, Failure, Issuer, Request, Response};

/// Before asking an issuer again that gives no answer.
const PAUSE: Duration = Duration::from_millis(200);
/// The issuer takes a token that it has replaced for 10 s, for those who got no answer; from then on
/// it is re-use, which ends the session.
const RETRY_WINDOW: Duration = Duration::from_secs(8);
const IS_REUSE: Duration = Duration::from_secs(11);
/// What a token has to have left for that.
const LEEWAY: Duration = Duration::from_secs(2);
/// The most sessions that a user has, one after the other.
const SESSIONS: u32 = 10_000;
/// How users end their sessions.
const MEANS: [Means; 4] = [Means::Logout, Means::Disable, Means::Reuse, Means::EndOfUser];

/// One who keeps one session after the other, until the run ends.
pub(super) struct User {
    pub(super) scene: Arc<Scene>,
    pub(super) issuer: Client,
    pub(super) data: Arc<Issuer>,
    pub(super) domain: &'static str,
    /// Among all users of the run.
    pub(super) number: u32,
    pub(super) pace: Pace,
}

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// From a token to the next one.
    pub(super) refresh: (Duration, Duration),
    /// From a login to an end.
    pub(super) session: (Duration, Duration),
    /// No session is ended after that: nobody could see what becomes of it.
    pub(super) last_end: Duration,
}

/// How a session goes on.
enum Outcome {
    Ended,
    /// The user is disabled: another has to take the place.
    UserGone,
    /// It is not known any more what became of it, or the run is over.
    Lost,
}

impl User {
    /// # Errors
    /// When the issuer refuses what it must grant, or grants what it must refuse.
    pub(super) async fn live(self) -> Result<(), Failure> {
        let mut name = self.name(0);
        for turn in 0..SESSIONS {
            if self.scene.has_ended() {
                break;
            }
            let session = self.number * SESSIONS + turn;
            if let Outcome::UserGone = self.keep(&name, session).await? {
                name = self.name(turn + 1);
                self.create(&name).await?;
            }
        }
        Ok(())
    }

    /// Creates the first user of this place.
    pub(super) async fn arrive(&self) -> Result<(), Failure> {
        self.create(&self.name(0)).await
    }

    async fn create(&self, name: &str) -> Result<(), Failure> {
        let (data, domain, name) = (Arc::clone(&self.data), self.domain, name.to_owned());
        let create = move || data.user_create(domain, &name, PASSWORD).map(|_| ());
        tokio::task::spawn_blocking(create)
            .await
            .map_err(Failure::while_doing("creating a user"))?
    }

    fn name(&self, turn: u32) -> String {
        format!("user-{}-{turn}", self.number)
    }

    /// By chance; but re-use takes so long that some begin with it.
    fn means(&self, turn: u32) -> Means {
        if turn == 0 && self.number.is_multiple_of(3) {
            return Means::Reuse;
        }
        self.scene.random.choose(&MEANS).copied().unwrap_or(Means::Logout)
    }

    /// From a login to the end of the session, or of the run.
    async fn keep(&self, name: &str, session: u32) -> Result<Outcome, Failure> {
        let means = self.means(session % SESSIONS);
        let Some(mut token) = self.log_in(name, session).await? else { return Ok(Outcome::Lost) };
        self.scene.pool.renew(None, &token);
        let (least, most) = self.pace.session;
        let least = if means == Means::Reuse { least.max(IS_REUSE + LEEWAY * 2) } else { least };
        let end = Instant::now() + self.scene.random.between(least, most.max(least));
        let mut replaced = Vec::new();
        while Instant::now() < end {
            let (least, most) = self.pace.refresh;
            tokio::time::sleep(self.scene.random.between(least, most)).await;
            let Some(next) = self.refresh(session, &token).await? else {
                self.scene.pool.leave(&token);
                return Ok(Outcome::Lost);
            };
            self.scene.pool.renew(Some(&token), &next);
            replaced.push((token, Instant::now()));
            token = next;
        }
        if self.scene.has_ended() || since_epoch() > self.pace.last_end {
            return self.rest().await;
        }
        let outcome = self.end(means, (name, session), &token, &replaced).await?;
        self.is_refused(&token).await?;
        Ok(outcome)
    }

    /// Until the run is over.
    async fn rest(&self) -> Result<Outcome, Failure> {
        while !self.scene.has_ended() {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(Outcome::Lost)
    }

    async fn end(
        &self,
        means: Means,
        (name, session): (&str, u32),
        token: &Arc<Specimen>,
        replaced: &[(Arc<Specimen>, Instant)],
    ) -> Result<Outcome, Failure> {
        let reusable = replaced.iter().rev().find(|(old, since)| {
            since.elapsed() >= IS_REUSE && old.expiration > since_epoch() + LEEWAY
        });
        match (means, reusable) {
            (Means::Disable, _) => {
                let number = self.revoking(means, session, token);
                command(&self.data, &["user", "disable", self.domain, name]).await?;
                self.scene.is_revoked(number);
                Ok(Outcome::UserGone)
            }
            (Means::EndOfUser, _) => {
                let scope = Scope::Issued(self.domain, Some(token.subject.clone()));
                let number = self.scene.revoke(means, scope);
                command(&self.data, &["user", "end-sessions", self.domain, name]).await?;
                self.scene.is_revoked(number);
                self.scene.pool.revoke(token, since_epoch());
                Ok(Outcome::Ended)
            }
            (Means::Reuse, Some((old, _))) => {
                let number = self.revoking(means, session, token);
                self.use_again(old, number).await
            }
            _ => {
                let number = self.revoking(Means::Logout, session, token);
                self.log_out(token, number).await
            }
        }
    }

    async fn use_again(&self, old: &Specimen, number: usize) -> Result<Outcome, Failure> {
        match self.answer(&Request::get("/refresh").bearer(&old.token)).await {
            Some(answer) if answer.status == 200 => {
                return Err(surprise("a replaced token was refreshed", &answer));
            }
            // An expired one is refused for that alone.
            Some(_) if old.expiration > since_epoch() => self.scene.is_revoked(number),
            _ => {}
        }
        Ok(Outcome::Ended)
    }

    async fn log_out(&self, token: &Specimen, number: usize) -> Result<Outcome, Failure> {
        let request = Request::post("/logout", &json!({})).bearer(&token.token);
        match self.answer(&request).await {
            // 401: it was ended, and the answer to that was lost, or something else has ended it.
            Some(answer) if [204, 401].contains(&answer.status) => self.scene.is_revoked(number),
            Some(answer) => return Err(surprise("a logout was refused", &answer)),
            None => {}
        }
        Ok(Outcome::Ended)
    }

    /// From here on, whoever asks may find it ended.
    fn revoking(&self, means: Means, session: u32, token: &Arc<Specimen>) -> usize {
        let number = self.scene.revoke(means, Scope::Session(session));
        self.scene.pool.revoke(token, since_epoch());
        number
    }

    /// Logs in, however long the issuer is down; none at the end of the run.
    async fn log_in(&self, name: &str, session: u32) -> Result<Option<Arc<Specimen>>, Failure> {
        let body = json!({ "domain": self.domain, "username": name, "password": PASSWORD });
        let Some(answer) = self.answer(&Request::post("/login", &body)).await else {
            return Ok(None);
        };
        count(&self.scene.counts.logins);
        self.specimen(&answer, session).map(Some)
    }

    /// The token's successor; none where there will not be one, through nobody's fault.
    async fn refresh(
        &self,
        session: u32,
        token: &Arc<Specimen>,
    ) -> Result<Option<Arc<Specimen>>, Failure> {
        let start = Instant::now();
        let request = Request::get("/refresh").bearer(&token.token);
        let answer = tokio::time::timeout(RETRY_WINDOW, self.answer(&request)).await;
        let Ok(Some(answer)) = answer else { return Ok(None) };
        if answer.status == 200 {
            count(&self.scene.counts.refreshes);
            return self.specimen(&answer, session).map(Some);
        }
        if self.is_ended_by_others(token) || start.elapsed() > RETRY_WINDOW {
            return Ok(None);
        }
        Err(surprise("a living session was not refreshed", &answer))
    }

    /// Whether the domain's sessions were ended, or its keys withdrawn.
    fn is_ended_by_others(&self, token: &Specimen) -> bool {
        let book = self.scene.book();
        book.tokens.get(token.number).is_some_and(|token| {
            book.revocations.iter().any(|revocation| revocation.hits(token) != Hit::No)
        })
    }

    /// An ended session gives no token any more, from the first request on.
    async fn is_refused(&self, token: &Specimen) -> Result<(), Failure> {
        match self.answer(&Request::get("/refresh").bearer(&token.token)).await {
            Some(answer) if answer.status == 200 => {
                Err(surprise("an ended session was refreshed", &answer))
            }
            _ => Ok(()),
        }
    }

    /// Asks until the issuer answers; none at the end of the run. What it says when it is busy or
    /// starting is no answer.
    async fn answer(&self, request: &Request) -> Option<Response> {
        while !self.scene.has_ended() {
            match self.issuer.send(request.clone()).await {
                Ok(answer) if answer.status < 500 && answer.status != 429 => return Some(answer),
                _ => count(&self.scene.counts.unanswered),
            }
            tokio::time::sleep(PAUSE).await;
        }
        None
    }

    fn specimen(&self, answer: &Response, session: u32) -> Result<Arc<Specimen>, Failure> {
        if answer.status != 200 {
            return Err(surprise("there is no token", answer));
        }
        self.scene.token(answer.text("token"), self.domain, session)
    }
}

fn surprise(what: &str, answer: &Response) -> Failure {
    Failure::new(format!("the issuer: {what}: {} {}", answer.status, answer.body))
}

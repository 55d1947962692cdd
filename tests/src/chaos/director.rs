//! Carries out the plan, and rotates the keys beside it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::book::{Kind, Means, Scope};
use super::edges::Edge;
use super::passage::Mode;
use super::plan::{Deed, What};
use super::pool::Specimen;
use super::scene::Scene;
use super::{SHOP, VAULT};
use crate::load::{command, published, since_epoch};
use crate::{Client, Failure, Issuer, Request};

/// How far a clock jumps, in seconds.
const JUMP: i64 = 60;
/// Before the first trouble: while an edge is cut off, rotations wait for it.
const FIRST_ROTATION: Duration = Duration::from_millis(500);
/// How often the issuer is asked whether it answers in time, and what that is: half of what an edge
/// allows a fetch.
const PROBE_PERIOD: Duration = Duration::from_millis(250);
const PROBE_LIMIT: Duration = Duration::from_secs(1);
/// How often it is looked whether everything still runs.
const WATCH_PERIOD: Duration = Duration::from_millis(500);

/// Whom the deeds are done to.
#[derive(Clone)]
pub(super) struct Director {
    pub(super) scene: Arc<Scene>,
    pub(super) edges: Vec<Arc<Edge>>,
    pub(super) data: Arc<Issuer>,
    pub(super) server: Arc<Mutex<Issuer>>,
}

impl Director {
    /// Does all of it, each at its time.
    ///
    /// # Errors
    /// When something does not start again.
    pub(super) async fn carry_out(self, plan: Vec<Deed>) -> Result<(), Failure> {
        let start = Instant::now();
        let mut doing = JoinSet::new();
        for deed in plan {
            sleep_until(start + deed.at).await;
            let director = self.clone();
            doing.spawn(async move { director.perform(deed).await });
            while let Some(done) = doing.try_join_next() {
                done.map_err(Failure::while_doing("a deed"))??;
            }
        }
        while let Some(done) = doing.join_next().await {
            done.map_err(Failure::while_doing("a deed"))??;
        }
        Ok(())
    }

    async fn perform(&self, deed: Deed) -> Result<(), Failure> {
        match deed.what {
            What::Withdraw(domain) => self.withdraw(domain).await,
            What::EndSessions(domain) => self.end_sessions(domain).await,
            What::Trouble(kind, None) => self.kill_issuer(kind, deed.lasts).await,
            What::Trouble(kind, Some(number)) => {
                let missing = || Failure::new("there is no such edge");
                let edge = self.edges.get(number).ok_or_else(missing)?;
                let trouble = self.scene.begin(kind, Some(number));
                let outcome = self.disturb(kind, (number, edge), deed.lasts).await;
                self.scene.finish(trouble);
                outcome
            }
        }
    }

    async fn disturb(
        &self,
        kind: Kind,
        (number, edge): (usize, &Edge),
        lasts: Duration,
    ) -> Result<(), Failure> {
        let mode = match kind {
            Kind::HotRestart => return edge.hot_restart().await,
            Kind::Kill | Kind::Restart => return edge.restart().await,
            Kind::ClockJump => return self.jump((number, edge), lasts).await,
            Kind::Slow => {
                edge.slow_down()?;
                sleep(lasts).await;
                return edge.speed_up();
            }
            Kind::Cut | Kind::LongCut | Kind::IssuerDead | Kind::IssuerBusy => {
                edge.cut(self.scene.random.below(2) == 0)?;
                sleep(lasts).await;
                return edge.mend();
            }
            Kind::Flip => Mode::Flip,
            Kind::Truncate => Mode::Truncate,
            Kind::RollBack => Mode::RollBack,
            Kind::Freeze => Mode::Freeze,
        };
        edge.passage.be(mode);
        sleep(lasts).await;
        edge.passage.be(Mode::Pass);
        Ok(())
    }

    async fn jump(&self, (number, edge): (usize, &Edge), lasts: Duration) -> Result<(), Failure> {
        self.scene.shift(number, JUMP);
        edge.put_clock(JUMP).await?;
        sleep(lasts).await;
        self.scene.shift(number, 0);
        edge.put_clock(0).await
    }

    async fn kill_issuer(&self, kind: Kind, lasts: Duration) -> Result<(), Failure> {
        let mut server = self.server.lock().await;
        let trouble = self.scene.begin(kind, None);
        server.kill();
        sleep(lasts).await;
        let outcome = server.start().await;
        self.scene.finish(trouble);
        outcome
    }

    /// Withdraws all keys of a domain that are in use, as after a theft.
    async fn withdraw(&self, domain: &'static str) -> Result<(), Failure> {
        let before = published(&self.data, domain).await?;
        let number = self.scene.revoke(Means::Withdrawal, Scope::Keys(domain, before.clone()));
        command(&self.data, &["keys", "rotate", domain, "--compromised"]).await?;
        let left = self.scene.look_at_keys(&self.data, domain, since_epoch()).await?;
        let withdrawn: Vec<String> = before.into_iter().filter(|key| !left.contains(key)).collect();
        if let Some(revocation) = self.scene.book().revocations.get_mut(number) {
            revocation.scope = Scope::Keys(domain, withdrawn.clone());
        }
        self.scene.is_revoked(number);
        self.scene.pool.revoke_all(|token| withdrawn.contains(&token.key_id), since_epoch());
        Ok(())
    }

    async fn end_sessions(&self, domain: &'static str) -> Result<(), Failure> {
        let number = self.scene.revoke(Means::EndOfDomain, Scope::Issued(domain, None));
        let asked = since_epoch();
        command(&self.data, &["domain", "end-sessions", domain]).await?;
        self.scene.is_revoked(number);
        let is_hit =
            |token: &Specimen| token.domain == domain && token.issued.as_secs() < asked.as_secs();
        self.scene.pool.revoke_all(is_hit, since_epoch());
        Ok(())
    }

    /// Rotates the keys of the domains in turns, each time as soon as every edge holds the next one, or
    /// at the bound that the issuer has published.
    ///
    /// # Errors
    /// When the command fails.
    pub(super) async fn rotate(self, period: Duration) -> Result<(), Failure> {
        sleep(FIRST_ROTATION).await;
        for domain in [SHOP, VAULT].into_iter().cycle() {
            let (scene, data) = (Arc::clone(&self.scene), Arc::clone(&self.data));
            let rotate = move || {
                let words = ["keys", "rotate", domain, "--wait"];
                data.postern_until(&words, || scene.has_ended())
            };
            let rotated = spawn_blocking(rotate);
            if !rotated.await.map_err(Failure::while_doing("a rotation"))?? {
                break;
            }
            self.scene.book().rotations.push((since_epoch(), domain));
            self.scene.look_at_keys(&self.data, domain, since_epoch()).await?;
            sleep(period).await;
        }
        // The run is over, and its end ends this.
        std::future::pending().await
    }

    /// Asks as the edges do: where the issuer is slow, because it or the whole machine is busy, they
    /// cannot learn anything either.
    ///
    /// # Errors
    /// Never; it goes on until it is stopped.
    pub(super) async fn probe(self, issuer: Client) -> Result<(), Failure> {
        let keys = Request::get(&format!("/{SHOP}/.well-known/jwks.json"));
        let mut answered = since_epoch();
        let mut trouble = None;
        loop {
            sleep(PROBE_PERIOD).await;
            let answer = timeout(PROBE_LIMIT, issuer.send(keys.clone())).await;
            if matches!(answer, Ok(Ok(answer)) if answer.status == 200) {
                answered = since_epoch();
                if let Some(trouble) = trouble.take() {
                    self.scene.finish(trouble);
                }
            } else if trouble.is_none() && !self.scene.is_going_on(Kind::IssuerDead, answered) {
                trouble = Some(self.scene.begin_at(Kind::IssuerBusy, None, answered));
            }
        }
    }

    /// Sees to it that nothing ends that nobody has ended.
    ///
    /// # Errors
    /// When something does.
    pub(super) async fn watch(self) -> Result<(), Failure> {
        loop {
            sleep(WATCH_PERIOD).await;
            for edge in &self.edges {
                if let Some(failure) = edge.ended().await {
                    return Err(failure);
                }
            }
            if let Some(failure) = self.server.lock().await.ended() {
                return Err(failure);
            }
        }
    }
}

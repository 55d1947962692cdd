//! What goes on at the issuer: rotations, withdrawals, deaths, and users who are disabled.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::load::Scene;
use super::sessions::{Keeper, count};
use super::{PASSWORD, ROTATION_PERIOD, SHOP, VAULT_DOMAIN};
use crate::load::{command, published, since_epoch};
use crate::{Client, Failure, Issuer, Request};

/// Withdrawals of all keys of the domain `vault`: the one between two has to be known by then.
const SHORTEST_WITHDRAWAL_PERIOD: Duration = Duration::from_secs(12);
const LONGEST_WITHDRAWAL_PERIOD: Duration = Duration::from_secs(20);
/// How long the issuer serves between two deaths.
const SHORTEST_LIFE: Duration = Duration::from_secs(5);
const LONGEST_LIFE: Duration = Duration::from_secs(12);
/// How long it stays dead: mostly until it is started again at once,
const SHORT_OUTAGE: Duration = Duration::from_millis(500);
/// and one time in three up to so long.
const LONG_OUTAGES: usize = 3;
const LONG_OUTAGE: Duration = Duration::from_secs(6);
const DISABLING_PERIOD: Duration = Duration::from_secs(8);
/// How often the issuer is asked whether it answers in time, and what that is: a quarter of what
/// the gate's policy allows a fetch.
const PROBE_PERIOD: Duration = Duration::from_millis(200);
const PROBE_LIMIT: Duration = Duration::from_millis(500);

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Deeds {
    pub(super) rotations: AtomicU64,
    /// Rotations that the issuer's own rule has put off.
    pub(super) refused_rotations: AtomicU64,
    pub(super) withdrawals: AtomicU64,
    pub(super) kills: AtomicU64,
    /// In milliseconds, from the kill to the first answer after it.
    pub(super) downtime: AtomicU64,
    pub(super) longest_outage: AtomicU64,
}

/// Rotates the keys of the domain `shop` every 5 s, whether or not the issuer serves.
///
/// # Errors
/// When the command fails otherwise than by the rule of rotation.
pub(super) async fn rotate(
    scene: Arc<Scene>,
    issuer: Arc<Issuer>,
    deeds: Arc<Deeds>,
) -> Result<(), Failure> {
    let mut period = tokio::time::interval(ROTATION_PERIOD);
    period.tick().await;
    loop {
        period.tick().await;
        match command(&issuer, &["keys", "rotate", SHOP]).await {
            Ok(_) => count(&deeds.rotations),
            Err(refusal) if refusal.to_string().contains("not known everywhere yet") => {
                count(&deeds.refused_rotations);
            }
            Err(failure) => return Err(failure),
        }
        for key_id in published(&issuer, SHOP).await? {
            scene.knowledge.published(SHOP, &key_id, since_epoch());
        }
    }
}

/// Withdraws all keys of the domain `vault`, again and again.
///
/// # Errors
/// When the command fails.
pub(super) async fn withdraw(
    scene: Arc<Scene>,
    issuer: Arc<Issuer>,
    deeds: Arc<Deeds>,
) -> Result<(), Failure> {
    let period = || scene.random.between(SHORTEST_WITHDRAWAL_PERIOD, LONGEST_WITHDRAWAL_PERIOD);
    loop {
        tokio::time::sleep(period()).await;
        scene.knowledge.begin_withdrawal(VAULT_DOMAIN);
        command(&issuer, &["keys", "rotate", VAULT_DOMAIN, "--compromised"]).await?;
        let left = published(&issuer, VAULT_DOMAIN).await?;
        scene.knowledge.withdrawn(VAULT_DOMAIN, &left, since_epoch());
        count(&deeds.withdrawals);
    }
}

/// Ends the issuer's process without a warning and starts it again, again and again.
///
/// # Errors
/// When it does not come up again.
pub(super) async fn kill(
    scene: Arc<Scene>,
    mut issuer: Issuer,
    deeds: Arc<Deeds>,
) -> Result<(), Failure> {
    loop {
        tokio::time::sleep(scene.random.between(SHORTEST_LIFE, LONGEST_LIFE)).await;
        if let Some(failure) = issuer.ended() {
            return Err(failure);
        }
        let start = since_epoch();
        scene.knowledge.issuer_fails(start);
        issuer.kill();
        let is_long = scene.random.below(LONG_OUTAGES) == 0;
        let longest = if is_long { LONG_OUTAGE } else { SHORT_OUTAGE };
        let shortest = if is_long { LONG_OUTAGE / 2 } else { Duration::ZERO };
        tokio::time::sleep(scene.random.between(shortest, longest)).await;
        issuer.start().await?;
        let end = since_epoch();
        let outage = u64::try_from(end.saturating_sub(start).as_millis()).unwrap_or_default();
        count(&deeds.kills);
        deeds.downtime.fetch_add(outage, Ordering::Relaxed);
        deeds.longest_outage.fetch_max(outage, Ordering::Relaxed);
    }
}

/// Asks for the keys as the gate does: where the issuer is slow, because it or the whole machine is
/// busy, the gate cannot learn of a change either.
pub(super) async fn probe(scene: Arc<Scene>, issuer: Client) -> Result<(), Failure> {
    let keys = Request::get(&format!("/{SHOP}/.well-known/jwks.json"));
    let mut answered = since_epoch();
    let mut period = tokio::time::interval(PROBE_PERIOD);
    loop {
        period.tick().await;
        let answer = tokio::time::timeout(PROBE_LIMIT, issuer.send(keys.clone())).await;
        if matches!(answer, Ok(Ok(answer)) if answer.status == 200) {
            answered = since_epoch();
            scene.knowledge.issuer_answers(answered);
        } else {
            scene.knowledge.issuer_fails(answered);
        }
    }
}

/// Disables users with a session, each once.
///
/// # Errors
/// When a command fails, or the session outlives its user.
pub(super) async fn disable(keeper: Keeper, issuer: Arc<Issuer>) -> Result<(), Failure> {
    for number in 1.. {
        tokio::time::sleep(DISABLING_PERIOD).await;
        let username = format!("guest-{number}");
        let (created, name) = (Arc::clone(&issuer), username.clone());
        let create = move || created.user_create(SHOP, &name, PASSWORD);
        tokio::task::spawn_blocking(create)
            .await
            .map_err(Failure::while_doing("creating a user"))??;
        let session = Arc::default();
        let Some(token) = keeper.log_in(&username, &session).await? else { break };
        keeper.scene.pool.renew(None, &token);
        tokio::time::sleep(Duration::from_secs(1)).await;
        session.end();
        keeper.scene.pool.revoke(&token);
        command(&issuer, &["user", "disable", SHOP, &username]).await?;
        keeper.is_refused(&token).await?;
        count(&keeper.counts.disabled);
    }
    Ok(())
}

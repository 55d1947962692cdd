//! The clients of the gate: they present tokens of all kinds, and hold each answer to the ledger.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use serde_json::Value;

use super::knowledge::Knowledge;
use super::ledger::{Class, Manner, Specimen};
use super::pool::Pool;
use super::tally::{Answered, Tally};
use crate::load::{Connection, Forger, Random, since_epoch};

/// How long a request may stay without any answer. The gate holds a request for 15 s at most.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// How long a client waits where there is no token of a kind yet.
const NOTHING_TO_DO: Duration = Duration::from_millis(1);

/// What all clients share.
pub(super) struct Scene {
    pub(super) pool: Pool,
    pub(super) knowledge: Knowledge,
    pub(super) random: Random,
    pub(super) forger: Forger,
    pub(super) ended: AtomicBool,
}

impl Scene {
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }
}

/// Asks again and again until the end, with a pause after each answer.
pub(super) async fn ask(scene: Arc<Scene>, mut connection: Connection, pause: Duration) -> Tally {
    let mut tally = Tally::default();
    while !scene.has_ended() {
        let Some((specimen, manner)) = scene.pool.draw(&scene.random) else {
            tokio::time::sleep(NOTHING_TO_DO).await;
            continue;
        };
        present(&scene, &mut connection, &specimen, manner, &mut tally).await;
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
    tally
}

async fn present(
    scene: &Scene,
    connection: &mut Connection,
    specimen: &Specimen,
    manner: Manner,
    tally: &mut Tally,
) {
    let forged = (manner == Manner::Forged)
        .then(|| scene.forger.forge(&specimen.token, (&specimen.key_id, b"public"), &scene.random));
    let token = forged.as_deref().unwrap_or(&specimen.token);
    let class_at = |now| specimen.class(manner, &scene.knowledge, now);
    let sent = class_at(since_epoch());
    let start = Instant::now();
    let answer =
        tokio::time::timeout(ANSWER_LIMIT, connection.get(specimen.path(manner), token)).await;
    let took = start.elapsed();
    let now = since_epoch();
    let class = if class_at(now) == sent { sent } else { Class::Changed };
    let (status, body) = match answer {
        Ok(Ok(answer)) => answer,
        Ok(Err(failure)) => {
            return tally.count_failure(sent, format!("no answer: {failure}"), false);
        }
        Err(_) => return tally.count_failure(sent, "no answer in 20 s".to_owned(), false),
    };
    let passed = status == 200;
    if passed && !is_told_of(&body, &specimen.subject) {
        return tally.count_failure(sent, "passed as somebody else".to_owned(), true);
    }
    let verdict = verdict(status, &body);
    let code = verdict.clone();
    tally.count(Answered { class, verdict, passed, took }, || {
        let recently = scene.knowledge.recently(now);
        format!("{status} {code} after {took:?}, {manner:?}, {recently}, key {}", specimen.key_id)
    });
}

/// Whether the upstream was told that this user asks.
fn is_told_of(body: &Bytes, subject: &str) -> bool {
    let told = format!(r#"["x-user-id","{subject}"]"#);
    std::str::from_utf8(body).is_ok_and(|body| body.contains(&told))
}

fn verdict(status: u16, body: &Bytes) -> String {
    if status == 200 {
        return "allowed".to_owned();
    }
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    let code = problem.get("code").and_then(Value::as_str);
    code.map_or_else(|| format!("status {status}"), str::to_owned)
}

//! The clients of the edges: they present tokens of all kinds at a constant rate, and write down every
//! answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::book::{Answer, Asked, Manner};
use super::pool::Specimen;
use super::scene::Scene;
use super::{API, SHOP, VAULT_API};
use crate::load::{Connection, since_epoch};
use crate::{Failure, Protocol};

/// How long a request may stay without any answer. A gate holds a request for 15 s at most.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// After so many requests a client connects anew, so that all threads of an edge get something to do.
const PER_CONNECTION: u32 = 40;

/// Asks an edge once in each period, until the end.
pub(super) async fn ask(
    scene: Arc<Scene>,
    (edge, address): (usize, SocketAddr),
    protocol: Protocol,
    period: Duration,
) {
    let mut connection = Connection::new(protocol, address);
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut requests = 0;
    while !scene.has_ended() {
        ticks.tick().await;
        let Some((specimen, manner)) = scene.pool.draw(&scene.random, since_epoch()) else {
            continue;
        };
        let asked = present(&scene, edge, &mut connection, &specimen, manner).await;
        scene.book().requests.push(asked);
        requests += 1;
        if requests % PER_CONNECTION == 0 {
            connection = Connection::new(protocol, address);
        }
    }
}

async fn present(
    scene: &Scene,
    edge: usize,
    connection: &mut Connection,
    specimen: &Specimen,
    manner: Manner,
) -> Asked {
    let forge = || {
        let public = scene.public_key(&specimen.key_id);
        scene.forger.forge(&specimen.token, (&specimen.key_id, &public), &scene.random)
    };
    let forged = (manner == Manner::Forged).then(forge);
    let token = forged.as_deref().unwrap_or(&specimen.token);
    let at_home = (specimen.domain == SHOP) != (manner == Manner::Abroad);
    let path = if at_home { API } else { VAULT_API };
    let (sent, start) = (since_epoch(), Instant::now());
    let answer = timeout(ANSWER_LIMIT, twice(connection, path, token)).await;
    let took = start.elapsed();
    let answer = match answer {
        Ok(Ok((200, body))) if is_told_of(&body, &specimen.subject) => Answer::Allowed,
        Ok(Ok((200, _))) => Answer::AsSomebodyElse,
        Ok(Ok((status, body))) => Answer::Refused(status, code(&body)),
        Ok(Err(failure)) => Answer::Nothing(failure.to_string()),
        Err(_) => Answer::Nothing("none in 20 s".to_owned()),
    };
    Asked { edge, token: specimen.number, manner, sent, took, answer }
}

/// A connection that the other side has just closed is no answer: whoever gets that asks again.
async fn twice(
    connection: &mut Connection,
    path: &str,
    token: &str,
) -> Result<(u16, Bytes), Failure> {
    match connection.get(path, token).await {
        Ok(answer) => Ok(answer),
        Err(_) => connection.get(path, token).await,
    }
}

/// Whether the API was told that this user asks.
fn is_told_of(body: &Bytes, subject: &str) -> bool {
    let told = format!(r#"["x-user-id","{subject}"]"#);
    std::str::from_utf8(body).is_ok_and(|body| body.contains(&told))
}

fn code(body: &Bytes) -> String {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    problem.get("code").and_then(Value::as_str).unwrap_or_default().to_owned()
}

//! What every load on a gate is made of: chance, connections that are kept, forged tokens, and times.

mod connection;
mod forgery;
mod latencies;
mod random;

pub(crate) use connection::Connection;
pub(crate) use forgery::Forger;
pub(crate) use latencies::Latencies;
pub(crate) use random::Random;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{Failure, Issuer};

/// The time, as tokens tell it.
pub(crate) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The `kid`s that a domain publishes.
pub(crate) async fn published(
    issuer: &Arc<Issuer>,
    domain: &'static str,
) -> Result<Vec<String>, Failure> {
    let list = command(issuer, &["keys", "list", domain]).await?;
    let states = ["next", "current", "previous"];
    let keys = list.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let key_id = words.next()?;
        let state = words.nth(1)?;
        states.contains(&state).then(|| key_id.to_owned())
    });
    Ok(keys.collect())
}

/// A command of `postern`, beside the server.
pub(crate) async fn command(issuer: &Arc<Issuer>, arguments: &[&str]) -> Result<String, Failure> {
    let (issuer, words) = (Arc::clone(issuer), arguments.join(" "));
    let run = move || {
        let arguments: Vec<&str> = words.split(' ').collect();
        issuer.postern(&arguments, "")
    };
    tokio::task::spawn_blocking(run).await.map_err(Failure::while_doing("running postern"))?
}

//! The soak: a real Envoy under load, while the keys rotate every 5 s, the issuer is killed and
//! restarted, keys are withdrawn and sessions are revoked.
//!
//! Every request has its expected verdict when it is sent (see [`ledger`]), and one wrong answer
//! fails the run: a valid token that is denied, whatever the issuer goes through, or an invalid
//! one that passes, or that passes as somebody else. So does memory that grows.

mod disturbance;
mod knowledge;
mod ledger;
mod load;
mod memory;
mod options;
mod pool;
mod report;
mod sessions;
mod stage;
mod tally;

pub use options::Options;
pub use report::Report;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::load::{Connection, Forger, Random, since_epoch};
use crate::{Envoy, Failure, Issuer, Protocol};
use disturbance::Deeds;
use knowledge::Knowledge;
use load::Scene;
use memory::{Memory, mebibytes};
use pool::Pool;
use sessions::{IssuerCounts, Keeper};
use stage::Stage;
use tally::Tally;

/// The domain whose keys rotate, and where its tokens are presented:
const SHOP: &str = "shop";
const API: &str = "/api/orders";
/// and where another audience is asked for.
const AUDIT: &str = "/api/audit";
/// The domain whose keys are withdrawn, and where its tokens are presented.
const VAULT_DOMAIN: &str = "vault";
const VAULT: &str = "/vault/box";
const USERNAME: &str = "ada";
const PASSWORD: &str = "correct-horse-battery-staple";

const ROTATION_PERIOD: Duration = Duration::from_secs(5);
/// What the gate says so shortly before and after a token's expiry is not judged.
const EXPIRY_MARGIN: Duration = Duration::from_secs(1);
/// How long the issuer has to answer in time before the gate has to know a change of its keys: the
/// set's `max-age` of 1 s, the longest wait of 1 s after a failure, and 1 s for the fetch. It is
/// what the issuer's own rule of rotation allows for.
const LEARNING_TIME: Duration = Duration::from_secs(3);
/// What Envoy's memory may grow by after the warm-up, by the line that is fitted to it, in MiB.
const GROWTH_LIMIT_MIB: f64 = 4.0;
/// Between two lines that tell how it goes.
const PROGRESS_PERIOD: Duration = Duration::from_secs(30);

/// Runs the soak to its end.
///
/// # Errors
/// When a program does not start or ends, or the issuer does what it must not. What the gate did
/// wrong is in the report.
pub async fn run(options: Options) -> Result<Report, Failure> {
    let seed = u64::try_from(since_epoch().as_millis()).unwrap_or_default();
    let scene = Arc::new(Scene {
        pool: Pool::default(),
        knowledge: Knowledge::default(),
        random: Random::new(seed),
        forger: Forger::new()?,
        ended: AtomicBool::new(false),
    });
    let (mut stage, server) = Stage::open(options, &scene.knowledge).await?;
    let counts = Counts::default();
    let mut others = at_the_issuer(options, &scene, &stage, server, &counts);
    let start = Instant::now();
    let mut clients = JoinSet::new();
    let protocols = [Protocol::Http1, Protocol::Http2].into_iter().cycle();
    for protocol in protocols.take(options.connections) {
        let connection = Connection::new(protocol, stage.envoy.gate());
        clients.spawn(load::ask(Arc::clone(&scene), connection, options.pause));
    }
    let memory = watch(&mut stage.envoy, options, start, &mut others).await;
    let took = start.elapsed();
    scene.ended.store(true, Ordering::SeqCst);
    let mut tally = Tally::default();
    while let Some(finished) = clients.join_next().await {
        tally.add(finished.map_err(Failure::while_doing("a client of the gate"))?);
    }
    others.abort_all();
    let uptime = scene.knowledge.uptime(since_epoch());
    Ok(Report::new((options, seed), (took, uptime), tally, memory?, counts))
}

/// What was done at the issuer.
#[derive(Clone, Debug, Default)]
struct Counts {
    deeds: Arc<Deeds>,
    issuer: Arc<IssuerCounts>,
}

/// Starts everyone who has to do with the issuer. Whoever of them ends before the run does so with
/// a failure.
fn at_the_issuer(
    options: Options,
    scene: &Arc<Scene>,
    stage: &Stage,
    server: Issuer,
    counts: &Counts,
) -> JoinSet<Result<(), Failure>> {
    let keeper = |domain| Keeper {
        scene: Arc::clone(scene),
        counts: Arc::clone(&counts.issuer),
        issuer: server.client(),
        domain,
    };
    let mut others = JoinSet::new();
    others.spawn(disturbance::probe(Arc::clone(scene), server.client()));
    for number in 0..options.sessions {
        others.spawn(keeper(SHOP).keep());
        if number % 4 == 0 {
            others.spawn(keeper(VAULT_DOMAIN).keep());
        }
    }
    let data = || Arc::clone(&stage.data);
    let (scene, deeds) = (|| Arc::clone(scene), || Arc::clone(&counts.deeds));
    others.spawn(disturbance::disable(keeper(SHOP), data()));
    others.spawn(disturbance::rotate(scene(), data(), deeds()));
    others.spawn(disturbance::withdraw(scene(), data(), deeds()));
    others.spawn(disturbance::kill(scene(), server, deeds()));
    others
}

/// Notes Envoy's memory until the end.
async fn watch(
    envoy: &mut Envoy,
    options: Options,
    start: Instant,
    others: &mut JoinSet<Result<(), Failure>>,
) -> Result<Memory, Failure> {
    let mut memory = Memory::default();
    let mut tick = tokio::time::interval(options.memory_period);
    let mut told = Duration::ZERO;
    while start.elapsed() < options.duration {
        tokio::select! {
            _ = tick.tick() => note(envoy, &mut memory, start.elapsed())?,
            Some(ended) = others.join_next() => {
                ended.map_err(Failure::while_doing("a part of the soak"))??;
                return Err(Failure::new("a part of the soak ended before it"));
            }
        }
        if start.elapsed() >= told + PROGRESS_PERIOD {
            told = start.elapsed();
            eprintln!("{:>5} s, Envoy has {:.1} MiB", told.as_secs(), mebibytes(memory.last()));
        }
    }
    Ok(memory)
}

fn note(envoy: &mut Envoy, memory: &mut Memory, since_start: Duration) -> Result<(), Failure> {
    if let Some(failure) = envoy.ended() {
        return Err(failure);
    }
    memory.note(since_start, envoy.resident_bytes()?);
    Ok(())
}

//! The chaos run: an issuer and four edges under constant load of good and bad tokens, while keys
//! rotate, sessions end, programs die, networks fail, clocks are wrong, and someone tampers with what
//! the edges are told.
//!
//! Every request and its answer goes into a book, with all that was done and when. When the run is
//! over, the [`ledger`] holds each answer to what the edge had to know: one valid token that was
//! denied, or one that passed and should not have, fails the run.

mod book;
mod director;
mod edges;
mod ledger;
mod load;
mod network;
mod options;
mod passage;
mod plan;
mod plot;
mod pool;
mod report;
mod scene;
mod stage;
mod timeline;
mod users;

pub use options::{Options, Storage};
pub use report::Report;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::load::{Random, since_epoch};
use crate::{Failure, Issuer, Protocol};
use book::Book;
use director::Director;
use report::Figures;
use scene::Scene;
use stage::{Known, Stage};
use users::{Pace, User};

/// A domain with key pairs, and where its tokens are presented.
const SHOP: &str = "shop";
const API: &str = "/api/orders";
/// A domain with secrets, and where its tokens are presented.
const VAULT: &str = "vault";
const VAULT_API: &str = "/vault/box";
const PASSWORD: &str = "correct-horse-battery-staple";

/// How many users each domain has at a time.
const USERS: u32 = 5;
/// How many clients each edge has, and how often each of them asks.
const CLIENTS: usize = 4;
const PERIOD: Duration = Duration::from_millis(70);
/// How long before the end the last session is ended: what becomes of it has to be seen.
const LAST_LOOK: Duration = Duration::from_secs(8);
/// Between two lines that tell how it goes.
const PROGRESS_PERIOD: Duration = Duration::from_secs(30);

/// Makes a run on each of the storages, one after the other.
///
/// # Errors
/// When a program does not start or ends, or the issuer does what it must not. What the edges did
/// wrong is in the reports.
pub async fn run(options: &Options) -> Result<Vec<Report>, Failure> {
    let mut reports = Vec::new();
    for storage in &options.storages {
        let report = run_on(options, *storage).await?;
        if let Some(folder) = &options.report {
            report.write(folder)?;
        }
        reports.push(report);
    }
    Ok(reports)
}

async fn run_on(options: &Options, storage: Storage) -> Result<Report, Failure> {
    let known = Known::of(options);
    let random = Arc::new(Random::new(options.seed));
    let plan = plan::plan(options, known.limits.max_stale, &random);
    let (stage, server) = Stage::open(options, (storage, &known), &random).await?;
    let mut book = Book { limits: known.limits, edges: known.edges.clone(), ..Book::default() };
    book.shifts = known.shifts.iter().map(|(edge, seconds)| shift(*edge, *seconds)).collect();
    let scene = Arc::new(Scene::new(random, book)?);
    for domain in [SHOP, VAULT] {
        // The edges have started after that.
        scene.look_at_keys(&stage.data, domain, Duration::ZERO).await?;
    }
    let users = users(options, &scene, &stage, &server).await?;
    let issuer = server.client();
    let director = Director {
        scene: Arc::clone(&scene),
        edges: stage.edges.clone(),
        data: Arc::clone(&stage.data),
        server: Arc::new(Mutex::new(server)),
    };
    let mut others = JoinSet::new();
    others.spawn(director.clone().watch());
    others.spawn(director.clone().probe(issuer));
    let rotation = if options.is_short() { 5 } else { 12 };
    others.spawn(director.clone().rotate(Duration::from_secs(rotation)));
    let mut deeds = JoinSet::new();
    deeds.spawn(director.carry_out(plan.clone()));
    for user in users {
        others.spawn(user.live());
    }
    let start = since_epoch();
    let mut clients = clients(&scene, &stage);
    wait(options, &scene, &mut others, &mut deeds).await?;
    scene.end();
    while let Some(finished) = clients.join_next().await {
        finished.map_err(Failure::while_doing("a client of an edge"))?;
    }
    let took = since_epoch().saturating_sub(start);
    others.abort_all();
    let figures = Figures::collect(&stage, storage, (start, took)).await;
    let book = std::mem::take(&mut *scene.book());
    Ok(Report::new(options.seed, figures, book, &scene.counts, plan))
}

fn shift(edge: usize, seconds: i64) -> book::Shift {
    book::Shift { edge, at: Duration::ZERO, seconds }
}

/// Those who will log in, each of whom exists.
async fn users(
    options: &Options,
    scene: &Arc<Scene>,
    stage: &Stage,
    server: &Issuer,
) -> Result<Vec<User>, Failure> {
    let seconds = Duration::from_secs;
    let (least, most) = if options.is_short() { (5, 12) } else { (6, 25) };
    let pace = Pace {
        refresh: (seconds(1), seconds(4)),
        session: (seconds(least), seconds(most)),
        last_end: Duration::MAX,
    };
    let mut all: Vec<User> = (0..2 * USERS)
        .map(|number| User {
            scene: Arc::clone(scene),
            issuer: server.client(),
            data: Arc::clone(&stage.data),
            domain: if number % 2 == 0 { SHOP } else { VAULT },
            number,
            pace,
        })
        .collect();
    for user in &all {
        user.arrive().await?;
    }
    let last_end = since_epoch() + options.duration.saturating_sub(LAST_LOOK);
    for user in &mut all {
        user.pace.last_end = last_end;
    }
    Ok(all)
}

/// Starts the load on all edges. Envoy is asked by both protocols.
fn clients(scene: &Arc<Scene>, stage: &Stage) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    for (number, edge) in stage.edges.iter().enumerate() {
        for client in 0..CLIENTS {
            let is_http2 = edge.is_envoy() && client % 2 == 1;
            let protocol = if is_http2 { Protocol::Http2 } else { Protocol::Http1 };
            let place = (number, edge.address);
            clients.spawn(load::ask(Arc::clone(scene), place, protocol, PERIOD));
        }
    }
    clients
}

/// Waits until the run is over. Whoever ends before does so with a failure, but for the deeds.
async fn wait(
    options: &Options,
    scene: &Scene,
    others: &mut JoinSet<Result<(), Failure>>,
    deeds: &mut JoinSet<Result<(), Failure>>,
) -> Result<(), Failure> {
    let start = Instant::now();
    let mut progress = tokio::time::interval(PROGRESS_PERIOD);
    progress.tick().await;
    let end = tokio::time::sleep(options.duration);
    tokio::pin!(end);
    loop {
        tokio::select! {
            () = &mut end => break,
            Some(ended) = deeds.join_next() => {
                ended.map_err(Failure::while_doing("the plan"))??;
            }
            Some(ended) = others.join_next() => {
                ended.map_err(Failure::while_doing("a part of the run"))??;
                return Err(Failure::new("a part of the run ended before it"));
            }
            _ = progress.tick() => {
                let requests = scene.book().requests.len();
                eprintln!("{:>5} s, {requests} requests", start.elapsed().as_secs());
            }
        }
    }
    // What is still being done is done to its end: restarts above all.
    while let Some(ended) = deeds.join_next().await {
        ended.map_err(Failure::while_doing("the plan"))??;
    }
    Ok(())
}

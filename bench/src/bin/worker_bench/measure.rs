//! What a request costs, by algorithm and load, Worker by Worker in turns.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use postern_bench::traffic::cores;
use postern_bench::traffic::load::{self, Plan, Sample, unlimited};
use postern_bench::traffic::origin::Origin;
use postern_bench::traffic::requests::{forever, forged, get, in_order, in_turn, requests};
use postern_bench::traffic::tokens::{Signer, subject};

use crate::options::{Load, Options, Place};
use crate::workerd::{Outbound, Workerd};
use crate::workers::{self, Worker};

/// How many tokens `new` has in a round.
const NEW: u64 = 2_500;
/// Long enough for the engine to compile the Workers' code for good.
const WARM_UP: Duration = Duration::from_secs(2);

/// The samples of one algorithm, load and origin.
pub(crate) struct Series {
    pub(crate) label: String,
    pub(crate) load: Load,
    /// The Workers' names.
    pub(crate) names: Vec<&'static str>,
    /// For each round one of each Worker, in the order of their names.
    pub(crate) rounds: Vec<Vec<Sample>>,
    /// What each Worker's process held at the end.
    pub(crate) resident_bytes: Vec<u64>,
}

/// Everything that runs for one series.
struct Stage {
    workers: Vec<(&'static str, Workerd)>,
    origin: Origin,
}

/// Measures everything that the options ask for, each load in processes of its own: what one leaves
/// in a cache would be in the way of the next.
pub(crate) fn all(options: &Options) -> Result<Vec<Series>> {
    let mut all = Vec::new();
    for place in &options.origins {
        for algorithm in &options.algorithms {
            let signer = Signer::generate(*algorithm)?;
            for load in &options.loads {
                let label = format!("{} {}, {}", algorithm.name(), load.name(), place.name());
                eprintln!("    {label}: {} rounds", options.rounds);
                let mut stage = Stage::set(options, &signer, *place)?;
                stage.check(&signer)?;
                let rounds = stage.measure(options, &signer, *load)?;
                let names = stage.workers.iter().map(|(name, _)| *name).collect();
                let resident_bytes = stage.resident_bytes()?;
                all.push(Series { label, load: *load, names, rounds, resident_bytes });
            }
        }
    }
    Ok(all)
}

impl Stage {
    fn set(options: &Options, signer: &Signer, place: Place) -> Result<Self> {
        let keys_path = workers::keys_path(signer.algorithm);
        let peer = |name: &str| vec![options.peers.join(name)];
        let cache = Worker { name: "cache", modules: peer("cache.mjs"), bindings: Vec::new() };
        let origin = Origin::start(HashMap::from([(keys_path.clone(), signer.jwk_set())]))?;
        let outbound = match place {
            Place::Network => Outbound::Network(origin.address()),
            Place::Inside => Outbound::Inside(Worker {
                name: "origin",
                modules: peer("origin.mjs"),
                bindings: vec![("KEYS_PATH", keys_path), ("KEYS", signer.jwk_set())],
            }),
        };
        let start = |worker: &Worker| -> Result<_> {
            let running = Workerd::start_pinned(&options.workerd, worker, &outbound, &cache)?;
            Ok((worker.name, running))
        };
        let workers = workers::all(options, signer)?;
        Ok(Self { workers: workers.iter().map(start).collect::<Result<_>>()?, origin })
    }

    /// Holds every Worker to what it is there for, so that nobody measures errors.
    fn check(&mut self, signer: &Signer) -> Result<()> {
        let user = subject(signer.issued());
        let token = signer.tokens(1)?.concat();
        let path = format!("/{}/identity", signer.algorithm.provider());
        for (name, workerd) in &self.workers {
            let mut answer = |token: &str| {
                let header = format!("authorization: Bearer {token}\r\n");
                self.origin.serve_during(|| get(workerd.address, &path, &header))
            };
            let (good, bad) = (answer(&token)?.to_lowercase(), answer(&forged(&token))?);
            let checks = *name != "none";
            let (identity, leaked) = if checks { (user.as_str(), "") } else { ("", "bearer") };
            let told = format!("x-identity: {identity}");
            let kept = format!("x-leaked: {leaked}");
            let has = |wanted: &str| good.lines().any(|line| line.trim() == wanted.trim());
            let right = good.starts_with("http/1.1 200 ") && has(&told) && has(&kept);
            ensure!(right, "{name} on a good token answers {good}");
            let status = if checks { "HTTP/1.1 401 " } else { "HTTP/1.1 200 " };
            ensure!(bad.starts_with(status), "{name} on a forged token answers {bad}");
        }
        Ok(())
    }

    fn measure(
        &mut self,
        options: &Options,
        signer: &Signer,
        load: Load,
    ) -> Result<Vec<Vec<Sample>>> {
        let hot = requests(signer, 1)?;
        self.sample_all(0, WARM_UP, || forever(&hot))?;
        let limit = Duration::from_secs_f64(options.seconds);
        let mut rounds = Vec::new();
        // The first warms up, too.
        for round in 0..=options.rounds {
            let samples = match load {
                Load::Hot => self.sample_all(round, limit, || forever(&hot))?,
                Load::New => {
                    let pool = requests(signer, NEW)?;
                    self.sample_all(round, limit * 20, || in_order(&pool))?
                }
            };
            if round > 0 {
                rounds.push(samples);
            }
        }
        Ok(rounds)
    }

    /// One sample of each Worker, in their order; who is measured first changes by round.
    fn sample_all<'a, I>(
        &mut self,
        round: usize,
        limit: Duration,
        requests: impl Fn() -> I,
    ) -> Result<Vec<Sample>>
    where
        I: Iterator<Item = &'a [u8]> + Send + 'a,
    {
        let mut samples = Vec::new();
        for index in in_turn(self.workers.len(), round) {
            let (name, workerd) = self.workers.get(index).context("no such Worker")?;
            let plan = Plan { limit, ..unlimited(requests()) };
            let origin = Some(&mut self.origin);
            let sample = load::run_before(origin, workerd.address, workerd.id(), plan);
            samples.push((index, sample.with_context(|| format!("measuring `{name}`"))?));
        }
        samples.sort_by_key(|(index, _)| *index);
        Ok(samples.into_iter().map(|(_, sample)| sample).collect())
    }

    fn resident_bytes(&self) -> Result<Vec<u64>> {
        self.workers.iter().map(|(_, workerd)| cores::resident_bytes(workerd.id())).collect()
    }
}

//! What a request costs, by algorithm and load, listener by listener in turns.

use std::time::Duration;

use anyhow::{Result, ensure};
use postern_bench::traffic::load::{self, Plan, Sample, unlimited};
use postern_bench::traffic::requests::{forever, forged, get, in_order, in_turn, requests};
use postern_bench::traffic::tokens::{Signer, subject};

use crate::envoy::Envoy;
use crate::gates::Gate;
use crate::options::{Load, Options};
use crate::zipf;

/// How many tokens `zipf` has.
const POPULAR: u64 = 10_000;
/// How many tokens `new` has in a round.
const NEW: u64 = 2_500;

/// The samples of one algorithm and load: for each round one of each gate, in the gates' order.
pub(crate) struct Series {
    pub(crate) algorithm: &'static str,
    pub(crate) load: Load,
    pub(crate) rounds: Vec<Vec<Sample>>,
}

/// Measures everything that the options ask for, each load in an Envoy of its own: what one leaves
/// in a cache would be in the way of the next.
pub(crate) fn measure(
    options: &Options,
    gates: &[Gate],
    signers: &[Signer],
) -> Result<Vec<Series>> {
    let mut all = Vec::new();
    for signer in signers {
        for load in &options.loads {
            let envoy = Envoy::start_pinned(&options.envoy, gates)?;
            check(&envoy, gates, signer)?;
            let rounds = measure_load(options, &envoy, gates, signer, *load)?;
            all.push(Series { algorithm: signer.algorithm.name(), load: *load, rounds });
        }
    }
    Ok(all)
}

/// Holds every gate to what it is there for, so that nobody measures errors.
pub(crate) fn check(envoy: &Envoy, gates: &[Gate], signer: &Signer) -> Result<()> {
    let number = signer.issued();
    let token = signer.tokens(1)?.concat();
    let path = format!("/{}/identity", signer.algorithm.provider());
    for gate in gates {
        let answer = |token: &str| {
            let header = format!("authorization: Bearer {token}\r\n");
            get(envoy.address(gate)?, &path, &header)
        };
        let good = answer(&token)?;
        let identity = format!("x-identity: {}\r\n", subject(number));
        let right =
            good.starts_with("HTTP/1.1 200 ") && (good.contains(&identity) == gate.checks());
        ensure!(right, "{} on a good {path} answers {good}", gate.name);
        let bad = answer(&forged(&token))?;
        let status = if gate.checks() { "HTTP/1.1 401 " } else { "HTTP/1.1 200 " };
        ensure!(bad.starts_with(status), "{} on a forged {path} answers {bad}", gate.name);
    }
    Ok(())
}

fn measure_load(
    options: &Options,
    envoy: &Envoy,
    gates: &[Gate],
    signer: &Signer,
    load: Load,
) -> Result<Vec<Vec<Sample>>> {
    let count = match load {
        Load::Hot => 1,
        Load::Zipf => POPULAR,
        Load::New => NEW,
    };
    eprintln!("    {} {}: {} rounds", signer.algorithm.name(), load.name(), options.rounds);
    let mut pool = requests(signer, count)?;
    let mut rounds = Vec::new();
    // The first warms up.
    for round in 0..=options.rounds {
        if load == Load::New && round > 0 {
            pool = requests(signer, count)?;
        }
        if load == Load::Zipf && round == 0 {
            // The popular ones last, so that they are what a small cache holds.
            sample_all(envoy, gates, 0, || unlimited(in_order(&pool).rev()))?;
        }
        let limit = Duration::from_secs_f64(options.seconds);
        let samples = sample_all(envoy, gates, round, || Plan {
            limit: if load == Load::New { limit * 20 } else { limit },
            ..match load {
                Load::Hot => unlimited(forever(&pool)),
                Load::Zipf => unlimited(zipf::draws(&pool, 1.0, round)),
                Load::New => unlimited(in_order(&pool)),
            }
        })?;
        if round > 0 {
            rounds.push(samples);
        }
    }
    Ok(rounds)
}

/// One sample of each gate, in the gates' order; who is measured first changes by round.
pub(crate) fn sample_all<'a>(
    envoy: &Envoy,
    gates: &[Gate],
    round: usize,
    plan: impl Fn() -> Plan<'a>,
) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for index in in_turn(gates.len(), round) {
        if let Some(gate) = gates.get(index) {
            samples.push((index, load::run(envoy.address(gate)?, envoy.id(), plan())?));
        }
    }
    samples.sort_by_key(|(index, _)| *index);
    Ok(samples.into_iter().map(|(_, sample)| sample).collect())
}

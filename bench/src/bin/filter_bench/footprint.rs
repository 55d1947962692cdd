//! What the filter takes before and beside any request: time to start, and memory.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use postern_bench::traffic::cores;
use postern_bench::traffic::figures::{Figures, judged};
use postern_bench::traffic::load::{self, Plan, unlimited};
use postern_bench::traffic::requests::{forever, in_order, requests};
use postern_bench::traffic::tokens::{Algorithm, Signer};

use crate::envoy::Envoy;
use crate::gates::{self, Gate};
use crate::options::Options;

/// How often each Envoy is started.
const STARTS: usize = 5;
/// Milliseconds that a start with the filter may take.
const START_TARGET: f64 = 300.0;
/// KiB that the module may have.
const SIZE_TARGET: f64 = 700.0;
/// So many worker threads are compared with one.
const WORKERS: u32 = 9;
/// Enough connections for each of them.
const CONNECTIONS: usize = 144;
/// How many tokens the filter is shown to see what it keeps.
const TOKENS: u64 = 10_000;

/// Envoy without a filter, and with each build of it.
fn candidates(options: &Options, signers: &[Signer]) -> Vec<Gate> {
    let policy = gates::postern_policy(signers);
    let builds =
        options.named_modules().map(|(name, module)| Gate::postern(&name, module, &policy));
    std::iter::once(Gate::none()).chain(builds).collect()
}

/// The modules' sizes.
pub(crate) fn size(options: &Options) -> Result<String> {
    let mut text = "| listener | module, KiB |\n|---|---|\n".to_owned();
    for (name, module) in options.named_modules() {
        #[expect(clippy::cast_precision_loss, reason = "it is below 2^52")]
        let kibibytes = std::fs::metadata(module)?.len() as f64 / 1024.0;
        let _ = writeln!(text, "| {name} | {} |", judged(kibibytes, Some(SIZE_TARGET)));
    }
    Ok(text)
}

/// From the start of the process until it answers that it is ready. Markdown.
pub(crate) fn start(options: &Options) -> Result<String> {
    let signers = [Signer::generate(Algorithm::Es256)?];
    let gates = candidates(options, &signers);
    let mut times = vec![Vec::new(); gates.len()];
    eprintln!("    start to ready: {STARTS} starts");
    for _ in 0..STARTS {
        for (gate, times) in gates.iter().zip(&mut times) {
            let envoy = Envoy::start(&options.envoy, std::slice::from_ref(gate), 1)?;
            times.push(envoy.ready_after.as_secs_f64() * 1e3);
        }
    }
    let mut text = "| listener | start to ready, ms | ± |\n|---|---|---:|\n".to_owned();
    for (gate, times) in gates.iter().zip(times) {
        let times = Figures::new(times);
        let target = gate.checks().then_some(START_TARGET);
        let median = judged(times.median(), target);
        let _ = writeln!(text, "| {} | {median} | {:.2} |", gate.name, times.spread());
    }
    Ok(text)
}

/// MiB that are resident: with one worker, for each further one, and for tokens. Markdown.
pub(crate) fn memory(options: &Options) -> Result<String> {
    let signers = [Signer::generate(Algorithm::Es256)?];
    let [signer] = &signers;
    eprintln!("    memory: Envoys with 1 and with {WORKERS} workers");
    let (hot, many) = (requests(signer, 1)?, requests(signer, TOKENS)?);
    let mut text = format!(
        "| listener, MiB resident | one worker | each further worker | {TOKENS} tokens |\n\
         |---|---:|---:|---:|\n"
    );
    for gate in candidates(options, &signers) {
        let resident = |workers, tokens| {
            resident_after(&options.envoy, &gate, workers, &hot, if tokens { &many } else { &[] })
        };
        let one = resident(1, false)?;
        let further = (resident(WORKERS, false)? - one) / f64::from(WORKERS - 1);
        let tokens = resident(1, true)? - one;
        let _ = writeln!(text, "| {} | {one:.1} | {further:.1} | {tokens:.1} |", gate.name);
    }
    Ok(text)
}

/// After one token for a second, and then others.
fn resident_after(
    program: &Path,
    gate: &Gate,
    workers: u32,
    hot: &[Vec<u8>],
    others: &[Vec<u8>],
) -> Result<f64> {
    let envoy = Envoy::start(program, std::slice::from_ref(gate), workers)?;
    let (address, connections) = (envoy.address(gate)?, CONNECTIONS);
    let second = Plan { limit: Duration::from_secs(1), connections, ..unlimited(forever(hot)) };
    load::run(address, envoy.id(), second)?;
    if !others.is_empty() {
        load::run(address, envoy.id(), Plan { connections, ..unlimited(in_order(others)) })?;
    }
    #[expect(clippy::cast_precision_loss, reason = "it is below 2^52")]
    Ok(cores::resident_bytes(envoy.id())? as f64 / f64::from(1 << 20))
}

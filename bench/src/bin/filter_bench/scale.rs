//! The hot path with a full cache and with a large policy, beside the small one.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;
use postern_bench::traffic::figures::{Figures, added, cpu};
use postern_bench::traffic::load::{self, Plan, Sample, unlimited};
use postern_bench::traffic::requests::{forever, in_order, requests};
use postern_bench::traffic::tokens::{Algorithm, Signer};

use crate::envoy::Envoy;
use crate::gates::{self, Gate};
use crate::options::Options;
use crate::requests::{check, sample_all};
use crate::zipf;

/// How many tokens the full cache holds.
const TOKENS: u64 = 100_000;
/// Room for them, with what the filter keeps of each.
const CACHE_BYTES: u64 = 1 << 29;
/// How many providers and rules the large policy has in front of the one that decides.
const STRANGERS: usize = 999;

/// The three policies of one build of the filter, and where its gates stand.
struct Build {
    name: String,
    small: usize,
    full: usize,
    large: usize,
}

/// Markdown.
pub(crate) fn measure(options: &Options) -> Result<String> {
    let signers = [Signer::generate(Algorithm::Es256)?];
    let [signer] = &signers;
    let (gates, builds) = gates(options, &signers);
    let envoy = Envoy::start_pinned(&options.envoy, &gates)?;
    check(&envoy, &gates, signer)?;
    let hot = requests(signer, 1)?;
    let many = requests(signer, TOKENS)?;
    eprintln!("    filling caches with {TOKENS} tokens");
    for build in &builds {
        for _ in 0..2 {
            sample(&envoy, &gates, build.full, unlimited(in_order(&many)))?;
        }
    }
    eprintln!("    large caches and policies: {} rounds", options.rounds);
    let limit = Duration::from_secs_f64(options.seconds);
    let (mut rounds, mut strewn) = (Vec::new(), Vec::new());
    for round in 0..=options.rounds {
        let samples =
            sample_all(&envoy, &gates, round, || Plan { limit, ..unlimited(forever(&hot)) })?;
        let mut others = Vec::new();
        for build in &builds {
            let any = Plan { limit, ..unlimited(zipf::draws(&many, 0.0, round)) };
            others.push(sample(&envoy, &gates, build.full, any)?);
        }
        if round > 0 {
            rounds.push(samples);
            strewn.push(others);
        }
    }
    Ok(table(&builds, &rounds, &strewn))
}

fn gates(options: &Options, signers: &[Signer; 1]) -> (Vec<Gate>, Vec<Build>) {
    let [signer] = signers;
    let policy = gates::postern_policy(signers);
    let full = gates::with_cache(&policy, CACHE_BYTES);
    let large = gates::with_strangers(&policy, STRANGERS, signer);
    let mut all = vec![Gate::none()];
    let mut builds = Vec::new();
    for (name, module) in options.named_modules() {
        let mut add = |kind: &str, policy| {
            all.push(Gate::postern(&format!("{name} {kind}"), module, policy));
            all.len() - 1
        };
        let (small, full, large) =
            (add("small", &policy), add("full", &full), add("large", &large));
        builds.push(Build { name, small, full, large });
    }
    (all, builds)
}

fn sample(envoy: &Envoy, gates: &[Gate], gate: usize, plan: Plan<'_>) -> Result<Sample> {
    match gates.get(gate) {
        Some(gate) => load::run(envoy.address(gate)?, envoy.id(), plan),
        None => Ok(Sample::default()),
    }
}

fn table(builds: &[Build], rounds: &[Vec<Sample>], strewn: &[Vec<Sample>]) -> String {
    let mut text = "| hot path, ES256 | added µs | ± | beside the small policy | ± |\n\
                    |---|---:|---:|---:|---:|\n"
        .to_owned();
    let mut row = |label: &str, added: Figures, beside: Figures| {
        let (more, noise) = (beside.median(), beside.spread());
        let (added, spread) = (added.median(), added.spread());
        let _ = writeln!(text, "| {label} | {added:.2} | {spread:.2} | {more:+.2} | {noise:.2} |");
    };
    for (place, build) in builds.iter().enumerate() {
        let kinds = [
            ("one provider, one rule, one token".to_owned(), build.small),
            (format!("cache of {TOKENS} tokens, one of them"), build.full),
            (format!("{0} providers and rules, the last one", STRANGERS + 1), build.large),
        ];
        for (kind, gate) in kinds {
            let label = format!("{}: {kind}", build.name);
            row(&label, added(rounds, gate, 0), added(rounds, gate, build.small));
        }
        let label = format!("{}: cache of {TOKENS} tokens, any of them", build.name);
        row(&label, strewn_added(rounds, strewn, place, 0), {
            strewn_added(rounds, strewn, place, build.small)
        });
    }
    text
}

fn strewn_added(
    rounds: &[Vec<Sample>],
    strewn: &[Vec<Sample>],
    place: usize,
    base: usize,
) -> Figures {
    let difference = |(samples, others): (&Vec<Sample>, &Vec<Sample>)| {
        Some(cpu(others.get(place)?) - cpu(samples.get(base)?))
    };
    Figures::new(rounds.iter().zip(strewn).filter_map(difference))
}

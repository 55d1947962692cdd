//! What the filter costs in a real Envoy, beside Envoy's own `jwt_authn`: `cargo xtask bench filter`.
//!
//! One Envoy has a listener for each gate and answers by itself, so that a listener's cost is the
//! gate's alone. [`requests`] sends the same requests to each of them in turns.

mod envoy;
mod footprint;
mod gates;
mod options;
mod report;
mod requests;
mod scale;
mod zipf;

use anyhow::Result;
use clap::Parser;
use postern_bench::traffic::tokens::{Algorithm, Signer};

use crate::gates::Gate;
use crate::options::{Options, Part};

fn main() -> Result<()> {
    let options = Options::parse();
    println!("{}", footprint::size(&options)?);
    for part in &options.parts {
        let text = match part {
            Part::Requests => measure_requests(&options)?,
            Part::Scale => scale::measure(&options)?,
            Part::Memory => footprint::memory(&options)?,
            Part::Start => footprint::start(&options)?,
        };
        println!("{text}");
    }
    Ok(())
}

fn measure_requests(options: &Options) -> Result<String> {
    let signers = signers(&options.algorithms)?;
    let gates = gates(options, &signers);
    let series = requests::measure(options, &gates, &signers)?;
    Ok(report::requests(&gates, &series))
}

fn signers(algorithms: &[Algorithm]) -> Result<Vec<Signer>> {
    algorithms.iter().map(|algorithm| Signer::generate(*algorithm)).collect()
}

/// In the order that the report expects.
fn gates(options: &Options, signers: &[Signer]) -> Vec<Gate> {
    let policy = gates::postern_policy(signers);
    let mut gates = vec![Gate::none(), Gate::jwt_authn(signers), Gate::jwt_authn_cache(signers)];
    let builds = options.named_modules();
    gates.extend(builds.map(|(name, module)| Gate::postern(&name, module, &policy)));
    gates
}

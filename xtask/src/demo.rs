//! The tour of a running gate: set-up and builds here, the tour itself in `tests/`.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::aws;
use crate::build::{self, Programs};
use crate::javascript;
use crate::npm;
use crate::npm_package;
use crate::setup;
use crate::steps::Failure;
use crate::workspace::Workspace;

const PORTS: [&str; 5] =
    ["--port-gate", "--port-issuer", "--port-upstream", "--port-admin", "--port-worker"];

/// `cargo xtask demo`
pub(crate) fn run(workspace: &Workspace, options: &[String]) -> Result<(), Failure> {
    check(options)?;
    setup::run_all(workspace)?;
    let mut tour = if options.iter().any(|option| option == "--aws") {
        of_aws(workspace)?
    } else {
        of_the_gates(workspace)?
    };
    // The tour takes this process's place, so that a signal reaches it and it can end the
    // programs that it started.
    let error = tour.args(options).exec();
    Err(Failure::new(format!("cannot start the tour: {error}")))
}

fn of_the_gates(workspace: &Workspace) -> Result<Command, Failure> {
    npm::WRANGLER.install(workspace)?;
    let filter = build::filter(workspace)?;
    let worker = javascript::worker(workspace)?;
    let package = npm_package::build(workspace)?;
    let programs = build::programs(workspace, "Building the issuer and the tour", &["--bins"])?;
    let mut tour = tour(workspace, &programs, &filter);
    tour.env("POSTERN_WORKER", worker)
        .env("POSTERN_WORKER_TOOLS", npm::WRANGLER.folder(workspace))
        .env("POSTERN_NPM_PACKAGE", package);
    Ok(tour)
}

fn of_aws(workspace: &Workspace) -> Result<Command, Failure> {
    aws::install(workspace)?;
    let filter = build::filter(workspace)?;
    let heading = "Building the issuer, the Lambda functions and the tour";
    let programs = build::programs(workspace, heading, &["--bins"])?;
    let mut tour = tour(workspace, &programs, &filter);
    tour.env("POSTERN_LAMBDA", programs.functions)
        .env("POSTERN_AWS_TOOLS", aws::program(workspace, ""));
    Ok(tour)
}

fn tour(workspace: &Workspace, programs: &Programs, filter: &Path) -> Command {
    let mut tour = workspace.command(&programs.tour);
    tour.env("POSTERN_BIN", &programs.issuer)
        .env("POSTERN_ENVOY", workspace.tool("envoy"))
        .env("POSTERN_FILTER_WASM", filter);
    tour
}

/// A mistyped option is told before minutes of building.
fn check(options: &[String]) -> Result<(), Failure> {
    let mut words = options.iter();
    while let Some(word) = words.next() {
        if word == "--once" || word == "--aws" {
            continue;
        }
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        if !PORTS.contains(&name) {
            return Err(Failure::Usage(format!("`demo` has no option `{word}`")));
        }
        let value = value.or_else(|| words.next().cloned()).unwrap_or_default();
        if !value.parse::<u16>().is_ok_and(|port| port > 0) {
            return Err(Failure::Usage(format!("`{name}` wants a port from 1 to 65535")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn ports_are_checked_before_anything_is_built() {
        assert!(check(&words("--once --aws --port-gate 10000 --port-admin=9901")).is_ok());
        for wrong in ["--port-gate", "--port-gate zero", "--port-gate 0", "--port 1", "once"] {
            assert!(check(&words(wrong)).is_err(), "{wrong}");
        }
    }
}

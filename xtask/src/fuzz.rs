//! A short run of every fuzz target. A long one, which keeps what it learned:
//! `.tools/bin/cargo-fuzz fuzz run --sanitizer none decide fuzz/corpus/decide fuzz/seeds/decide`.

use std::fs;
use std::process::Command;

use crate::setup::CXX;
use crate::steps::{Failure, execute, step};
use crate::workspace::Workspace;

const TARGETS: [&str; 5] = ["token", "jwk_set", "policy", "decide", "edge"];
const SECONDS_EACH: u32 = 6;

/// Builds and runs the targets, unless something that they need is missing.
pub(crate) fn run(workspace: &Workspace, missing: &[&str]) -> Result<(), Failure> {
    if let Some(what) = missing.iter().find(|what| ["cargo-fuzz", CXX].contains(what)) {
        eprintln!("not run: the fuzz targets, which want {what}");
        return Ok(());
    }
    step("Building the fuzz targets", || {
        // cargo-fuzz cannot be told `--locked`.
        let fetch = ["fetch", "--quiet", "--locked", "--manifest-path", "fuzz/Cargo.toml"];
        execute(&mut workspace.cargo(&fetch))?;
        execute(&mut cargo_fuzz(workspace, "build"))
    })?;
    for target in TARGETS {
        step(&format!("Fuzzing `{target}` for {SECONDS_EACH} s"), || short_run(workspace, target))?;
    }
    Ok(())
}

fn short_run(workspace: &Workspace, target: &str) -> Result<(), Failure> {
    // New inputs stay out of the repository.
    let learned = workspace.tools().join("fuzz").join(target);
    fs::create_dir_all(&learned)
        .map_err(|error| Failure::new(format!("cannot make `{}`: {error}", learned.display())))?;
    let mut run = cargo_fuzz(workspace, "run");
    run.arg(target).arg(learned).arg(format!("fuzz/seeds/{target}"));
    run.args(["--", "-verbosity=0", "-timeout=10"]);
    execute(run.arg(format!("-max_total_time={SECONDS_EACH}")))
}

/// Without a sanitizer, the stable toolchain will do; all of the core is safe Rust.
fn cargo_fuzz(workspace: &Workspace, verb: &str) -> Command {
    let mut command = workspace.command(workspace.tool("cargo-fuzz"));
    command.args(["fuzz", verb, "--sanitizer", "none"]);
    command
}

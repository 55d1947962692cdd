//! The chaos run: set-up and builds here, the run itself in `tests/`.

use std::os::unix::process::CommandExt;

use crate::aws;
use crate::build;
use crate::javascript;
use crate::npm;
use crate::npm_package;
use crate::setup;
use crate::steps::Failure;
use crate::workspace::Workspace;

const OPTIONS: [&str; 4] = ["--seconds", "--seed", "--storage", "--report"];

/// `cargo xtask chaos [--seconds N] [--seed N] [--storage sqlite|aws|both] [--report DIR]`
pub(crate) fn run(workspace: &Workspace, options: &[String]) -> Result<(), Failure> {
    check(options)?;
    setup::run_all(workspace)?;
    npm::WRANGLER.install(workspace)?;
    aws::install(workspace)?;
    let filter = build::filter(workspace)?;
    let worker = javascript::worker(workspace)?;
    let package = npm_package::build(workspace)?;
    let programs = build::programs(workspace, "Building the issuer and the chaos", &["--bins"])?;
    let clock = build::clock(workspace)?;
    // The run takes this process's place, so that it gets a signal itself.
    let error = workspace
        .command(&programs.chaos)
        .args(options)
        .env("POSTERN_BIN", programs.issuer)
        .env("POSTERN_ENVOY", workspace.tool("envoy"))
        .env("POSTERN_FILTER_WASM", filter)
        .env("POSTERN_CLOCK", clock)
        .env("POSTERN_WORKER", worker)
        .env("POSTERN_WORKER_TOOLS", npm::WRANGLER.folder(workspace))
        .env("POSTERN_NPM_PACKAGE", package)
        .env("POSTERN_AWS_TOOLS", aws::program(workspace, ""))
        .exec();
    Err(Failure::new(format!("cannot start the chaos: {error}")))
}

/// A mistyped option is told before minutes of building.
fn check(options: &[String]) -> Result<(), Failure> {
    let mut words = options.iter();
    while let Some(word) = words.next() {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word.as_str(), None),
        };
        if !OPTIONS.contains(&name) {
            return Err(Failure::Usage(format!("`chaos` has no option `{name}`")));
        }
        let value = value.or_else(|| words.next().map(String::as_str)).unwrap_or_default();
        let is_good = match name {
            "--seconds" => {
                value.parse::<u32>().is_ok_and(|seconds| (30..=86_400).contains(&seconds))
            }
            "--seed" => value.parse::<u64>().is_ok(),
            "--storage" => ["sqlite", "aws", "both"].contains(&value),
            _ => !value.is_empty(),
        };
        if !is_good {
            return Err(Failure::Usage(format!("`{name}` cannot be `{value}`")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn options_are_checked_before_anything_is_built() {
        let check = |line: &str| {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            check(&words).is_ok()
        };
        assert!(check("") && check("--seconds 30 --seed=7 --storage aws --report /tmp/chaos"));
        for wrong in
            ["--seconds", "--seconds 29", "--seed x", "--storage s3", "--report", "--hours 1", "3"]
        {
            assert!(!check(wrong), "{wrong}");
        }
    }
}

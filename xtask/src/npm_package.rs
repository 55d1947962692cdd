//! The npm package, in `dist/npm/`.

use std::path::PathBuf;

use crate::javascript::{self, Module};
use crate::npm;
use crate::steps::{Failure, execute, step};
use crate::workspace::Workspace;

const GATE: Module =
    Module { package: "postern-npm", artifact: "postern_npm", name: "postern", target: "web" };

/// Builds the package and returns its folder.
pub(crate) fn build(workspace: &Workspace) -> Result<PathBuf, Failure> {
    npm::PACKAGE.install(workspace)?;
    let glue = javascript::module(workspace, &GATE)?;
    let folder = workspace.dist().join("npm");
    step("Building the npm package", || {
        let mut node = workspace.command("node");
        node.arg("npm/build.mjs").arg("--tools").arg(npm::PACKAGE.folder(workspace));
        node.arg("--glue").arg(&glue).arg("--work").arg(glue.with_extension("package"));
        execute(node.arg("--out").arg(&folder))
    })?;
    Ok(folder)
}

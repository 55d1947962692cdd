//! What the Worker costs in workerd, beside one that checks nothing and one with npm's `jose`.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::bench::built;
use crate::build;
use crate::npm;
use crate::steps::{Failure, execute, read_stdout, step};
use crate::workspace::Workspace;

/// `cargo xtask bench worker`
///
/// The program reads the options; `bench/src/bin/worker_bench/options.rs` says which there are.
pub(crate) fn run(workspace: &Workspace, options: &[String]) -> Result<(), Failure> {
    let ours = built(workspace, "worker", "index.mjs")?;
    npm::BENCH_NODE.install(workspace)?;
    npm::WRANGLER.install(workspace)?;
    let peers = step("Bundling the Workers that are not ours", || bundle(workspace))?;
    let program = build::bench(workspace, "worker_bench")?;
    let mut bench = workspace.command(program);
    bench.arg("--workerd").arg(workerd(workspace)?).arg("--peers").arg(peers);
    step("Measuring in workerd", || execute(bench.arg("--ours").arg(ours).args(options)))
}

/// Bundles the Workers of `bench/worker/`, and returns the folder of the bundles.
fn bundle(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let folder = workspace.tools().join("bench-worker");
    let mut esbuild = workspace.command("node");
    esbuild.arg(npm::WRANGLER.folder(workspace).join("node_modules/esbuild/bin/esbuild"));
    esbuild.args(entries(&workspace.root().join("bench/worker"))?);
    esbuild.args(["--bundle", "--format=esm", "--target=es2024", "--out-extension:.js=.mjs"]);
    esbuild.args(["--conditions=workerd,worker,browser", "--log-level=warning"]);
    esbuild.arg(format!("--outdir={}", folder.display()));
    execute(esbuild.env("NODE_PATH", npm::BENCH_NODE.folder(workspace).join("node_modules")))?;
    Ok(folder)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(format!("cannot read `{}`: {error}", folder.display()))
    };
    let paths = fs::read_dir(folder).map_err(failed)?.flatten().map(|entry| entry.path());
    Ok(paths.filter(|path| path.extension() == Some(OsStr::new("mjs"))).collect())
}

/// The program itself, whose place its package knows: the script in front of it would be in the way.
fn workerd(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let package = npm::WRANGLER.folder(workspace).join("node_modules/workerd");
    let script = "process.stdout.write(require(process.argv[1]).default)";
    let place = read_stdout(workspace.command("node").args(["--eval", script]).arg(package))?;
    Ok(PathBuf::from(place.trim()))
}

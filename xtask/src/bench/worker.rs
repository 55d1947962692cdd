//! What the Worker costs in workerd, beside one that checks nothing and one with npm's `jose`.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::build;
use crate::javascript;
use crate::npm;
use crate::steps::{Failure, execute, read_stdout, step};
use crate::workspace::Workspace;

/// `cargo xtask bench worker`
///
/// The program reads the options; `bench/src/bin/worker_bench/options.rs` says which there are.
pub(crate) fn run(workspace: &Workspace, options: &[String]) -> Result<(), Failure> {
    let built = javascript::worker(workspace)?;
    npm::BENCH_NODE.install(workspace)?;
    npm::WRANGLER.install(workspace)?;
    let peers = workspace.tools().join("bench-worker");
    let ours = peers.join("postern");
    step("Bundling the Workers", || {
        bundle_peers(workspace, &peers)?;
        bundle_ours(workspace, &built, &ours)
    })?;
    let program = build::bench(workspace, "worker_bench")?;
    let mut bench = workspace.command(program);
    bench.arg("--workerd").arg(workerd(workspace)?).arg("--peers").arg(peers);
    step("Measuring in workerd", || execute(bench.arg("--ours").arg(ours).args(options)))
}

/// The Workers of `bench/worker/`, each in a file of its own.
fn bundle_peers(workspace: &Workspace, folder: &Path) -> Result<(), Failure> {
    let mut esbuild = esbuild(workspace, folder);
    esbuild.args(files(&workspace.root().join("bench/worker"), "mjs")?);
    esbuild.arg("--conditions=workerd,worker,browser");
    let modules = npm::BENCH_NODE.folder(workspace).join("node_modules");
    execute(esbuild.env("NODE_PATH", modules))
}

/// Ours as `wrangler` uploads it: one file of JavaScript, and the module.
fn bundle_ours(workspace: &Workspace, built: &Path, folder: &Path) -> Result<(), Failure> {
    let mut esbuild = esbuild(workspace, folder);
    // The policy is text, by a rule in `wrangler.toml`.
    esbuild.args(["--external:*.wasm", "--external:node:*", "--loader:.json=text"]);
    execute(esbuild.arg(built.join("index.mjs")))?;
    for module in files(built, "wasm")? {
        let place = folder.join(module.file_name().unwrap_or_default());
        fs::copy(&module, &place).map_err(|error| {
            Failure::new(format!("cannot write `{}`: {error}", place.display()))
        })?;
    }
    Ok(())
}

fn esbuild(workspace: &Workspace, folder: &Path) -> Command {
    let mut esbuild = workspace.command("node");
    esbuild.arg(npm::WRANGLER.folder(workspace).join("node_modules/esbuild/bin/esbuild"));
    esbuild.args(["--bundle", "--format=esm", "--target=es2024", "--out-extension:.js=.mjs"]);
    esbuild.args(["--log-level=warning", &format!("--outdir={}", folder.display())]);
    esbuild
}

/// The files of a folder with this extension.
fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(format!("cannot read `{}`: {error}", folder.display()))
    };
    let paths = fs::read_dir(folder).map_err(failed)?.flatten().map(|entry| entry.path());
    Ok(paths.filter(|path| path.extension() == Some(OsStr::new(extension))).collect())
}

/// The program itself, whose place its package knows: the script in front of it would be in the way.
fn workerd(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let package = npm::WRANGLER.folder(workspace).join("node_modules/workerd");
    let script = "process.stdout.write(require(process.argv[1]).default)";
    let place = read_stdout(workspace.command("node").args(["--eval", script]).arg(package))?;
    Ok(PathBuf::from(place.trim()))
}

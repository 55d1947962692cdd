//! Wasm modules that JavaScript calls, and the code that calls them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::build::{WASM_FEATURES, artifact, cargo_build, read};
use crate::npm;
use crate::setup::WASM_TARGET;
use crate::steps::{Failure, execute, step};
use crate::workspace::Workspace;

/// How a module is made faster and smaller.
const OPTIMIZER: [&str; 1] = ["-O3"];

/// A package of the workspace, and what JavaScript gets of it.
pub(crate) struct Module {
    pub(crate) package: &'static str,
    /// The file that cargo builds, without `.wasm`.
    pub(crate) artifact: &'static str,
    /// What the files are called: `NAME.js` and `NAME_bg.wasm`.
    pub(crate) name: &'static str,
    /// `web`: the code exports `initSync` and `__wbg_reset_state`. `bundler`: it imports the module.
    pub(crate) target: &'static str,
}

/// Builds a module and returns the folder with its two files, and with `snippets/` where there are any.
pub(crate) fn module(workspace: &Workspace, module: &Module) -> Result<PathBuf, Failure> {
    npm::BINARYEN.install(workspace)?;
    step(&format!("Building {} for JavaScript (wasm)", module.package), || {
        let package = ["--package", module.package];
        let profile = ["--profile", "wasm-js", "--target", WASM_TARGET];
        let messages = cargo_build(workspace, &[package.as_slice(), &profile].concat())?;
        let built = artifact(&messages, &format!("{}.wasm", module.artifact))?;
        let folder = built.with_extension(module.target);
        bind(workspace, module, &built, &folder)?;
        optimize(workspace, &folder.join(format!("{}_bg.wasm", module.name)))?;
        Ok(folder)
    })
}

/// Makes the code that calls the module, and the module that is called by it.
fn bind(
    workspace: &Workspace,
    module: &Module,
    built: &Path,
    folder: &Path,
) -> Result<(), Failure> {
    let package = ["run", "--locked", "--quiet", "--package", "postern-bindgen", "--"];
    let mut bindgen = workspace.cargo(&package);
    execute(bindgen.arg(module.target).arg(built).arg(folder).arg(module.name))
}

/// Replaces the module by an optimised one. That takes seconds, so it is done again only for another
/// module.
fn optimize(workspace: &Workspace, module: &Path) -> Result<(), Failure> {
    let beside = |what: &str| module.with_extension(format!("{what}{}", OPTIMIZER.concat()));
    let (bound, fast) = (beside("bound"), beside("fast"));
    let bytes = read(module)?;
    if !fast.is_file() || !fs::read(&bound).is_ok_and(|before| before == bytes) {
        let fresh = beside("fresh");
        let mut optimizer = workspace.command("node");
        optimizer.arg(npm::BINARYEN.file(workspace, "bin/wasm-opt")).args(WASM_FEATURES);
        execute(optimizer.args(OPTIMIZER).arg(module).arg("-o").arg(&fresh))?;
        fs::rename(&fresh, &fast).map_err(|error| cannot_write(&fast, &error))?;
        fs::write(&bound, &bytes).map_err(|error| cannot_write(&bound, &error))?;
    }
    fs::copy(&fast, module).map(drop).map_err(|error| cannot_write(module, &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot write `{}`: {error}", path.display()))
}

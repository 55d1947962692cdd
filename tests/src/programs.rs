//! Where the programs under test are.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::Failure;

/// The folder of `Cargo.toml`, `envoy.yaml` and `dist/`.
#[must_use]
pub fn workspace_root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// Envoy: `POSTERN_ENVOY`, or the one that set-up installed.
///
/// # Errors
/// When there is none.
pub fn envoy_program() -> Result<PathBuf, Failure> {
    let path = from_environment("POSTERN_ENVOY", ".tools/bin/envoy");
    existing(path, "not run: envoy is missing (cargo xtask setup)")
}

/// The built filter: `POSTERN_FILTER_WASM`, or the one in `dist/`.
///
/// # Errors
/// When there is none.
pub fn filter_module() -> Result<PathBuf, Failure> {
    let path = from_environment("POSTERN_FILTER_WASM", "dist/filter.wasm");
    existing(path, "dist/filter.wasm is missing (cargo xtask build)")
}

/// The npm package as it is built: `POSTERN_NPM_PACKAGE`, or the one in `dist/`.
///
/// # Errors
/// When there is none.
pub fn npm_package() -> Result<PathBuf, Failure> {
    let path = from_environment("POSTERN_NPM_PACKAGE", "dist/npm");
    let missing = || Failure::new("dist/npm is missing (cargo xtask build)");
    if path.is_dir() { Ok(path) } else { Err(missing()) }
}

/// The issuer's command: `POSTERN_BIN`, or what cargo builds now.
///
/// # Errors
/// When it does not build.
pub fn postern_program() -> Result<PathBuf, Failure> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    if let Some(path) = std::env::var_os("POSTERN_BIN") {
        return existing(path.into(), "`POSTERN_BIN` names no file");
    }
    let built = BUILT.get_or_init(|| build("postern", &["--workspace", "--bins"])).clone();
    built.ok_or_else(|| Failure::new("`cargo build --package postern-issuer` failed"))
}

/// A program of the AWS tools: in the folder that `POSTERN_AWS_TOOLS` names, or the one that set-up
/// made.
///
/// # Errors
/// When there is none.
pub fn aws_tool(name: &str) -> Result<PathBuf, Failure> {
    let folder = from_environment("POSTERN_AWS_TOOLS", ".tools/venv/bin");
    existing(folder.join(name), &format!("not run: {name} is missing (cargo xtask setup)"))
}

/// The Lambda functions: `POSTERN_LAMBDA`, or what cargo builds now.
///
/// # Errors
/// When it does not build.
pub fn lambda_program() -> Result<PathBuf, Failure> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    if let Some(path) = std::env::var_os("POSTERN_LAMBDA") {
        return existing(path.into(), "`POSTERN_LAMBDA` names no file");
    }
    let built = BUILT.get_or_init(|| build("postern-lambda", &["--workspace", "--bins"])).clone();
    built.ok_or_else(|| Failure::new("`cargo build --package postern-issuer` failed"))
}

/// The clock that a test sets: `POSTERN_CLOCK`, or one built now.
///
/// # Errors
/// When it cannot be built.
pub(crate) fn clock_library() -> Result<PathBuf, Failure> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    if let Some(path) = std::env::var_os("POSTERN_CLOCK") {
        return existing(path.into(), "`POSTERN_CLOCK` names no file");
    }
    let built = BUILT.get_or_init(|| build("libpostern_clock.so", &["--package", "postern-clock"]));
    built.clone().ok_or_else(|| Failure::new("`cargo build --package postern-clock` failed"))
}

fn build(name: &str, options: &[&str]) -> Option<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(workspace_root())
        .arg("build")
        .args(options)
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()
        .ok()?;
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    messages
        .split('"')
        .map(Path::new)
        .find(|path| path.is_absolute() && path.ends_with(name) && path.is_file())
        .map(Path::to_owned)
}

fn from_environment(name: &str, otherwise: &str) -> PathBuf {
    std::env::var_os(name).map_or_else(|| workspace_root().join(otherwise), PathBuf::from)
}

fn existing(path: PathBuf, otherwise: &str) -> Result<PathBuf, Failure> {
    if path.is_file() { Ok(path) } else { Err(Failure::new(otherwise)) }
}

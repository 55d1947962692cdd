//! The peers of the differential test: `jose` of npm, and `joserfc` of Python's package index.

use std::fs;
use std::path::{Path, PathBuf};

use crate::setup;
use crate::steps::{Failure, execute, read_stdout, step};
use crate::workspace::Workspace;

/// The oldest Node.js that `jose` is tried with.
const NODE_MAJOR: u32 = 20;

/// Python's peer, and the cryptography that it stands on.
const PINS: [&str; 2] = ["cryptography==50.0.2", "joserfc==1.8.0"];

/// Set-up's note of what it installed of [`PINS`].
const STAMP: &str = "peers.txt";

/// Installs both, each whether or not the other can be had.
///
/// # Errors
/// When one cannot be installed; it says which, and what it needs.
pub(crate) fn install(workspace: &Workspace) -> Result<(), Failure> {
    let joserfc = setup::packages(workspace, STAMP, &PINS).map_err(|failure| {
        Failure::new(format!("could not install joserfc, which needs Python 3.11: {failure}"))
    });
    setup::together([joserfc, jose(workspace)])
}

/// Whether both can be asked.
pub(crate) fn are_there(workspace: &Workspace) -> bool {
    let lock = lock(workspace);
    let jose = lock.is_ok_and(|lock| is_current(&workspace.tools().join("npm"), &lock));
    jose && has_node(workspace) && setup::is_stamped(workspace, STAMP, &PINS)
}

/// Installs `jose` as the lock file says, into `.tools/npm`.
fn jose(workspace: &Workspace) -> Result<(), Failure> {
    if !has_node(workspace) {
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

fn has_node(workspace: &Workspace) -> bool {
    let version = read_stdout(workspace.command("node").arg("--version"));
    version.is_ok_and(|version| major(&version).is_some_and(|major| major >= NODE_MAJOR))
}

/// `v20.20.2`: 20.
fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` wants")]
fn cannot_write(error: std::io::Error) -> Failure {
    Failure::new(format!("cannot install npm's jose: {error}"))
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn the_version_of_node_is_read() {
        assert_eq!(major("v20.20.2\n"), Some(20));
        assert_eq!(major("v8.0.0"), Some(8));
        assert_eq!(major("20"), None);
        assert_eq!(major(""), None);
    }
}

//! Programs that only the system's package manager brings.

use crate::setup::answers;
use crate::steps::{Failure, execute, read_stdout, step};
use crate::workspace::Workspace;

/// Installs a Debian package, where we may. Whether it helped, the caller sees.
pub(crate) fn try_to_install(workspace: &Workspace, package: &str) {
    if is_root(workspace) && answers("apt-get", "--version") {
        let _ = install(workspace, package);
    }
}

fn install(workspace: &Workspace, package: &str) -> Result<(), Failure> {
    step(&format!("Installing Debian's {package} by apt-get (outside this folder)"), || {
        execute(workspace.command("apt-get").args(["update", "--quiet=2"]))?;
        let options = ["install", "--quiet=2", "--yes", "--no-install-recommends", package];
        let mut install = workspace.command("apt-get");
        execute(install.args(options).env("DEBIAN_FRONTEND", "noninteractive"))
    })
}

fn is_root(workspace: &Workspace) -> bool {
    read_stdout(workspace.command("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

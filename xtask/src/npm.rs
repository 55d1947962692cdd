//! Packages of npm that builds and tests use: each set of them in a folder of `.tools/`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::steps::{Failure, execute, read_stdout, step};
use crate::workspace::Workspace;

/// The oldest Node.js that the packages are tried with.
const NODE_MAJOR: u32 = 20;

/// What the differential test compares Postern with.
pub(crate) const JOSE: Packages =
    Packages { main: "jose", source: "tests/differential", folder: "npm" };

/// The schemas that Istio's resources are held to.
pub(crate) const ISTIO_SCHEMAS: Packages =
    Packages { main: "@kubernetes-models/istio", source: "tests/istio", folder: "istio" };

/// What the pipelines are linted with.
pub(crate) const PIPELINE_LINTS: Packages =
    Packages { main: "npm-groovy-lint", source: "tests/pipelines", folder: "pipelines" };

/// What makes the filter's module smaller.
pub(crate) const BINARYEN: Packages =
    Packages { main: "binaryen", source: "filter", folder: "binaryen" };

/// What drives the browser of the tests.
pub(crate) const PLAYWRIGHT: Packages =
    Packages { main: "playwright-core", source: "tests/browser", folder: "browser" };

/// What the benchmarks compare the npm package and the Worker with.
pub(crate) const BENCH_NODE: Packages =
    Packages { main: "jose", source: "bench/node", folder: "bench-node" };

/// What builds the npm package, and what that is tested with.
pub(crate) const PACKAGE: Packages =
    Packages { main: "typescript", source: "npm", folder: "npm-package" };

/// What runs the Worker in tests: workerd, as Cloudflare's own tools bring it.
pub(crate) const WRANGLER: Packages =
    Packages { main: "wrangler", source: "worker", folder: "worker" };

/// A package and what it depends on.
pub(crate) struct Packages {
    main: &'static str,
    /// The folder of `package.json` and its lock file.
    source: &'static str,
    /// The folder in `.tools/`.
    folder: &'static str,
}

impl Packages {
    /// Installs them as the lock file says.
    ///
    /// # Errors
    /// When Node.js is missing or npm fails.
    pub(crate) fn install(&self, workspace: &Workspace) -> Result<(), Failure> {
        if !has_node(workspace) {
            return Err(Failure::new(format!(
                "`node` is missing or older than {NODE_MAJOR}; install Node.js {NODE_MAJOR} or \
                 newer, with npm"
            )));
        }
        let lock = self.lock(workspace)?;
        let folder = workspace.tools().join(self.folder);
        if self.is_current(&folder, &lock) {
            return Ok(());
        }
        fs::create_dir_all(&folder).map_err(|error| self.cannot_write(&error))?;
        for name in ["package.json", "package-lock.json"] {
            fs::copy(workspace.root().join(self.source).join(name), folder.join(name))
                .map_err(|error| self.cannot_write(&error))?;
        }
        step(&format!("Installing npm's {} into .tools/{}", self.main, self.folder), || {
            let options = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
            execute(workspace.command("npm").args(options).current_dir(&folder))
        })?;
        fs::write(stamp(&folder), lock).map_err(|error| self.cannot_write(&error))
    }

    /// Whether they can be run.
    pub(crate) fn are_there(&self, workspace: &Workspace) -> bool {
        let lock = self.lock(workspace);
        let folder = workspace.tools().join(self.folder);
        lock.is_ok_and(|lock| self.is_current(&folder, &lock)) && has_node(workspace)
    }

    /// Where they are.
    pub(crate) fn folder(&self, workspace: &Workspace) -> PathBuf {
        workspace.tools().join(self.folder)
    }

    /// A file of the main package.
    pub(crate) fn file(&self, workspace: &Workspace, path: &str) -> PathBuf {
        let folder = workspace.tools().join(self.folder);
        folder.join("node_modules").join(self.main).join(path)
    }

    fn lock(&self, workspace: &Workspace) -> Result<String, Failure> {
        let lock = workspace.root().join(self.source).join("package-lock.json");
        fs::read_to_string(lock).map_err(|error| self.cannot_write(&error))
    }

    fn is_current(&self, folder: &Path, lock: &str) -> bool {
        fs::read_to_string(stamp(folder)).is_ok_and(|installed| installed == lock)
            && folder.join("node_modules").join(self.main).is_dir()
    }

    fn cannot_write(&self, error: &std::io::Error) -> Failure {
        Failure::new(format!("cannot install npm's {}: {error}", self.main))
    }
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

//! Where things are, and how cargo is called.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::steps::Failure;

/// The checkout that this program was started in.
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// # Errors
    /// When the folder above `xtask/` is gone, as after moving a built binary.
    pub(crate) fn locate() -> Result<Self, Failure> {
        let package = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        match package.parent() {
            Some(root) if root.join("Cargo.toml").is_file() => Ok(Self { root: root.to_owned() }),
            _ => Err(Failure::new("cannot find the workspace; run this as `cargo xtask`")),
        }
    }

    /// The folder of the checkout.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn dist(&self) -> PathBuf {
        self.root.join("dist")
    }

    /// Test vectors that others made: a folder beside the checkout, unless the environment names
    /// another; where there is none, what set-up fetched.
    pub(crate) fn vectors(&self) -> PathBuf {
        if let Some(folder) = std::env::var_os("POSTERN_VECTORS") {
            return folder.into();
        }
        let beside = self.root.join("../shared/vectors");
        if beside.is_dir() { beside } else { self.tools().join("vectors") }
    }

    /// Everything that set-up downloads.
    pub(crate) fn tools(&self) -> PathBuf {
        self.root.join(".tools")
    }

    /// The Python environment that set-up makes.
    pub(crate) fn venv(&self) -> PathBuf {
        self.tools().join("venv")
    }

    /// A program that set-up installed.
    pub(crate) fn tool(&self, name: &str) -> PathBuf {
        self.tools().join("bin").join(name)
    }

    /// A program that runs at the workspace's root, as if from the user's own shell.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        // `cargo run` describes this package in the environment. Build scripts that watch
        // these variables (ring's) would be run again after each change between
        // `cargo xtask` and `cargo`.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"]
                .iter()
                .any(|prefix| text.starts_with(prefix))
            {
                command.env_remove(&name);
            }
        }
        command
    }

    /// The cargo that runs us, with its arguments.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = self.command(cargo);
        command.args(arguments);
        command
    }
}

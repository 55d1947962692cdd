//! The program of the Lambda functions, in `dist/aws/`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::aws;
use crate::build::install;
use crate::setup;
use crate::steps::{Failure, execute, step};
use crate::workspace::Workspace;

/// A kind of processor that Lambda has.
pub(crate) struct Architecture {
    /// As Lambda and the template name it.
    pub(crate) name: &'static str,
    /// As Rust does.
    target: &'static str,
}

/// What most Lambda functions run on today, and the cheaper one: the default of the template.
pub(crate) const ARM64: Architecture =
    Architecture { name: "arm64", target: "aarch64-unknown-linux-gnu" };
/// What this machine is, too.
pub(crate) const X86_64: Architecture =
    Architecture { name: "x86_64", target: "x86_64-unknown-linux-gnu" };

/// The package, beside the program.
pub(crate) const PACKAGE: &str = "postern.zip";

/// Most that a package may weigh, zipped, in KiB.
pub(crate) const MAX_PACKAGE_KIB: u64 = 8 * 1024;

/// `cargo xtask build --aws`
pub(crate) fn ship(workspace: &Workspace) -> Result<(), Failure> {
    aws::install(workspace)?;
    for architecture in [ARM64, X86_64] {
        package(workspace, &architecture)?;
    }
    Ok(())
}

/// Builds the program, and returns its place in `dist/`. Beside it lies the package, a zip.
///
/// By cargo-lambda and Zig's linker, so that it runs on the C library of Amazon Linux 2023, which is
/// older than that of many a machine that builds.
pub(crate) fn package(
    workspace: &Workspace,
    architecture: &Architecture,
) -> Result<PathBuf, Failure> {
    let Architecture { name, target } = *architecture;
    let folder = workspace.dist().join("aws").join(name);
    setup::target(workspace, target)?;
    step(&format!("Building the Lambda functions ({name}, release)"), || {
        let built = workspace.root().join("target/lambda-packages").join(name);
        let mut command = workspace.command(aws::program(workspace, "cargo-lambda"));
        command.args(["lambda", "build", "--release", "--locked", "--target", target]);
        command.args(["--package", "postern-issuer", "--bin", "postern-lambda"]);
        command.arg("--lambda-dir").arg(&built).arg("--flatten").arg("postern-lambda");
        // Where it finds Zig.
        execute(command.env("PATH", path(&workspace.venv().join("bin"))?))?;
        let program = folder.join("bootstrap");
        install(&built.join("bootstrap"), &program)?;
        let package = built.join(PACKAGE);
        zip(workspace, &program, &package)?;
        install(&package, &folder.join(PACKAGE))?;
        Ok(program)
    })
}

/// A zip with the program, which may be run when it is unpacked.
fn zip(workspace: &Workspace, program: &Path, package: &Path) -> Result<(), Failure> {
    let python = aws::program(workspace, "python");
    let words = ["-m", "zipfile", "-c"];
    execute(workspace.command(python).args(words).arg(package).arg(program))
}

/// The user's `PATH`, and before it a folder.
fn path(folder: &Path) -> Result<OsString, Failure> {
    let others = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&others));
    std::env::join_paths(folders).map_err(|error| Failure::new(format!("PATH: {error}")))
}

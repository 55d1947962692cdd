//! What AWS is emulated with, and what its templates are linted with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::setup::{self, answers};
use crate::steps::{Failure, execute, step};
use crate::workspace::Workspace;

/// Python's packages. `zizmor` is for the workflow, and `ziglang` links what cargo-lambda builds.
const PINS: [&str; 7] = [
    "aws-sam-cli==1.167.0",
    "cargo-lambda==1.9.2",
    "cfn-lint==1.53.3",
    "ministack==1.5.33",
    "moto[server]==5.2.5",
    "ziglang==0.17.1",
    "zizmor==1.32.0",
];

/// Set-up's note of what it installed of [`PINS`].
pub(crate) const STAMP: &str = "aws.txt";

/// What is missing where set-up could not install them.
pub(crate) const TOOLS: &str =
    "what AWS is emulated and linted with (ministack, moto and others of PyPI)";

/// What `sam build` runs.
const MAKE: &str = "make";

const FOLDER: &str = "deploy/aws";
const TEMPLATES: [&str; 2] = ["template.yaml", "example-api.yaml"];
const FUNCTIONS: [&str; 3] = ["ApiFunction", "AuthorizerFunction", "RotationFunction"];
const ARCHITECTURES: [&str; 2] = ["arm64", "x86_64"];

/// # Errors
/// When pip cannot install them.
pub(crate) fn install(workspace: &Workspace) -> Result<(), Failure> {
    setup::packages(workspace, STAMP, &PINS).map_err(|failure| {
        Failure::new(format!("could not install what the tests of AWS need: {failure}"))
    })
}

/// What could not be had.
pub(crate) fn missing(workspace: &Workspace) -> Vec<&'static str> {
    let tools = (!are_there(workspace)).then_some(TOOLS);
    tools.into_iter().chain((!answers(MAKE, "--version")).then_some(MAKE)).collect()
}

fn are_there(workspace: &Workspace) -> bool {
    setup::is_stamped(workspace, STAMP, &PINS) && program(workspace, "python").exists()
}

/// A program of the packages.
pub(crate) fn program(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.venv().join("bin").join(name)
}

/// Holds the templates to what AWS and SAM know, and builds them from what was built.
pub(crate) fn lint(workspace: &Workspace, missing: &[&str]) -> Result<(), Failure> {
    if missing.contains(&TOOLS) {
        return Ok(());
    }
    step("Checking the templates for AWS (cfn-lint, sam validate)", || {
        let paths = TEMPLATES.map(|template| Path::new(FOLDER).join(template));
        execute(workspace.command(program(workspace, "cfn-lint")).arg("--").args(&paths))?;
        paths.iter().try_for_each(|path| {
            execute(sam(workspace)?.args(["validate", "--lint", "--template-file"]).arg(path))
        })
    })?;
    if missing.contains(&MAKE) {
        return Ok(());
    }
    step("Packaging the functions for AWS (sam build)", || build(workspace))
}

/// SAM as it runs without a network, and without leaving anything in the user's home.
fn sam(workspace: &Workspace) -> Result<Command, Failure> {
    let home = workspace.tools().join("sam");
    fs::create_dir_all(&home).map_err(cannot_write)?;
    // It would ask the package index for a newer version each week; the last time was in 2100.
    let asked = r#"{"lastVersionCheck": 4102444800.0}"#;
    fs::write(home.join("metadata.json"), asked).map_err(cannot_write)?;
    let mut command = workspace.command(program(workspace, "sam"));
    command.env("SAM_CLI_TELEMETRY", "0").env("__SAM_CLI_APP_DIR", home);
    command.env("AWS_DEFAULT_REGION", "us-east-1").env("AWS_EC2_METADATA_DISABLED", "true");
    Ok(command)
}

/// Builds in a copy of the folder, with a program of nothing where none was built.
fn build(workspace: &Workspace) -> Result<(), Failure> {
    let copy = workspace.root().join("target/sam");
    let _ = fs::remove_dir_all(&copy);
    let (folder, dist) = (copy.join(FOLDER), copy.join("dist/aws"));
    fs::create_dir_all(&folder).map_err(cannot_write)?;
    for file in ["template.yaml", "samconfig.toml", "Makefile"] {
        fs::copy(workspace.root().join(FOLDER).join(file), folder.join(file))
            .map_err(cannot_write)?;
    }
    for architecture in ARCHITECTURES {
        let built = workspace.dist().join("aws").join(architecture).join("bootstrap");
        let program = fs::read(built).unwrap_or_else(|_| architecture.into());
        fs::create_dir_all(dist.join(architecture)).map_err(cannot_write)?;
        fs::write(dist.join(architecture).join("bootstrap"), &program).map_err(cannot_write)?;
    }
    ARCHITECTURES.iter().try_for_each(|architecture| {
        let parameter = format!("Architecture={architecture}");
        let mut sam = sam(workspace)?;
        sam.args(["build", "--parameter-overrides", &parameter, "DomainName=shop"]);
        execute(sam.current_dir(&folder))?;
        let program = fs::read(dist.join(architecture).join("bootstrap")).map_err(cannot_write)?;
        FUNCTIONS.iter().try_for_each(|function| {
            let packaged = folder.join(".aws-sam/build").join(function).join("bootstrap");
            if fs::read(&packaged).is_ok_and(|bytes| bytes == program) {
                return Ok(());
            }
            Err(Failure::new(format!(
                "`sam build` left no program for {function} ({architecture})"
            )))
        })
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` wants")]
fn cannot_write(error: std::io::Error) -> Failure {
    Failure::new(format!("cannot check the templates for AWS: {error}"))
}

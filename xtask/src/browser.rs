//! Chromium, and the package of npm that drives it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::npm::PLAYWRIGHT;
use crate::setup::{answers, together};
use crate::steps::{Failure, execute, step};
use crate::system;
use crate::workspace::Workspace;

/// Where a user says that Chromium is.
const VARIABLE: &str = "POSTERN_CHROMIUM";

/// What systems call it.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Installs what of the two is missing.
///
/// # Errors
/// When one cannot be had; it says how to help.
pub(crate) fn install(workspace: &Workspace) -> Result<(), Failure> {
    let driver = PLAYWRIGHT.install(workspace);
    let chromium = match program(workspace) {
        Some(_) => Ok(()),
        None => install_chromium(workspace),
    };
    together([driver, chromium])
}

/// Whether both are there.
pub(crate) fn is_there(workspace: &Workspace) -> bool {
    PLAYWRIGHT.are_there(workspace) && program(workspace).is_some()
}

/// The browser: the one that the user names, the system's, or the one that set-up downloaded.
pub(crate) fn program(workspace: &Workspace) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE) {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let systems = NAMES.iter().flat_map(|name| {
        std::env::split_paths(&path).map(|folder| folder.join(name)).collect::<Vec<_>>()
    });
    // Ubuntu's `chromium-browser` is there and does nothing but ask for a snap.
    systems.chain(downloaded(workspace)).find(|program| answers(program, "--version"))
}

fn install_chromium(workspace: &Workspace) -> Result<(), Failure> {
    // Either may fail where the other one helps.
    system::try_to_install(workspace, "chromium");
    if program(workspace).is_none() && PLAYWRIGHT.are_there(workspace) {
        let _ = download(workspace);
    }
    program(workspace).map(|_| ()).ok_or_else(|| {
        Failure::new(format!(
            "Chromium is missing; install it (Debian: `apt install chromium`), or name it in \
             {VARIABLE}"
        ))
    })
}

fn download(workspace: &Workspace) -> Result<(), Failure> {
    step("Downloading Playwright's Chromium into .tools/browser", || {
        let mut command = workspace.command("node");
        command.arg(PLAYWRIGHT.file(workspace, "cli.js")).args(["install", "chromium"]);
        execute(command.env("PLAYWRIGHT_BROWSERS_PATH", downloads(workspace)))
    })
}

/// `.tools/browser/downloads/chromium-1234/chrome-linux/chrome`, or as newer ones spell it.
fn downloaded(workspace: &Workspace) -> Vec<PathBuf> {
    let chromiums = folders(&downloads(workspace), "chromium-");
    let systems = chromiums.iter().flat_map(|chromium| folders(chromium, "chrome-linux"));
    systems.map(|folder| folder.join("chrome")).collect()
}

fn folders(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
    named.map(|entry| entry.path()).collect()
}

fn downloads(workspace: &Workspace) -> PathBuf {
    workspace.tools().join("browser/downloads")
}

/// Tells a test command where the browser is and what drives it.
pub(crate) fn tell(workspace: &Workspace, command: &mut Command) {
    if let Some(program) = program(workspace) {
        command.env(VARIABLE, program);
    }
    command.env("POSTERN_PLAYWRIGHT", PLAYWRIGHT.file(workspace, "index.mjs"));
}

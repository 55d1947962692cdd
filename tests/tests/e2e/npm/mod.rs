//! The npm package, installed from its tarball into an empty project as a user would, in Node and in
//! workerd.

use std::{path::Path, process::Command};

use postern_tests::workspace_root;
use tempfile::TempDir;

use crate::node::{npm_package, run};

/// Packs the package and installs it in `project`, from the cache and the network of nobody: it has no
/// dependencies.
fn install(project: &Path) {
    let npm = |words: &[&str], folder: &Path| {
        let output = Command::new("npm").args(words).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let destination = project.to_str().unwrap();
    let packed = npm(&["pack", "--silent", "--pack-destination", destination], &npm_package());
    std::fs::write(project.join("package.json"), r#"{"private": true}"#).unwrap();
    npm(&["install", "--offline", "--no-audit", "--no-fund", &format!("./{packed}")], project);
}

/// The packages that the package is built and tested with.
fn tools() -> String {
    let tools = std::env::var("POSTERN_NPM_TOOLS");
    tools.unwrap_or_else(|_| workspace_root().join(".tools/npm-package").display().to_string())
}

/// Runs a test file of `tests/javascript/` beside the installed package.
fn run_beside(file: &str, variables: &[(&str, &str)]) {
    let project = TempDir::new().unwrap();
    install(project.path());
    let project = project.path().to_str().unwrap();
    let (tools, vectors) = (tools(), workspace_root().join("tests/vectors"));
    let own = [
        ("POSTERN_PROJECT", project),
        ("POSTERN_NPM_TOOLS", &tools),
        ("POSTERN_CORPUS", vectors.to_str().unwrap()),
    ];
    run(&format!("tests/javascript/{file}"), &[&own, variables].concat());
}

#[test]
fn every_case_of_the_corpus_has_its_verdict_in_node() {
    run_beside("corpus.test.mjs", &[]);
}

#[test]
fn verifiers_do_as_their_types_say() {
    run_beside("verifier.test.mjs", &[]);
}

#[test]
fn verifiers_fetch_keys_as_the_key_ring_says() {
    run_beside("keys.test.mjs", &[]);
}

#[test]
fn tokens_of_jose_are_verified_and_the_other_way_round() {
    run_beside("jose.test.mjs", &[]);
}

#[test]
fn servers_are_gated() {
    run_beside("servers.test.mjs", &[]);
}

#[test]
fn the_package_is_well_formed_for_every_way_of_importing_it() {
    run_beside("package.test.mjs", &[]);
}

//! The npm package, installed from its tarball into an empty project as a user would, in Node and in
//! workerd.

use std::{path::Path, process::Command};

use postern_tests::workspace_root;
use tempfile::TempDir;

use crate::{
    node::{npm_package, run},
    shop::{DOMAIN, PASSWORD, Shop, USERNAME},
};

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

/// A folder of npm's packages: the one that a variable names, or where set-up installs them.
pub(crate) fn tools(variable: &str, folder: &str) -> String {
    let installed = || workspace_root().join(".tools").join(folder).display().to_string();
    std::env::var(variable).unwrap_or_else(|_| installed())
}

/// Runs a test file of `tests/javascript/` beside the installed package.
fn run_beside(file: &str, variables: &[(&str, &str)]) {
    let project = TempDir::new().unwrap();
    install(project.path());
    let project = project.path().to_str().unwrap();
    let tools = tools("POSTERN_NPM_TOOLS", "npm-package");
    let vectors = workspace_root().join("tests/vectors");
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
fn verifiers_are_enrolled_edges_and_heed_status_lists() {
    run_beside("edge.test.mjs", &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_jose_are_verified_and_the_other_way_round() {
    let shop = Shop::open(&[]).await;
    let issuer = format!("{}/{DOMAIN}", shop.issuer.url());
    let token = shop.login().await;
    shop.issuer.domain_create("vault", &["--alg", "HS256"]).unwrap();
    shop.issuer.user_create("vault", USERNAME, PASSWORD).unwrap();
    let export = ["keys", "export", "vault", "--dangerous-secrets"];
    run_beside(
        "jose.test.mjs",
        &[
            ("POSTERN_ISSUER", &issuer),
            ("POSTERN_TOKEN", &token),
            ("POSTERN_SECRET_ISSUER", &format!("{}/vault", shop.issuer.url())),
            (
                "POSTERN_SECRET_TOKEN",
                &shop.issuer.token("vault", USERNAME, PASSWORD).await.unwrap(),
            ),
            ("POSTERN_SECRETS", &shop.issuer.postern(&export, "").unwrap()),
        ],
    );
}

#[test]
fn a_worker_in_workerd_gives_the_same_verdicts() {
    run_beside(
        "workerd.test.mjs",
        &[("POSTERN_WORKER_TOOLS", &tools("POSTERN_WORKER_TOOLS", "worker"))],
    );
}

#[test]
fn servers_are_gated() {
    run_beside("servers.test.mjs", &[]);
}

#[test]
fn the_package_is_well_formed_for_every_way_of_importing_it() {
    run_beside("package.test.mjs", &[]);
}

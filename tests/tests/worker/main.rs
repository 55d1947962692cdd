//! The Worker in a real workerd. The tests are JavaScript, as what they talk to is: each script of
//! `tests/worker/` is one test here, and tells what went wrong.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{path::PathBuf, process::Command};

use postern_tests::workspace_root;

/// Runs a script with what it needs: the built Worker, and the folder of Cloudflare's tools.
fn run(script: &str) {
    let root = workspace_root();
    let named = |name: &str, default: &str| {
        std::env::var_os(name).map_or_else(|| root.join(default), PathBuf::from)
    };
    let mut node = Command::new("node");
    node.arg(root.join("tests/worker").join(script))
        .env("POSTERN_WORKER", named("POSTERN_WORKER", "dist/worker"))
        .env("POSTERN_WORKER_TOOLS", named("POSTERN_WORKER_TOOLS", ".tools/worker"))
        .env("POSTERN_CORPUS", root.join("tests/vectors"))
        .envs([("CLOUDFLARE_CF_FETCH_ENABLED", "false"), ("WRANGLER_SEND_METRICS", "false")])
        .envs([("WRANGLER_HIDE_BANNER", "true"), ("CI", "true")]);
    assert!(node.status().unwrap().success(), "{script} failed");
}

#[test]
fn workerd_gives_the_verdicts_of_the_corpus() {
    run("corpus.mjs");
}

#[test]
fn requests_and_answers_pass_the_gate_as_they_are() {
    run("passage.mjs");
}

#[test]
fn wrangler_would_deploy_it() {
    run("deploy.mjs");
}

#[test]
fn wrangler_runs_it_with_the_policy_that_ships() {
    run("dev.mjs");
}

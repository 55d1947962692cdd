//! The Worker in a real workerd. The tests are JavaScript, as what they talk to is: each script of
//! `tests/worker/` is one test here, and tells what went wrong.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{path::PathBuf, process::Command};

use postern_tests::{postern_program, workspace_root};

/// Runs a script with what it needs: the built Worker, and the folder of Cloudflare's tools.
fn run(script: &str) {
    assert!(node(script).status().unwrap().success(), "{script} failed");
}

fn node(script: &str) -> Command {
    let root = workspace_root();
    let named = |name: &str, default: &str| {
        std::env::var_os(name).map_or_else(|| root.join(default), PathBuf::from)
    };
    let mut node = Command::new("node");
    node.arg(root.join("tests/worker").join(script))
        .env("POSTERN_WORKER", named("POSTERN_WORKER", "dist/worker"))
        .env("POSTERN_WORKER_TOOLS", named("POSTERN_WORKER_TOOLS", ".tools/worker"))
        .env("POSTERN_CORPUS", root.join("tests/vectors"))
        .env("POSTERN_NPM_TOOLS", named("POSTERN_NPM_TOOLS", ".tools/npm-package"))
        .envs([("CLOUDFLARE_CF_FETCH_ENABLED", "false"), ("WRANGLER_SEND_METRICS", "false")])
        .envs([("WRANGLER_HIDE_BANNER", "true"), ("CI", "true")]);
    node
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
fn node_crypto_checks_signatures_where_there_is_one() {
    run("crypto.mjs");
}

#[test]
fn keys_are_asked_for_when_they_have_to_be_and_outlast_outages() {
    run("keys.mjs");
}

#[test]
fn an_enrolled_worker_takes_keys_lists_and_pushes_of_its_issuer_alone() {
    run("edge.mjs");
}

#[test]
fn no_report_tells_of_a_token_and_the_policy_in_kv_may_change() {
    run("reports.mjs");
}

#[test]
fn the_real_issuers_tokens_pass_with_and_without_it() {
    let mut node = node("issuer.mjs");
    node.env("POSTERN_BIN", postern_program().unwrap());
    assert!(node.status().unwrap().success());
}

#[test]
fn wrangler_would_deploy_it() {
    run("deploy.mjs");
}

#[test]
fn wrangler_runs_it_with_the_policy_that_ships() {
    run("dev.mjs");
}

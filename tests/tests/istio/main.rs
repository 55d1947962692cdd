//! `deploy/istio`: the files are what Istio's schemas want, and say what they are said to say.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
)]

mod module;
mod rules;
mod schemas;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use postern_tests::{postern_program, workspace_root};
use serde_json::Value;

const GATE: &str = "gate.yaml";
const KEYS: &str = "keys.yaml";
const ENROLLED: &str = "enrolled.yaml";
const NATIVE: &str = "native.yaml";

fn folder() -> PathBuf {
    workspace_root().join("deploy/istio")
}

fn read(file: &str) -> String {
    fs::read_to_string(folder().join(file)).expect(file)
}

/// The documents of a YAML file.
fn resources(file: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&read(file)).expect(file)
}

/// The policy that the `WasmPlugin` holds.
fn policy_of_the_plugin() -> Value {
    resources(GATE)[0]["spec"]["pluginConfig"].clone()
}

/// Runs `postern` with a text for its input; returns its exit code and what it printed.
fn postern(arguments: &[&str], input: &str) -> (Option<i32>, String) {
    let mut command = Command::new(postern_program().unwrap());
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that fails early may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let said = if output.status.success() { output.stdout } else { output.stderr };
    (output.status.code(), String::from_utf8(said).unwrap())
}

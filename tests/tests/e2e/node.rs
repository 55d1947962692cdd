//! Test files of Node's own runner. What they say is shown where one fails.

use std::{path::PathBuf, process::Command};

use postern_tests::workspace_root;

/// The npm package as it is built.
pub(crate) fn npm_package() -> PathBuf {
    postern_tests::npm_package().unwrap()
}

/// Runs the tests of a file with `variables` in their environment.
pub(crate) fn run(file: &str, variables: &[(&str, &str)]) {
    let chromium =
        std::env::var_os("POSTERN_CHROMIUM").unwrap_or_else(|| "/usr/bin/chromium".into());
    let driver = std::env::var_os("POSTERN_PLAYWRIGHT").map_or_else(
        || workspace_root().join(".tools/browser/node_modules/playwright-core/index.mjs"),
        PathBuf::from,
    );
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=spec"]);
    node.arg(workspace_root().join(file));
    node.env("POSTERN_CHROMIUM", chromium).env("POSTERN_PLAYWRIGHT", driver);
    node.envs(variables.iter().copied());
    let output = node.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    // A file that has no tests succeeds, too.
    assert!(!said.contains("tests 0\n"), "{said}");
}

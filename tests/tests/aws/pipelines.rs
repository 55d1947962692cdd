//! `Jenkinsfile` and GitHub's workflow: what the lints of them do not see.

#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeSet;
use std::fs;

use postern_tests::workspace_root;
use serde_json::Value;

fn read(file: &str) -> String {
    fs::read_to_string(workspace_root().join(file)).expect(file)
}

fn workflow() -> Value {
    serde_saphyr::from_str(&read(".github/workflows/ci.yml")).expect("a workflow")
}

/// Every `cargo xtask …` of a text.
fn commands(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter_map(|line| line.split_once("cargo xtask "));
    let ends =
        |rest: &str| rest.split(['\'', '"', '#']).next().unwrap_or_default().trim().to_owned();
    lines.map(|(_, rest)| format!("cargo xtask {}", ends(rest))).collect()
}

#[test]
fn both_run_the_commands_of_the_readme() {
    let jenkins = commands(&read("Jenkinsfile"));
    assert_eq!(jenkins, commands(&read(".github/workflows/ci.yml")));
    assert_eq!(jenkins.len(), 4);
    let readme = read("README.md");
    for command in jenkins {
        assert!(readme.contains(&format!("`{command}`")), "{command}");
    }
}

#[test]
fn stages_follow_each_other() {
    let jenkins = read("Jenkinsfile");
    let stages: Vec<&str> = jenkins
        .lines()
        .filter_map(|line| line.trim().strip_prefix("stage('")?.strip_suffix("') {"))
        .collect();
    assert_eq!(stages, ["Install", "Unit", "Integration", "Build", "Deploy"]);
    let jobs = &workflow()["jobs"];
    assert_eq!(
        (&jobs["build"]["needs"], &jobs["deploy"]["needs"]),
        (&"test".into(), &"build".into())
    );
}

/// The commands of an `sh` step are in single quotes: Groovy would write a secret into them, and into the log.
#[test]
fn nothing_but_the_main_branch_is_deployed_and_no_secret_is_written() {
    let jenkins = read("Jenkinsfile");
    let (_, deploy) = jenkins.split_once("stage('Deploy')").expect("a stage");
    assert!(deploy.contains("expression { isMain() }"));
    assert!(jenkins.contains("disableConcurrentBuilds()"));
    let (before, _) = jenkins.split_once("withCredentials").expect("credentials");
    assert!(!before.contains("AWS_SECRET_ACCESS_KEY"), "a secret outside of the deployment");
    assert!(!jenkins.contains("sh \""), "a command that Groovy writes into");
    let deploy = workflow()["jobs"]["deploy"].clone();
    assert!(
        deploy["if"].as_str().is_some_and(|text| text.contains("github.ref == 'refs/heads/main'"))
    );
    assert!(!read(".github/workflows/ci.yml").contains("secrets."), "a key where a role will do");
}

//! What each of the three says of every case.

use std::{
    collections::HashMap,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    rc::Rc,
    time::Duration,
};

use postern_tests::workspace_root;
use postern_verify::{ClaimRules, Denial, JwkSet, KeyKinds, MAX_TOKEN_BYTES, UnverifiedToken};
use serde_json::Value;

use crate::case::{AUDIENCE, Case, ISSUER, NOW, SKEW};

/// `None` is an acceptance; otherwise the code of the refusal.
pub(crate) type Verdict = Option<String>;

/// Postern's own verdicts. Like the peers, it reads each set once.
pub(crate) fn postern(cases: &[Case]) -> Vec<Verdict> {
    let mut sets = HashMap::new();
    let verdict = |case: &Case| {
        let keys = sets
            .entry(Rc::clone(&case.jwks))
            .or_insert_with(|| JwkSet::parse(case.jwks.as_bytes(), KeyKinds::WithSecrets));
        match keys {
            Ok(keys) => check(&case.token, keys).err().map(|denial| denial.code().to_owned()),
            Err(error) => Some(error.to_string()),
        }
    };
    cases.iter().map(verdict).collect()
}

fn check(token: &str, keys: &JwkSet) -> Result<(), Denial> {
    let token = UnverifiedToken::parse(token.as_bytes(), MAX_TOKEN_BYTES)?;
    token.verify(keys)?.check(&claim_rules(), Duration::from_secs(NOW))?;
    Ok(())
}

/// The rules that the peers are given as options.
fn claim_rules() -> ClaimRules {
    let mut rules = ClaimRules::new(ISSUER);
    rules.audiences = AUDIENCE.map(str::to_owned).to_vec();
    rules.clock_skew = Duration::from_secs(SKEW);
    rules
}

/// The verdicts of npm's `jose`.
pub(crate) fn jose(questions: &str) -> Vec<Verdict> {
    let mut command = Command::new("node");
    command.arg(peer("jose.mjs")).arg(tools("npm"));
    ask(command, questions)
}

/// The verdicts of Python's `joserfc`.
pub(crate) fn joserfc(questions: &str) -> Vec<Verdict> {
    let mut command = Command::new(tools("venv/bin/python"));
    command.arg(peer("joserfc.py")).env("PYTHONUTF8", "1");
    ask(command, questions)
}

fn peer(name: &str) -> PathBuf {
    workspace_root().join("tests/differential").join(name)
}

fn tools(name: &str) -> PathBuf {
    workspace_root().join(".tools").join(name)
}

fn ask(mut command: Command, questions: &str) -> Vec<Verdict> {
    let missing = "a peer of the differential test is missing (cargo xtask setup)";
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect(missing);
    let mut input = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(questions.as_bytes()));
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{missing}, or it failed: {command:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(answer).collect()
}

fn answer(line: &str) -> Verdict {
    let answer: Value = serde_json::from_str(line).unwrap();
    let error = answer["error"].as_str().unwrap_or("no code").to_owned();
    (!answer["accept"].as_bool().unwrap()).then_some(error)
}

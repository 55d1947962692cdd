//! `postern policy` as a user runs it. The folder `policy_import` holds configurations, and beside
//! each the policy and the notes that have to come out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policy_import")
}

/// Runs `postern policy` where a data folder would show.
fn run(arguments: &[&str], input: &str) -> Output {
    let working_dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    command.arg("policy").args(arguments).current_dir(&working_dir);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that fails early may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let made: Vec<_> = fs::read_dir(&working_dir).unwrap().collect();
    assert!(made.is_empty(), "{arguments:?} made {made:?}");
    output
}

fn texts(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[track_caller]
fn fails(arguments: &[&str], input: &str, message: &str) {
    let (code, policy, errors) = texts(run(arguments, input));
    assert_eq!((code, policy.as_str()), (Some(1), ""), "{errors}");
    assert!(errors.starts_with(&format!("error: {message}")), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
}

#[test]
fn configurations_become_the_policies_beside_them() {
    let mut count = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let Some(stem) = name.strip_suffix(".yaml").or(name.strip_suffix(".in.json")) else {
            continue;
        };
        let beside = |extension| fs::read_to_string(folder().join(format!("{stem}.{extension}")));
        let expected: Value = serde_json::from_str(&beside("json").unwrap()).unwrap();
        let notes = beside("notes").unwrap();
        let (code, policy, errors) = texts(run(&["import", path.to_str().unwrap()], ""));
        assert_eq!(policy, format!("{expected:#}\n"), "{name}");
        assert_eq!(errors, notes, "{name}");
        let left_out = notes.lines().any(|line| line.starts_with("left out: "));
        assert_eq!(code, Some(if left_out { 3 } else { 0 }), "{name}");
        assert!(!errors.contains("c2VjcmV0"), "{name}: a key is told");
        count += 1;
    }
    assert_eq!(count, 6);
}

#[test]
fn standard_input_is_as_good_as_a_file() {
    let path = folder().join("istio-require-token.yaml");
    let from_file = texts(run(&["import", path.to_str().unwrap()], ""));
    let from_input = texts(run(&["import", "-"], &fs::read_to_string(&path).unwrap()));
    assert_eq!(from_input.0, Some(0));
    assert_eq!(from_input, from_file);
}

#[test]
fn what_cannot_be_imported_is_one_clear_line() {
    let missing = "/no/such/folder/envoy.yaml";
    fails(&["import", missing], "", &format!("cannot read `{missing}`: No such file"));
    for input in ["a: [", "a: 1\na: 2\n", "{\"a\": 1, \"a\": 2}"] {
        fails(&["import", "-"], input, "-: it is not YAML that can be read: ");
    }
    let none = "-: there is no `envoy.filters.http.jwt_authn` filter and no Istio document in it";
    fails(&["import", "-"], "", none);
    fails(&["import", "-"], "a: b\n", none);
    fails(&["import", "-"], "providers: x\n", "-: providers: it must be an object");
    let providers = "-: providers.x.issuer: it must be a string";
    fails(&["import", "-"], "providers: {x: {issuer: 1}}\n", providers);
    let unknown = "-: banana: Postern does not know what this member means";
    fails(&["import", "-"], "providers: {}\nbanana: 1\n", unknown);
}

#[test]
fn one_of_several_filters_has_to_be_chosen() {
    let filter = |issuer: &str| {
        let jwks = json!({"http_uri": {"uri": "https://a.example/jwks", "cluster": "a"}});
        let provider = json!({"issuer": issuer, "require_expiration": true, "remote_jwks": jwks});
        let config = json!({"providers": {"p": provider}});
        json!({"name": "envoy.filters.http.jwt_authn", "typed_config": config})
    };
    let two = json!({"http_filters": [filter("one"), filter("two")]}).to_string();
    let places = "1: http_filters[0].typed_config, 2: http_filters[1].typed_config";
    let message = format!("-: choose one of the filters with `--filter N`: {places}");
    fails(&["import", "-"], &two, &message);
    fails(&["import", "-", "--filter", "3"], &two, &message);
    for (number, issuer) in [("1", "one"), ("2", "two")] {
        let (code, policy, _) = texts(run(&["import", "-", "--filter", number], &two));
        let policy: Value = serde_json::from_str(&policy).unwrap();
        assert_eq!(code, Some(0));
        assert_eq!(policy.pointer("/providers/p/issuer").unwrap(), issuer);
    }
    let same = json!({"http_filters": [filter("one"), filter("one")]}).to_string();
    assert_eq!(texts(run(&["import", "-"], &same)).0, Some(0));
}

#[test]
fn a_key_set_is_read_from_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    let secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA";
    let set = json!({"keys": [{"kty": "oct", "k": secret}]}).to_string();
    fs::write(&file, &set).unwrap();
    let provider = json!({"issuer": "i", "local_jwks": {"filename": file}});
    let config = json!({"providers": {"p": provider}}).to_string();
    let (code, policy, errors) = texts(run(&["import", "-"], &config));
    let policy: Value = serde_json::from_str(&policy).unwrap();
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(policy.pointer("/providers/p/local_jwks/inline_string").unwrap(), &json!(set));
    assert_eq!(policy.pointer("/providers/p/algorithms").unwrap(), &json!(["HS256"]));
    assert!(!errors.contains(secret), "{errors}");
}

#[test]
fn a_policy_is_checked() {
    let policy = json!({"rules": [{"match": {"prefix": "/"}}]}).to_string();
    let (code, told, errors) = texts(run(&["check", "-"], &policy));
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert_eq!(told, "-: the policy is valid: 0 providers, 1 rule\n");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.json");
    let provider =
        json!({"issuer": "i", "remote_jwks": {"http_uri": {"uri": "https://a.example"}}});
    let rule = json!({"match": {"prefix": "/"}, "requires": {"provider_name": "p"}});
    let policy = json!({"providers": {"p": provider}, "rules": [rule, rule]}).to_string();
    fs::write(&file, policy).unwrap();
    let name = file.to_str().unwrap();
    let (code, told, _) = texts(run(&["check", name], ""));
    assert_eq!(code, Some(0));
    assert_eq!(told, format!("{name}: the policy is valid: 1 provider, 2 rules\n"));

    let misspelt = json!({"rules": [{"match": {"prefx": "/"}}]}).to_string();
    fails(&["check", "-"], &misspelt, "-: rules[0].match.prefx: unknown field `prefx`");
    fails(&["check", "-"], "{", "-: ");
    fails(&["check", "/no/such/file"], "", "cannot read `/no/such/file`: No such file");
}

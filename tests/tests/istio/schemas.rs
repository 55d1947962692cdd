//! The schemas of Istio 1.29's resource definitions, from npm's `@kubernetes-models/istio`.

use std::io::Write;
use std::process::{Command, Stdio};

use postern_tests::workspace_root;
use serde_json::{Value, json};

use crate::{ENROLLED, GATE, KEYS, NATIVE, resources};

#[test]
fn every_file_is_as_istio_wants_it() {
    for (file, kinds) in [
        (GATE, vec!["WasmPlugin"]),
        (ENROLLED, vec!["WasmPlugin"]),
        (KEYS, vec!["ServiceEntry", "DestinationRule"]),
        (NATIVE, vec!["RequestAuthentication", "AuthorizationPolicy", "AuthorizationPolicy"]),
    ] {
        let resources = resources(file);
        let found: Vec<&str> = resources.iter().map(|one| one["kind"].as_str().unwrap()).collect();
        assert_eq!(found, kinds, "{file}");
        for (resource, wrong) in resources.iter().zip(check(&resources)) {
            assert_eq!(wrong, Vec::<String>::new(), "{file}: {}", resource["metadata"]["name"]);
        }
    }
}

/// A schema that let everything pass would be none.
#[test]
fn a_misspelt_member_and_a_wrong_type_are_found() {
    let gate = || resources(GATE).remove(0);
    let changed = |mut resource: Value, pointer: &str, name: &str, value: Value| {
        resource.pointer_mut(pointer).unwrap()[name] = value;
        resource
    };
    let enrolled = || resources(ENROLLED).remove(0);
    let rule = || resources(NATIVE).remove(1);
    let operation = "/spec/rules/0/to/0/operation";
    let cases = [
        (changed(gate(), "/spec", "failStrtegy", json!("FAIL_CLOSE")), "spec.failStrtegy"),
        (changed(gate(), "/spec", "failStrategy", json!("FAIL_SHUT")), "spec/failStrategy"),
        (changed(gate(), "/spec", "phase", json!(1)), "spec/phase"),
        (changed(gate(), "/spec", "pluginConfig", json!("{}")), "spec/pluginConfig"),
        (changed(gate(), "/spec/selector", "matchLables", json!({})), "selector.matchLables"),
        (
            changed(enrolled(), "/spec/vmConfig/env/0", "valueFrom", json!("SECRET")),
            "spec/vmConfig/env/0/valueFrom",
        ),
        (changed(gate(), "/metadata", "labels", json!([])), "metadata/labels"),
        (changed(gate(), "", "spce", json!({})), "WasmPlugin.spce"),
        (changed(gate(), "", "kind", json!("WasmPlugins")), "no WasmPlugins"),
        (changed(rule(), operation, "path", json!(["/"])), "operation.path: unknown"),
        (changed(rule(), operation, "paths", json!("/")), "operation/paths"),
        (
            changed(resources(KEYS).remove(1), "/spec/trafficPolicy/tls", "san", json!([])),
            "tls.san",
        ),
        (changed(resources(KEYS).remove(0), "/spec/ports/0", "number", json!("443")), "number"),
    ];
    let resources: Vec<Value> = cases.iter().map(|(resource, _)| resource.clone()).collect();
    for (wrong, (_, place)) in check(&resources).into_iter().zip(&cases) {
        assert!(wrong.iter().any(|one| one.contains(place)), "{place}: {wrong:?}");
    }
}

/// What is wrong with each.
fn check(resources: &[Value]) -> Vec<Vec<String>> {
    let root = workspace_root();
    let mut command = Command::new("node");
    command.arg(root.join("tests/istio/check.mjs")).arg(root.join(".tools/istio"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("node");
    let lines: Vec<String> = resources.iter().map(Value::to_string).collect();
    child.stdin.take().unwrap().write_all(lines.join("\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let missing = "`cargo xtask setup` installs what it runs with";
    assert!(output.status.success(), "{missing}, or it failed: {command:?}");
    let answers: Vec<Vec<String>> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), resources.len(), "one answer each");
    answers
}

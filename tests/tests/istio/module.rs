//! What a schema does not know: that gate, keys and image fit together.

use serde_json::{Value, json};

use crate::{ENROLLED, GATE, KEYS, policy_of_the_plugin, postern, read, resources};

#[test]
fn the_policy_in_the_plugin_is_one_and_a_misspelt_one_is_not() {
    let policy = policy_of_the_plugin();
    let (code, said) = postern(&["policy", "check", "-"], &policy.to_string());
    assert_eq!(code, Some(0), "{said}");
    let mut misspelt = policy;
    misspelt["providers"]["shop"]["audience"] = json!(["shop"]);
    let (code, said) = postern(&["policy", "check", "-"], &misspelt.to_string());
    assert_eq!(code, Some(1));
    assert!(said.contains("providers.shop.audience"), "{said}");
}

#[test]
fn keys_are_fetched_through_the_cluster_that_keys_yaml_makes() {
    let policy = policy_of_the_plugin();
    let http_uri = &policy["providers"]["shop"]["remote_jwks"]["http_uri"];
    let keys = resources(KEYS);
    let (entry, rule) = (&keys[0]["spec"], &keys[1]["spec"]);
    let (host, port) = (&entry["hosts"][0], &entry["ports"][0]["number"]);
    let cluster = format!("outbound|{port}||{}", host.as_str().unwrap());
    assert_eq!(http_uri["cluster"], json!(cluster));
    assert!(
        http_uri["uri"]
            .as_str()
            .unwrap()
            .starts_with(&format!("https://{}/", host.as_str().unwrap()))
    );
    let tls = &rule["trafficPolicy"]["tls"];
    assert_eq!((&rule["host"], &tls["sni"], &tls["subjectAltNames"][0]), (host, host, host));
    assert_eq!(tls["mode"], "SIMPLE");
    assert!(tls["caCertificates"].is_string(), "a certificate that nobody checks");
}

/// What is a secret comes from the proxy's environment: the resources hold its name only.
#[test]
fn the_enrolled_gate_is_the_gate_with_a_credential_of_the_hosts() {
    let (gate, enrolled) = (resources(GATE).remove(0), resources(ENROLLED).remove(0));
    let host = json!({ "env": [{ "name": "POSTERN_EDGE", "valueFrom": "HOST" }] });
    assert_eq!(enrolled["spec"]["vmConfig"], host);
    for member in ["selector", "match", "phase", "url", "sha256", "failStrategy"] {
        assert_eq!(enrolled["spec"][member], gate["spec"][member], "{member}");
    }
    let policy = &enrolled["spec"]["pluginConfig"];
    let (code, said) = postern(&["policy", "check", "-"], &policy.to_string());
    assert_eq!(code, Some(0), "{said}");
    let cluster =
        &gate["spec"]["pluginConfig"]["providers"]["shop"]["remote_jwks"]["http_uri"]["cluster"];
    let shop = &policy["providers"]["shop"];
    assert_eq!(&shop["edge_keys"]["http_uri"]["cluster"], cluster);
    assert_eq!(&shop["status_list"]["cluster"], cluster);
    assert!(read("README.md").contains("secretKeyRef: { name: postern-edge, key: credential }"));
}

#[test]
fn the_gate_fails_shut_and_takes_one_module_only() {
    let gate = resources(GATE).remove(0);
    let spec = &gate["spec"];
    assert_eq!((&spec["failStrategy"], &spec["phase"]), (&json!("FAIL_CLOSE"), &json!("AUTHN")));
    assert_eq!(spec["match"], json!([{ "mode": "SERVER" }]));
    let digest = spec["sha256"].as_str().unwrap();
    assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digest}");
}

/// The same workloads, and one namespace: else a rule would stand before nobody.
#[test]
fn all_resources_are_for_one_workload() {
    let labels = json!({ "app": "storefront" });
    for file in [GATE, ENROLLED, KEYS, crate::NATIVE] {
        for resource in resources(file) {
            let name = format!("{file}: {}", resource["kind"]);
            assert_eq!(resource["metadata"]["namespace"], "shop", "{name}");
            let spec = &resource["spec"];
            let selector = [&spec["selector"], &spec["workloadSelector"]];
            let chosen = selector.into_iter().find(|one| !one.is_null());
            let expected = (resource["kind"] != "ServiceEntry").then_some(&labels);
            assert_eq!(chosen.map(|one| &one["matchLabels"]), expected, "{name}");
        }
    }
}

/// Istio looks for these names in an image.
#[test]
fn the_image_holds_the_module_under_the_name_that_istio_looks_for() {
    let lines: Vec<String> = read("Dockerfile").lines().map(str::to_owned).collect();
    let steps: Vec<&String> =
        lines.iter().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(steps, ["FROM scratch", "COPY filter.wasm ./plugin.wasm"]);
    let config: Value = serde_json::from_str(&read("runtime-config.json")).unwrap();
    assert_eq!(config["type"], "envoy_proxy");
    let readme = read("README.md");
    for media_type in [
        "application/vnd.module.wasm.content.layer.v1+wasm",
        "application/vnd.module.wasm.config.v1+json",
    ] {
        assert!(readme.contains(media_type), "{media_type}");
    }
}

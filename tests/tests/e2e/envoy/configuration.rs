//! What Envoy says to our configuration, and to policies with a mistake.

use postern_tests::{Envoy, EnvoyConfig};
use serde_json::{Value, json};

/// A mistake in a policy.
type Change = fn(&mut Value);

#[test]
fn the_published_file_is_valid() {
    let (valid, said) = Envoy::validate(&EnvoyConfig::published().unwrap()).unwrap();
    assert!(valid, "{said}");
}

#[test]
fn a_file_that_is_not_valid_is_told_apart() {
    let config = EnvoyConfig::published().unwrap().replace("merge_slashes", "merge_slash").unwrap();
    let (valid, said) = Envoy::validate(&config).unwrap();
    assert!(!valid && said.contains("merge_slash"), "{said}");
}

#[tokio::test]
async fn a_bad_policy_stops_the_start_and_is_named() {
    let changes: [(&str, Change); 7] = [
        ("audience", |policy| rename(&mut policy["providers"]["shop"], "audiences", "audience")),
        ("issuer", |policy| rename(&mut policy["providers"]["shop"], "issuer", "iss")),
        ("provider_name", |policy| {
            policy["rules"][1]["requires"]["provider_name"] = json!("chop");
        }),
        ("cluster", |policy| {
            let uri = &mut policy["providers"]["shop"]["remote_jwks"]["http_uri"];
            uri.as_object_mut().unwrap().remove("cluster");
        }),
        ("rules[1].match.prefx", |policy| {
            rename(&mut policy["rules"][1]["match"], "prefix", "prefx");
        }),
        ("rules[1].match.prefix", |policy| policy["rules"][1]["match"]["prefix"] = json!(7)),
        ("cache_duration", |policy| {
            policy["providers"]["shop"]["remote_jwks"]["cache_duration"] = json!("soon");
        }),
    ];
    for (member, change) in changes {
        let config = EnvoyConfig::for_test(1, 2).unwrap();
        let mut policy = config.read_policy().unwrap();
        change(&mut policy);
        let outcome = Envoy::start(&config.policy(&policy).unwrap()).await;
        let said = outcome.expect_err(member).to_string();
        assert!(said.contains("ended at its start"), "{member}: {said}");
        let line = said.lines().find(|line| line.contains("bad policy"));
        let line = line.unwrap_or_else(|| panic!("{member}: no reason in {said}"));
        assert!(line.contains(member), "`{member}` is not named: {line}");
    }
}

fn rename(object: &mut Value, from: &str, to: &str) {
    let members = object.as_object_mut().unwrap();
    let value = members.remove(from).unwrap();
    members.insert(to.to_owned(), value);
}

//! Where an edge's credential comes from, and that it is seen nowhere.

use postern_tests::{Envoy, ForgedEdge, Protocol, Request};
use serde_json::{Value, json};

use crate::edge_gate::{CURRENT, EdgeWorld, NEXT, connections, verdicts};

const CODE: &str = "                  code:\n";

#[tokio::test]
async fn a_credential_from_the_environment_opens_a_domain_of_secrets_and_is_seen_nowhere() {
    let world = EdgeWorld::open().await;
    world.publish(1, 300, &[CURRENT]);
    let envoy = world.start(&world.policy(|_| {})).await;
    let mut all = connections(&envoy).await;
    assert_eq!(verdicts(&mut all, &world.token(CURRENT)).await, ["200"]);
    let forged = world.token(("current", NEXT.1));
    assert_eq!(verdicts(&mut all, &forged).await, ["signature_invalid"]);

    let dump = envoy.admin().send(Request::get("/config_dump")).await.unwrap().body;
    assert!(dump.contains("POSTERN_EDGE") && dump.contains("edge_keys"), "that is not the dump");
    let poll = world.issuer.polls().remove(0);
    assert!(poll.authorization.starts_with("Bearer "), "the poll says nothing of who asks");
    let assertion = poll.authorization.trim_start_matches("Bearer ").to_owned();
    let log = envoy.log();
    assert!(log.contains("postern: "), "the filter logs nothing: the test could not fail");
    let [signing, receiving] = world.edge.secrets();
    let secret = postern_tests::base64url(CURRENT.1);
    for hidden in [signing, receiving, secret, assertion] {
        assert!(!dump.contains(&hidden), "it stands in the configuration");
        assert!(!log.contains(&hidden), "it stands in the log");
    }
}

/// As a control plane delivers it; there it does stand in the configuration.
#[tokio::test]
async fn a_credential_may_come_with_the_configuration_of_the_virtual_machine() {
    let world = EdgeWorld::open().await;
    world.publish(1, 300, &[CURRENT]);
    let stranger = ForgedEdge::generate().unwrap().credential("http://127.0.0.1:1/blog");
    let several = json!([stranger, world.edge.credential(&world.issuer.url())]);
    for document in [world.credential(), several.to_string()] {
        let config = world.config(&world.policy(|_| {}));
        let value = format!(
            "configuration: {{ '@type': type.googleapis.com/google.protobuf.StringValue, value: '{document}' }}"
        );
        let config = config.replace(CODE, &format!("{:18}{value}\n{CODE}", "")).unwrap();
        let envoy = Envoy::start(&config).await.unwrap();
        let request = Request::get("/").bearer(&world.token(CURRENT));
        let answer = envoy.client(Protocol::Http1).send(request).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

#[tokio::test]
async fn a_bad_credential_stops_the_start_and_is_named_but_not_quoted() {
    let world = EdgeWorld::open().await;
    let credential = world.edge.credential(&world.issuer.url());
    let without = |pointer: &str, member: &str| {
        let mut changed = credential.clone();
        changed.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(member);
        changed
    };
    let with = |pointer: &str, value: Value| {
        let mut changed = credential.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        changed
    };
    let other = ForgedEdge::generate().unwrap().credential("http://127.0.0.1:1/blog");
    let cases = [
        ("bad credential: POSTERN_EDGE: invalid type: string", json!("not an object")),
        ("bad credential: POSTERN_EDGE: keys[0]: missing field `d`", without("/keys/0", "d")),
        (
            "bad credential: POSTERN_EDGE: keys[1].d",
            with("/keys/1/d", other["keys"][1]["d"].clone()),
        ),
        ("bad credential: POSTERN_EDGE: missing field `issuer_keys`", without("", "issuer_keys")),
        (
            "bad credential: POSTERN_EDGE: [1].keys[0]: missing field `d`",
            json!([credential, without("/keys/0", "d")]),
        ),
        ("bad policy: providers.shop.edge_keys", other.clone()),
    ];
    let policy = world.policy(|_| {});
    for (reason, document) in cases {
        let outcome = Envoy::start_as_edge(&world.config(&policy), &document.to_string()).await;
        let said = outcome.expect_err(reason).to_string();
        assert!(said.contains("ended at its start"), "{reason}: {said}");
        assert!(said.contains(reason), "`{reason}` is not said: {said}");
        for edge in [&credential, &other] {
            for key in edge["keys"].as_array().unwrap() {
                assert!(!said.contains(key["d"].as_str().unwrap()), "{reason}: the secret is told");
            }
        }
    }
    // Nor does a policy with `edge_keys` come into force where there is no credential at all.
    let said = Envoy::start(&world.config(&policy)).await.unwrap_err().to_string();
    assert!(said.contains("bad policy: providers.shop.edge_keys"), "{said}");
}

#[tokio::test]
async fn a_policy_needs_the_clusters_that_lead_to_keys_and_lists() {
    let world = EdgeWorld::open().await;
    let no_cluster = |provider: &mut Value| {
        provider["edge_keys"] = json!({});
    };
    let no_list_cluster = |provider: &mut Value| {
        provider["status_list"] = json!({});
    };
    for (member, policy) in [
        ("providers.shop.edge_keys.http_uri.cluster", world.policy(no_cluster)),
        ("providers.shop.status_list.cluster", world.policy(no_list_cluster)),
    ] {
        let outcome = Envoy::start_as_edge(&world.config(&policy), &world.credential()).await;
        let said = outcome.expect_err(member).to_string();
        assert!(said.contains(&format!("bad policy: {member}")), "{member}: {said}");
    }
}

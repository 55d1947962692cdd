//! Bundles of keys for an enrolled edge: how often they are asked for, what is said with it, and which
//! of them are taken.

use std::collections::BTreeSet;
use std::time::Duration;

use postern_tests::{Envoy, Published, secret_keys};
use serde_json::{Value, json};

use crate::edge_gate::{CURRENT, EdgeWorld, NEXT, connections, everywhere, polls, verdicts};

/// Two worker threads and the main one make one poll for each period, and are one to the issuer, which
/// is told of nothing that it has not given out.
#[tokio::test]
async fn a_process_makes_one_poll_and_speaks_with_one_voice() {
    let world = EdgeWorld::open().await;
    world.publish(1, 2, &[CURRENT]);
    let envoy = world.start(&world.policy(|_| {})).await;
    let mut all = connections(&envoy).await;
    everywhere(&mut all, &world.token(CURRENT), "200").await;
    let begin = (tokio::time::Instant::now(), world.issuer.polls().len());
    polls(&world.issuer, begin.1 + 3).await;
    world.publish(2, 2, &[CURRENT, NEXT]);
    polls(&world.issuer, begin.1 + 6).await;
    // One in 1.6 s at most.
    let most = usize::try_from(begin.0.elapsed().as_millis() / 1_600 + 1).unwrap();
    let polls = world.issuer.polls();
    let made = polls.len() - begin.1;
    assert!(made <= most, "{made} polls, at most {most}");

    let instances: BTreeSet<String> =
        polls.iter().map(|poll| poll.claims["instance"].to_string()).collect();
    assert_eq!(instances.len(), 1, "{instances:?}");
    let mut given = vec![Value::Null];
    for (index, poll) in polls.iter().enumerate() {
        let held = &poll.claims["held"];
        assert_eq!(
            held.as_str(),
            poll.if_none_match.as_deref(),
            "it says one and asks with another"
        );
        assert!(given.contains(held), "poll {index} holds {held}, and was given {given:?}");
        let etag = if index < begin.1 + 3 { "\"1.good\"" } else { "\"2.good\"" };
        given.push(json!(etag));
    }
    assert_eq!(polls[0].claims["held"], Value::Null);
    assert_eq!(polls.last().unwrap().claims["held"], "\"2.good\"");
}

/// As in Istio: what modules without a `vm_id` share, any of them can write.
#[tokio::test]
async fn without_a_vm_id_each_thread_asks_and_speaks_for_itself() {
    let world = EdgeWorld::open().await;
    world.publish(1, 300, &[CURRENT]);
    let config = world.config(&world.policy(|_| {}));
    let config = config.replace("vm_id: postern\n", "vm_id: ''\n").unwrap();
    let _envoy = Envoy::start_as_edge(&config, &world.credential()).await.unwrap();
    // Two worker threads and the main one.
    polls(&world.issuer, 3).await;
    let instances: BTreeSet<String> =
        world.issuer.polls().iter().map(|poll| poll.claims["instance"].to_string()).collect();
    assert_eq!(instances.len(), 3, "{instances:?}");
}

/// A thread that has not got the new bundle yet takes it when a token names a key that it does not know,
/// without a poll of its own: the issuer may have been told that the process holds it.
#[tokio::test]
async fn what_one_thread_has_fetched_all_threads_verify_with_at_once() {
    let world = EdgeWorld::open().await;
    world.publish(1, 300, &[CURRENT]);
    let policy = world.policy(|provider| provider["edge_keys"]["cache_duration"] = json!("300s"));
    let envoy = world.start(&policy).await;
    let mut all = connections(&envoy).await;
    everywhere(&mut all, &world.token(CURRENT), "200").await;
    world.publish(2, 300, &[CURRENT, NEXT]);
    // The cooldown after a fetch.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(world.issuer.polls().len(), 1);
    let next = world.token(NEXT);
    assert_eq!(verdicts(&mut all[..1], &next).await, ["200"], "the first one asks the issuer");
    assert_eq!(verdicts(&mut all, &next).await, ["200"], "all others have it");
    assert_eq!(world.issuer.polls().len(), 2);
}

/// Without a token that would make it look: a thread hears of the new bundle within a second, though its
/// own time is not come, and the old secret is gone everywhere.
#[tokio::test]
async fn a_withdrawn_key_is_gone_from_all_threads_when_one_has_heard_of_it() {
    let world = EdgeWorld::open().await;
    world.publish(1, 300, &[CURRENT]);
    let policy = world.policy(|provider| provider["edge_keys"]["cache_duration"] = json!("300s"));
    let envoy = world.start(&policy).await;
    let mut all = connections(&envoy).await;
    let old = world.token(CURRENT);
    everywhere(&mut all, &old, "200").await;
    world.publish(2, 300, &[NEXT]);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(verdicts(&mut all[..1], &world.token(NEXT)).await, ["200"]);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(world.issuer.polls().len(), 2);
    assert_eq!(verdicts(&mut all, &old).await, ["key_unknown"], "a thread goes on with it");
}

#[tokio::test]
async fn an_emergency_withdrawal_is_in_force_after_one_poll() {
    let world = EdgeWorld::open().await;
    world.publish(1, 1, &[CURRENT]);
    let envoy = world.start(&world.policy(|_| {})).await;
    let mut all = connections(&envoy).await;
    let old = world.token(CURRENT);
    everywhere(&mut all, &old, "200").await;
    world.publish(2, 1, &[NEXT]);
    let before = world.issuer.polls().len();
    polls(&world.issuer, before + 1).await;
    // The other threads are told within a second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(verdicts(&mut all, &old).await, ["key_unknown"]);
    assert_eq!(verdicts(&mut all, &world.token(NEXT)).await, ["200"]);
    // An edge that has been removed has no keys at all.
    world.issuer.publish(Published::status(410));
    everywhere(&mut all, &world.token(NEXT), "keys_unavailable").await;
}

#[tokio::test]
async fn a_bundle_that_is_not_the_issuers_or_is_of_the_past_changes_nothing_and_is_counted() {
    let world = EdgeWorld::open().await;
    world.publish(5, 1, &[CURRENT]);
    let policy = world.policy(|provider| {
        provider["edge_keys"]["retry_policy"] =
            json!({ "retry_back_off": { "base_interval": "1s", "max_interval": "1s" } });
    });
    let envoy = world.start(&policy).await;
    let mut all = connections(&envoy).await;
    let (good, evil) = (world.token(CURRENT), world.token(NEXT));
    everywhere(&mut all, &good, "200").await;

    let (url, keys) = (world.issuer.url(), secret_keys(&[NEXT]));
    let claims = |name: &str, value: Value| {
        let mut claims = world.edge.bundle_claims(&url, 6, &keys);
        claims[name] = value;
        world.edge.sign(&claims)
    };
    let stranger = postern_tests::ForgedEdge::generate().unwrap();
    let mut tampered = world.edge.bundle(&url, 6, &keys);
    tampered.replace_range(tampered.len() - 8.., "AAAAAAAA");
    let bundles = [
        ("tampered with", tampered),
        ("of another signer", stranger.sign(&world.edge.bundle_claims(&url, 6, &keys))),
        ("for another edge", world.edge.sign(&stranger.bundle_claims(&url, 6, &keys))),
        ("of another issuer", claims("iss", json!("http://127.0.0.1:1/shop"))),
        ("expired", claims("exp", json!(1_000_000_000))),
        ("rolled back", world.edge.bundle(&url, 4, &keys)),
        ("in clear", keys.to_string()),
    ];
    let mut refused = 0;
    for (what, bundle) in bundles {
        world.issuer.publish(Published::new(what, 1, &bundle));
        let before = world.issuer.polls().len();
        polls(&world.issuer, before + 2).await;
        assert_eq!(verdicts(&mut all, &good).await, ["200"], "{what}");
        let evil = verdicts(&mut all, &evil).await;
        assert!(!evil.contains(&"200".to_owned()), "{what}: {evil:?}");
        let counted = envoy.counter("wasmcustom.postern.bundles_refused").await.unwrap();
        assert!(counted > refused, "{what} is not counted: {counted}");
        refused = counted;
        // Each poll is refused once, not once by each thread.
        assert!(refused <= world.issuer.polls().len() as u64, "{what}: {refused}");
    }
    // Nor does the issuer hear that the edge held any of them.
    let held: BTreeSet<String> =
        world.issuer.polls().iter().map(|poll| poll.claims["held"].to_string()).collect();
    assert_eq!(held.into_iter().collect::<Vec<_>>(), [r#""\"5.good\"""#, "null"]);

    world.publish(7, 1, &[NEXT]);
    everywhere(&mut all, &evil, "200").await;
}

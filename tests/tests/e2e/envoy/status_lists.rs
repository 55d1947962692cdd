//! Status lists: what they revoke is revoked in all threads, by one poll, and what counts where they do
//! not come.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use postern_tests::{Connection, Envoy, now, status_list_claims, wait_until};
use serde_json::{Value, json};

use crate::edge_gate::{CURRENT, EdgeWorld, LIMIT, NEXT, connections, everywhere, verdicts};

/// A world whose provider looks its tokens up, with this for the rest of its `status_list`.
async fn open(options: &Value) -> (EdgeWorld, Envoy) {
    let world = EdgeWorld::open().await;
    world.publish(1, 300, &[CURRENT]);
    let mut lists = json!({ "cluster": "issuer", "max_age": "1s", "timeout": "0.5s" });
    lists.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    let policy = world.policy(|provider| {
        provider["status_list"] = lists;
        provider["edge_keys"]["cache_duration"] = json!("300s");
    });
    let envoy = world.start(&policy).await;
    (world, envoy)
}

impl EdgeWorld {
    /// A token whose session has this place in the first list.
    fn token_at(&self, place: u32) -> String {
        let list = json!({ "idx": place, "uri": self.issuer.list_uri(0) });
        self.token_with(CURRENT, &json!({ "status": { "status_list": list } }))
    }

    fn revoke(&self, etag: &str, places: &[usize]) {
        let claims = status_list_claims(&self.issuer.list_uri(0), places);
        self.publish_list(etag, CURRENT, &claims);
    }

    async fn list_polls(&self, more: usize) {
        let begin = self.issuer.list_polls().len();
        wait_until("polls for lists", LIMIT, async || {
            self.issuer.list_polls().len() >= begin + more
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn a_revoked_session_is_refused_everywhere_within_max_age() {
    let (world, envoy) = open(&json!({})).await;
    world.revoke("0", &[5]);
    let (mine, other) = (world.token_at(7), world.token_at(8));
    let mut all = connections(&envoy).await;
    assert_eq!(verdicts(&mut all, &mine).await, ["200"]);
    assert_eq!(verdicts(&mut all, &other).await, ["200"]);
    assert_eq!(verdicts(&mut all, &world.token_at(5)).await, ["token_revoked"]);

    world.revoke("1", &[5, 7]);
    let since = Instant::now();
    everywhere(&mut all, &mine, "token_revoked").await;
    // `max_age`, and what is measured, which is a round over all connections.
    assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
    assert_eq!(verdicts(&mut all, &other).await, ["200"]);

    // All sessions of a domain end at once, and then those of one user.
    let list = || status_list_claims(&world.issuer.list_uri(0), &[5, 7]);
    let mut claims = list();
    claims["postern_not_before"] = json!({ "subjects": { "user-2": now() + 100 } });
    world.publish_list("2", CURRENT, &claims);
    world.list_polls(2).await;
    assert_eq!(verdicts(&mut all, &other).await, ["200"], "that was another user");
    claims = list();
    claims["postern_not_before"] = json!({ "all": now() + 100 });
    world.publish_list("3", CURRENT, &claims);
    everywhere(&mut all, &other, "token_not_before").await;
}

#[tokio::test]
async fn two_worker_threads_make_one_poll_without_a_word_of_who_asks() {
    let (world, envoy) = open(&json!({})).await;
    world.revoke("0", &[5]);
    let token = world.token_at(7);
    let mut all = connections(&envoy).await;
    everywhere(&mut all, &token, "200").await;
    let (begin, before) = (Instant::now(), world.issuer.list_polls().len());
    assert_eq!(before, 1, "the threads fetched by themselves");
    while begin.elapsed() < Duration::from_secs(5) {
        assert_eq!(verdicts(&mut all, &token).await, ["200"]);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let polls = world.issuer.list_polls();
    // One in 0.8 to 0.95 s.
    assert!((4..=8).contains(&(polls.len() - before)), "{} polls in 5 s", polls.len() - before);
    for (index, poll) in polls.iter().enumerate() {
        assert_eq!(poll.authorization, "", "a public document was asked for by name");
        assert_eq!(poll.if_none_match.is_some(), index > 0, "poll {index}");
    }
    assert_eq!(world.issuer.polls().len(), 1, "that the lists change is no reason to ask for keys");
    envoy
        .wait_for_counter("wasmcustom.postern.provider.shop.status_lists.number", 1)
        .await
        .unwrap();
}

async fn stale(world: &EdgeWorld, all: &mut [Connection], token: &str) {
    world.revoke("0", &[5]);
    everywhere(all, token, "200").await;
    // Not what the issuer says, but that it says nothing.
    world.issuer.publish_list(None);
}

#[tokio::test]
async fn a_stale_list_shuts_the_gate_until_there_is_a_fresh_one() {
    let (world, envoy) = open(&json!({ "max_stale": "2s" })).await;
    let token = world.token_at(7);
    let mut all = connections(&envoy).await;
    stale(&world, &mut all, &token).await;
    everywhere(&mut all, &token, "status_unavailable").await;
    assert_eq!(verdicts(&mut all, &world.token_at(5)).await, ["token_revoked"]);
    envoy.wait_for_counter("wasmcustom.postern.stale_status", 0).await.unwrap();
    wait_until("refusals in the statistics", LIMIT, async || {
        envoy.counter("wasmcustom.postern.denied.status_unavailable").await.unwrap() > 0
    })
    .await
    .unwrap();
    world.revoke("1", &[5]);
    everywhere(&mut all, &token, "200").await;
}

#[tokio::test]
async fn a_stale_list_goes_on_counting_where_the_policy_says_so_and_is_counted() {
    let (world, envoy) = open(&json!({ "max_stale": "2s", "when_stale": "allow" })).await;
    let token = world.token_at(7);
    let mut all = connections(&envoy).await;
    stale(&world, &mut all, &token).await;
    wait_until("requests that pass by a stale list", LIMIT, async || {
        let verdict = envoy.client(postern_tests::Protocol::Http1);
        let request = postern_tests::Request::get("/").bearer(&token);
        assert_eq!(verdict.send(request).await.unwrap().status, 200);
        envoy.counter("wasmcustom.postern.stale_status").await.unwrap() > 0
    })
    .await
    .unwrap();
    assert_eq!(verdicts(&mut all, &token).await, ["200"]);
    assert_eq!(verdicts(&mut all, &world.token_at(5)).await, ["token_revoked"]);
}

#[tokio::test]
async fn a_list_that_is_not_the_issuers_or_is_of_the_past_changes_nothing_and_is_counted() {
    let (world, envoy) = open(&json!({})).await;
    world.revoke("0", &[5]);
    let (good, revoked) = (world.token_at(7), world.token_at(5));
    let mut all = connections(&envoy).await;
    everywhere(&mut all, &good, "200").await;
    let claims = |name: &str, value: Value| {
        let mut claims = status_list_claims(&world.issuer.list_uri(0), &[7]);
        claims[name] = value;
        claims
    };
    let uri = world.issuer.list_uri(1);
    let lists = [
        ("signed by another key", ("current", NEXT.1), claims("ttl", json!(5))),
        ("another list", CURRENT, claims("sub", json!(uri))),
        ("rolled back", CURRENT, claims("iat", json!(now() - 1000))),
        ("expired", CURRENT, claims("exp", json!(now() - 1000))),
        ("no list", CURRENT, claims("status_list", json!({ "bits": 1, "lst": "AAAA" }))),
    ];
    let mut refused = 0;
    for (what, secret, claims) in lists {
        world.publish_list(what, secret, &claims);
        world.list_polls(2).await;
        assert_eq!(verdicts(&mut all, &good).await, ["200"], "{what}");
        assert_eq!(verdicts(&mut all, &revoked).await, ["token_revoked"], "{what}");
        let counted = envoy.counter("wasmcustom.postern.lists_refused").await.unwrap();
        assert!(counted > refused, "{what} is not counted: {counted}");
        refused = counted;
        assert!(refused <= world.issuer.list_polls().len() as u64, "{what}: {refused}");
    }
    world.revoke("1", &[5, 7]);
    everywhere(&mut all, &good, "token_revoked").await;
}

/// The rest of the policy does not hang on lists: tokens that name none are refused, unless it says
/// otherwise, and no list is fetched that is not the issuer's.
#[tokio::test]
async fn only_lists_of_the_issuer_are_fetched() {
    let (world, envoy) = open(&json!({})).await;
    world.revoke("0", &[]);
    let mut all = connections(&envoy).await;
    assert_eq!(verdicts(&mut all, &world.token(CURRENT)).await, ["status_missing"]);
    let stranger = format!("http://127.0.0.1:{}/blog/status-lists/0", world.issuer.port());
    let list = json!({ "status": { "status_list": { "idx": 1, "uri": stranger } } });
    let verdict = verdicts(&mut all, &world.token_with(CURRENT, &list)).await;
    assert!(!verdict.contains(&"200".to_owned()), "{verdict:?}");
    let paths: BTreeSet<String> =
        world.issuer.list_polls().into_iter().map(|poll| poll.path).collect();
    assert!(paths.is_empty(), "{paths:?}");
}

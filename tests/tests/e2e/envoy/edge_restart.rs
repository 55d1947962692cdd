//! An enrolled edge whose process is replaced while requests go on (hot restart).

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use postern_tests::{Client, Envoy, EnvoyConfig, Protocol, Request};

use crate::edge_gate::{CURRENT, EdgeWorld, LIMIT, NEXT};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_restart_loses_no_request_and_the_new_process_is_another_to_the_issuer() {
    let world = EdgeWorld::open().await;
    world.publish(1, 1, &[CURRENT]);
    // A new process finds its listeners' sockets by their addresses.
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let own = |config: EnvoyConfig| {
        let address = "port_value: 0 }\n    filter_chains:";
        config.replace(address, &address.replace(": 0 }", &format!(": {port} }}")))
    };
    let config = own(world.config(&world.policy(|_| {}))).unwrap();
    let first = Envoy::start_in_line(&config, &world.credential(), 0).await.unwrap();
    let load = tokio::spawn(load(first.client(Protocol::Http1), world.token(CURRENT)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let second = Envoy::start_in_line(&config, &world.credential(), 1).await.unwrap();
    let mut first = first;
    let deadline = Instant::now() + LIMIT;
    while first.ended().is_none() {
        assert!(Instant::now() < deadline, "the first process does not end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(second.gate().port(), port);
    // Whoever serves now takes what is new.
    world.publish(2, 1, &[CURRENT, NEXT]);
    let next = Request::get("/").bearer(&world.token(NEXT));
    second.wait_for_status(&next, 200, LIMIT).await.unwrap();
    load.abort();
    let outcome = load.await;
    assert!(outcome.as_ref().is_err_and(tokio::task::JoinError::is_cancelled), "{outcome:?}");

    let polls = world.issuer.polls();
    let instances: BTreeSet<String> =
        polls.iter().map(|poll| poll.claims["instance"].to_string()).collect();
    assert_eq!(instances.len(), 2, "{instances:?}");
    // The new process said that it held nothing before it had fetched anything.
    let second = polls.iter().find(|poll| poll.claims["instance"] != polls[0].claims["instance"]);
    assert!(second.unwrap().claims["held"].is_null(), "{second:?}");
}

/// Requests without end, each on a connection of its own. Any other verdict ends it.
async fn load(client: Client, token: String) {
    loop {
        let answer = client.send(Request::get("/").bearer(&token)).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

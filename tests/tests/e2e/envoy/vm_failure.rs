//! A filter whose VM traps: the gate is shut until there is a fresh one, and then guards again.
//!
//! No request is known that makes the filter trap. So the built module is patched: a request with
//! trailers kills it.

mod module;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use postern_tests::{
    Connection, EnvoyConfig, Failure, Protocol, Request, Response, filter_module, wait_until,
};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::waiting::WaitingGate;
use crate::local_gate::LocalGate;

const CALLBACK: &str = "proxy_on_request_trailers";
const TRAP: &str = "Function: proxy_on_request_trailers failed: Uncaught RuntimeError: unreachable";
const LIMIT: Duration = Duration::from_secs(20);
/// So many that the kernel gives some to each of the two worker threads.
const CONNECTIONS: usize = 24;
const WAITING: u64 = 20;
const KILLS: usize = 3;
const IDLE_TIMEOUT: &str = "stream_idle_timeout: 4s\n          codec_type: AUTO";
/// The mortal module, in a folder of its own.
struct Mortal {
    folder: TempDir,
}

impl Mortal {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let built = std::fs::read(filter_module().unwrap()).unwrap();
        std::fs::write(folder.path().join("mortal.wasm"), module::trapping_at(&built, CALLBACK))
            .unwrap();
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("mortal.wasm")
    }

    fn enter(&self, config: EnvoyConfig) -> Result<EnvoyConfig, Failure> {
        config.module(&self.path())
    }

    /// With as many seconds for a look at the shut gate, instead of one. Envoy counts them from the
    /// last start of a VM, and adds up to half of them.
    fn enter_with_backoff(
        &self,
        config: EnvoyConfig,
        seconds: u64,
    ) -> Result<EnvoyConfig, Failure> {
        let policy = "failure_policy: FAIL_RELOAD";
        let option = format!("reload_config: {{ backoff: {{ base_interval: {seconds}s }} }}");
        self.enter(config)?.replace(policy, &format!("{policy}\n{:16}{option}", ""))
    }
}

/// Ends the VM of the worker thread that serves this connection.
async fn kill(connection: &Connection, request: Request) {
    let killing = request.trailer("x-last", "words");
    let outcome = connection.beside().unwrap().send(killing).await;
    assert!(refused(&outcome), "{outcome:?}");
}

/// Kills until the gate is shut: a VM that is older than the backoff is replaced at once.
async fn shut(connection: &mut Connection, probe: &Request) {
    for _ in 0..KILLS {
        kill(connection, Request::get("/open")).await;
        if status(&connection.send(probe.clone()).await) == 503 {
            return;
        }
    }
    panic!("the gate is not shut");
}

fn refused(outcome: &Result<Response, Failure>) -> bool {
    outcome.as_ref().map_or(true, |answer| matches!(answer.status, 503 | 504))
}

fn status(outcome: &Result<Response, Failure>) -> u16 {
    outcome.as_ref().map_or(503, |answer| answer.status)
}

#[tokio::test]
async fn a_trap_shuts_the_gate_until_a_fresh_vm_verifies_again() {
    let mortal = Mortal::new();
    let gate = LocalGate::open_with(|config| mortal.enter_with_backoff(config, 4)).await;
    let mut connection = Connection::open(Protocol::Http2, gate.envoy.gate()).await.unwrap();
    let valid = Request::get("/api/a").bearer(&gate.token());
    assert_eq!(connection.send(valid.clone()).await.unwrap().status, 200);
    shut(&mut connection, &valid).await;
    assert!(gate.envoy.log().contains(TRAP), "{}", gate.envoy.log());

    let requests = [valid, Request::get("/api/a"), Request::get("/open")];
    let before = gate.upstream.requests();
    let answers = until_it_is_back(&mut connection, &requests, &[200, 401, 200]).await;
    let shut = answers.iter().filter(|status| **status == 503).count();
    assert!(shut > 0, "the gate was open too soon: {answers:?}");
    let let_through = answers.iter().filter(|status| **status == 200).count();
    let reached = gate.upstream.requests() - before;
    assert_eq!(reached, let_through as u64, "one got past the shut gate: {answers:?}");
    assert!(gate.envoy.counter("wasm.postern.vm_reload_success").await.unwrap() > 0);
    assert!(gate.envoy.counter("wasm.postern.vm_reload_backoff").await.unwrap() > 0);
}

/// Sends these requests again and again until each has its verdict; until then 503 is the only
/// other answer. All answers, in order.
async fn until_it_is_back(
    connection: &mut Connection,
    requests: &[Request],
    verdicts: &[u16],
) -> Vec<u16> {
    let deadline = Instant::now() + LIMIT;
    let mut all = Vec::new();
    loop {
        let mut answers = Vec::new();
        for request in requests {
            answers.push(status(&connection.send(request.clone()).await));
        }
        let as_expected = |(answer, verdict): (&u16, &u16)| [503, *verdict].contains(answer);
        assert!(answers.iter().zip(verdicts).all(as_expected), "{answers:?}");
        all.extend(&answers);
        if answers == verdicts {
            return all;
        }
        assert!(Instant::now() < deadline, "the filter did not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Each worker thread has a VM of its own.
#[tokio::test]
async fn a_trap_shuts_the_gate_of_its_own_worker_only() {
    let mortal = Mortal::new();
    let gate = LocalGate::open_with(|config| mortal.enter_with_backoff(config, 30)).await;
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(Protocol::Http2, gate.envoy.gate()).await.unwrap());
    }
    let valid = Request::get("/api/a").bearer(&gate.token());
    for connection in &mut connections {
        assert_eq!(connection.send(valid.clone()).await.unwrap().status, 200);
    }
    shut(&mut connections[0], &valid).await;
    let mut unharmed = 0;
    for connection in &mut connections {
        let (with, without) =
            (connection.send(valid.clone()).await, connection.send(Request::get("/api/a")).await);
        match (status(&with), status(&without)) {
            (200, 401) => unharmed += 1,
            (503, 503) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!((1..CONNECTIONS).contains(&unharmed), "{unharmed} of {CONNECTIONS} connections");
}

/// A dead VM wakes nobody, and Envoy does not end the requests that it held: they wait for the
/// stream's idle timeout, by default 5 minutes. But they stay shut out.
#[tokio::test]
async fn who_waits_for_keys_when_the_vm_dies_is_not_let_through() {
    let mortal = Mortal::new();
    let gate = WaitingGate::open_with("", |config| {
        mortal.enter(config)?.replace("codec_type: AUTO", IDLE_TIMEOUT)
    })
    .await;
    let mut connection = Connection::open(Protocol::Http2, gate.envoy.gate()).await.unwrap();
    let valid = Request::get("/orders").bearer(&gate.token("es"));
    let mut waiting = JoinSet::new();
    for _ in 0..WAITING {
        let (mut beside, request) = (connection.beside().unwrap(), valid.clone());
        waiting.spawn(async move { beside.send(request).await });
    }
    wait_until("requests at the gate", LIMIT, || async {
        gate.envoy.counter("http.gate.downstream_rq_total").await.unwrap() >= WAITING
    })
    .await
    .unwrap();
    // By a request that does not wait: of one that does, no trailers reach the filter.
    kill(&connection, Request::get("/open")).await;
    assert!(gate.envoy.log().contains(TRAP), "{}", gate.envoy.log());
    gate.server.answer();
    for outcome in waiting.join_all().await {
        assert!(refused(&outcome), "{outcome:?}");
    }
    assert!(gate.upstream.requests() <= 1, "more than the headers of the request that killed");
    let requests = [valid, Request::get("/orders")];
    until_it_is_back(&mut connection, &requests, &[200, 401]).await;
}

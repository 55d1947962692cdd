use std::time::Instant;

use axum::{
    body::{Body, Bytes},
    extract::Path,
    middleware::from_fn_with_state,
    routing::{get, post},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::oneshot,
    task::JoinHandle,
};

use super::*;
use crate::http::time_limit;

const SHORT: Duration = Duration::from_millis(300);
const REQUEST_LIMIT: Duration = Duration::from_millis(600);
const LIMITS: Limits = Limits { connections: 8, head: SHORT, write: SHORT, shutdown: SHORT };
const GET: &[u8] = b"GET /wait/0 HTTP/1.1\r\nHost: x\r\n\r\n";

/// A server with routes that wait, read a body, or answer with more than sockets hold.
struct Running {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl Running {
    async fn start() -> Self {
        let wait = async |Path(milliseconds): Path<u64>| {
            sleep(Duration::from_millis(milliseconds)).await;
            "waited"
        };
        let router = Router::new()
            .route("/wait/{milliseconds}", get(wait))
            .route("/body", post(async |_: Bytes| "read"))
            .route("/large", get(async || Body::from(vec![b'x'; 32 << 20])))
            .layer(from_fn_with_state(REQUEST_LIMIT, time_limit::limit));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async { stopped.await.unwrap() };
        let server = tokio::spawn(serve_within(LIMITS, listener, router, stopped));
        Self { address, stop, server }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends `bytes` and reads until the server closes.
    async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        // The server may close before it has read all.
        stream.write_all(bytes).await.ok();
        read(&mut stream).await
    }
}

async fn read(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset counts as an end, too.
    let end = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    end.expect("the server closes").ok();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn an_idle_connection_and_a_slow_head_are_closed() {
    let server = Running::start().await;
    for head in [&b""[..], b"GET /wait/0 HTTP/1.1\r\nHost:"] {
        let start = Instant::now();
        let answer = server.exchange(head).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert!((SHORT..SHORT * 10).contains(&start.elapsed()), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_head_that_arrives_byte_by_byte_is_cut_off() {
    let server = Running::start().await;
    let mut stream = server.connect().await;
    let start = Instant::now();
    for byte in GET.iter().cycle().filter(|byte| **byte != b'\n') {
        if stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        assert!(start.elapsed() < SHORT * 10);
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_connection_that_is_used_stays_open_while_it_is() {
    let server = Running::start().await;
    let mut stream = server.connect().await;
    let mut answer = [0; 15];
    for _ in 0..3 {
        stream.write_all(GET).await.unwrap();
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        let mut rest = [0; 1024];
        assert!(stream.read(&mut rest).await.unwrap() > 0);
    }
    assert_eq!(read(&mut stream).await, "");
}

#[tokio::test]
async fn a_stalled_body_is_ended() {
    let server = Running::start().await;
    let start = Instant::now();
    let answer =
        server.exchange(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("{\"message\":\"Timed out\"}"), "{answer}");
    assert!((REQUEST_LIMIT..REQUEST_LIMIT * 5).contains(&start.elapsed()));
}

#[tokio::test]
async fn a_head_over_the_bound_is_refused() {
    let server = Running::start().await;
    let head = |bytes: usize| {
        let filler = "x".repeat(bytes);
        format!(
            "GET /wait/0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Filler: {filler}\r\n\r\n"
        )
    };
    assert!(server.exchange(head(60_000).as_bytes()).await.starts_with("HTTP/1.1 200"));
    let answer = server.exchange(head(200_000).as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn an_answer_that_is_not_taken_ends_the_connection() {
    let server = Running::start().await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    sleep(SHORT * 4).await;
    let taken = read(&mut stream).await.len();
    assert!(taken < 32 << 20, "all of it was still there to take");
}

#[tokio::test]
async fn idle_connections_keep_others_out_no_longer_than_their_limit() {
    let server = Running::start().await;
    let mut idle = Vec::new();
    for _ in 0..LIMITS.connections {
        idle.push(server.connect().await);
    }
    let mut late = server.connect().await;
    late.write_all(GET).await.unwrap();
    let mut answer = [0; 15];
    let waited = timeout(SHORT / 2, late.read_exact(&mut answer)).await;
    assert!(waited.is_err(), "there was no bound on connections");
    timeout(SHORT * 5, late.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
}

#[tokio::test]
async fn what_runs_is_finished_and_nothing_new_begun() {
    let server = Running::start().await;
    let mut running = server.connect().await;
    running.write_all(b"GET /wait/150 HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut idle = server.connect().await;
    sleep(Duration::from_millis(50)).await;
    server.stop.send(()).unwrap();
    assert!(read(&mut running).await.ends_with("waited"));
    assert_eq!(read(&mut idle).await, "");
    server.server.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn stopping_has_a_limit() {
    let server = Running::start().await;
    let mut running = server.connect().await;
    running.write_all(b"GET /wait/100000 HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    sleep(Duration::from_millis(50)).await;
    let start = Instant::now();
    server.stop.send(()).unwrap();
    server.server.await.unwrap();
    assert!((SHORT..REQUEST_LIMIT).contains(&start.elapsed()), "{:?}", start.elapsed());
}

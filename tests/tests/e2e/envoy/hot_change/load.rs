//! Clients that never pause, and that hold the gate to its word.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use postern_tests::{Connection, Protocol, Request, Response, Seen};
use tokio::task::JoinSet;

/// What each request of the load is: with a token that every policy accepts, or one that none does.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    pub(super) valid: String,
    pub(super) invalid: Vec<String>,
}

/// Clients under way.
pub(super) struct Load {
    clients: JoinSet<Report>,
    ended: Arc<AtomicBool>,
    rounds: Arc<AtomicU64>,
    /// How many clients have last been let through by the policy of this number.
    pub(super) last: Vec<Arc<AtomicU64>>,
}

/// What one client went through.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) allowed: u64,
    pub(super) denied: u64,
    pub(super) connections: u64,
}

impl Load {
    /// Starts `clients` of each protocol.
    pub(super) fn start(gate: SocketAddr, tokens: &Tokens, clients: usize) -> Self {
        let mut load = Self {
            clients: JoinSet::new(),
            ended: Arc::default(),
            rounds: Arc::default(),
            last: Vec::new(),
        };
        for protocol in [Protocol::Http1, Protocol::Http2] {
            for _ in 0..clients {
                load.spawn(Client::new(gate, protocol), tokens.clone());
            }
        }
        load
    }

    fn spawn(&mut self, mut client: Client, tokens: Tokens) {
        let (ended, rounds) = (Arc::clone(&self.ended), Arc::clone(&self.rounds));
        let last = Arc::new(AtomicU64::new(0));
        self.last.push(Arc::clone(&last));
        self.clients.spawn(async move {
            while !ended.load(Ordering::SeqCst) {
                last.store(client.round(&tokens).await, Ordering::SeqCst);
                rounds.fetch_add(1, Ordering::SeqCst);
            }
            client.report
        });
    }

    /// How often a client has sent one of each request.
    pub(super) fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::SeqCst)
    }

    /// Stops all clients. One that has met a surprise says so here.
    pub(super) async fn end(self) -> Vec<Report> {
        self.ended.store(true, Ordering::SeqCst);
        self.clients.join_all().await
    }
}

/// A client that keeps its connection until the server wants it closed.
struct Client {
    gate: SocketAddr,
    protocol: Protocol,
    connection: Option<Connection>,
    report: Report,
}

impl Client {
    fn new(gate: SocketAddr, protocol: Protocol) -> Self {
        Self { gate, protocol, connection: None, report: Report::default() }
    }

    /// Sends one of each request; returns the number of the policy that let the valid one through.
    async fn round(&mut self, tokens: &Tokens) -> u64 {
        let answer = self.send(Request::get("/api/a").bearer(&tokens.valid)).await;
        let seen = Seen::read(&answer).unwrap_or_else(|failure| panic!("a valid token: {failure}"));
        self.report.allowed += 1;
        for token in &tokens.invalid {
            let answer = self.send(Request::get("/api/a").bearer(token)).await;
            assert_eq!(answer.status, 401, "{}", answer.body);
            self.report.denied += 1;
        }
        super::policy_number(&seen)
    }

    async fn send(&mut self, request: Request) -> Response {
        if let Some(mut connection) = self.connection.take()
            && connection.is_open().await
        {
            match connection.send(request.clone()).await {
                Ok(answer) => return self.keep(connection, answer),
                // The server had said that it closes, and nothing was sent.
                Err(failure) => {
                    assert!(failure.to_string().contains("operation was canceled"), "{failure}");
                }
            }
        }
        let mut connection = Connection::open(self.protocol, self.gate).await.unwrap();
        self.report.connections += 1;
        let answer = connection.send(request).await.unwrap();
        self.keep(connection, answer)
    }

    fn keep(&mut self, connection: Connection, answer: Response) -> Response {
        if answer.header("connection") != "close" {
            self.connection = Some(connection);
        }
        answer
    }
}

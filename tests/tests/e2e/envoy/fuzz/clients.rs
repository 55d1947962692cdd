//! Clients that send what was made up, and hand each answer to the oracle.

use std::collections::VecDeque;
use std::net::SocketAddr;

use hyper::Method;
use postern_tests::{Connection, Protocol, RawConnection, Request};

use super::grammar::{Made, make};
use super::oracle::Oracle;
use crate::random::Random;

/// Most requests that are sent before the first of them is answered.
const MAX_PIPELINED: usize = 8;

/// What became of the requests.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) answered: usize,
    /// Answered by the upstream.
    pub(super) allowed: usize,
    /// Denied for the reason that the core in this process gives.
    pub(super) compared: usize,
    /// HTTP/2 streams that Envoy reset.
    pub(super) reset: usize,
    pub(super) connections: usize,
}

impl Tally {
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            answered: self.answered + other.answered,
            allowed: self.allowed + other.allowed,
            compared: self.compared + other.compared,
            reset: self.reset + other.reset,
            connections: self.connections + other.connections,
        }
    }
}

/// One client.
pub(super) struct Client {
    gate: SocketAddr,
    protocol: Protocol,
    oracle: Oracle,
    random: Random,
    tally: Tally,
}

impl Client {
    pub(super) fn new(gate: SocketAddr, protocol: Protocol, oracle: Oracle, seed: u64) -> Self {
        let random = Random::new(seed);
        Self { gate, protocol, oracle, random, tally: Tally::default() }
    }

    /// Sends until this many requests have been answered.
    pub(super) async fn send(mut self, requests: usize) -> Tally {
        match self.protocol {
            Protocol::Http1 => self.send_pipelined(requests).await,
            Protocol::Http2 => self.send_streams(requests).await,
        }
        self.tally
    }

    fn make(&mut self) -> Made {
        make(&self.oracle.tokens, &mut self.random)
    }

    async fn send_pipelined(&mut self, requests: usize) {
        let mut unanswered = VecDeque::new();
        while self.tally.answered < requests {
            let mut connection = self.open().await;
            // One that was not answered behind others is sent alone, and then has to be.
            let mut alone = !unanswered.is_empty();
            while let Some(open) = self.batch(&mut connection, &mut unanswered, alone).await {
                alone = false;
                if !open || self.tally.answered >= requests {
                    break;
                }
            }
        }
    }

    async fn open(&mut self) -> RawConnection {
        self.tally.connections += 1;
        RawConnection::open(self.gate).await.unwrap()
    }

    /// Sends some requests at once and reads their answers. Says whether the connection is still
    /// open, or nothing where it was closed without a word.
    async fn batch(
        &mut self,
        connection: &mut RawConnection,
        unanswered: &mut VecDeque<Made>,
        alone: bool,
    ) -> Option<bool> {
        let several = !alone && self.random.once_in(4);
        let count = if several { 1 + self.random.below(MAX_PIPELINED) } else { 1 };
        while unanswered.len() < count {
            let made = self.make();
            unanswered.push_back(made);
        }
        let bytes: Vec<u8> = unanswered.iter().take(count).flat_map(Made::bytes).collect();
        // An error: it has been closed. What was answered before can still be read.
        let _ = connection.write(&bytes).await;
        for nth in 0..count {
            let made = &unanswered[0];
            let answer = connection.read(made.method == "HEAD").await;
            let Ok(Some(answer)) = answer else {
                let shown = made.bytes().escape_ascii().to_string();
                assert!(nth > 0 || !alone, "no answer, {answer:?}\n{shown}");
                return None;
            };
            self.oracle.judge(made, &answer, &mut self.tally);
            unanswered.pop_front();
            // Envoy closes behind a request that a filter answers, when it came behind another.
            let refused = answer.header("x-envoy-upstream-service-time").is_empty();
            if answer.header("connection") == "close" || (refused && nth > 0) {
                return Some(false);
            }
        }
        Some(true)
    }

    async fn send_streams(&mut self, requests: usize) {
        while self.tally.answered < requests {
            let mut connection = Connection::open(Protocol::Http2, self.gate).await.unwrap();
            self.tally.connections += 1;
            while self.tally.answered < requests && connection.is_open().await {
                let made = self.make();
                let Some(request) = for_http2(&made) else { continue };
                if let Ok(answer) = connection.send(request).await {
                    self.oracle.judge(&made, &answer, &mut self.tally);
                } else {
                    assert!(!made.clean, "no answer\n{}", made.bytes().escape_ascii());
                    self.tally.reset += 1;
                    self.tally.answered += 1;
                }
            }
        }
    }
}

/// The same over HTTP/2; none where a client library does not let it be said.
fn for_http2(made: &Made) -> Option<Request> {
    let target = std::str::from_utf8(&made.target).ok()?;
    target.parse::<hyper::Uri>().ok()?;
    let mut request = Request::get(target).method(Method::from_bytes(made.method.as_bytes()).ok()?);
    for (name, value) in &made.headers {
        let name = std::str::from_utf8(name).ok()?;
        name.parse::<hyper::header::HeaderName>().ok()?;
        hyper::header::HeaderValue::from_bytes(value).ok()?;
        request = request.header(name, value);
    }
    Some(request)
}

//! The server behind the one that is measured.
//!
//! The load serves it between its own requests, so that nobody else wants the load's core.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, anyhow};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

/// The listener's place among the connections.
const LISTENER: Token = Token(usize::MAX);
/// How many sockets are looked at in one go.
const EVENTS: usize = 64;

/// Answers 200 to every request, with what `x-user-id` was in `x-identity`; or with the document of
/// its path, if there is one. Requests have no bodies.
pub struct Origin {
    address: SocketAddr,
    listener: TcpListener,
    poll: Poll,
    events: Events,
    connections: HashMap<Token, Connection>,
    accepted: usize,
    documents: HashMap<String, String>,
}

struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
}

impl Origin {
    /// With JSON documents by their paths.
    ///
    /// # Errors
    /// When there is no port to be had.
    pub fn start(documents: HashMap<String, String>) -> Result<Self> {
        let mut listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            address: listener.local_addr()?,
            listener,
            poll,
            events: Events::with_capacity(EVENTS),
            connections: HashMap::new(),
            accepted: 0,
            documents,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers what has come, and does not wait for more.
    ///
    /// # Errors
    /// When a socket fails.
    pub fn serve(&mut self) -> Result<()> {
        self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
        let ready: Vec<Token> = self.events.iter().map(mio::event::Event::token).collect();
        for token in ready {
            if token == LISTENER {
                self.accept()?;
            } else if let Some(connection) = self.connections.get_mut(&token)
                && !connection.serve(&self.documents)?
            {
                self.connections.remove(&token);
            }
        }
        Ok(())
    }

    /// Serves while some work is done that waits for it.
    ///
    /// # Errors
    /// When a socket fails, and those of the work.
    pub fn serve_during<T>(&mut self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let server = scope.spawn(|| -> Result<()> {
                while !over.load(Ordering::Relaxed) {
                    self.serve()?;
                    std::thread::yield_now();
                }
                Ok(())
            });
            let outcome = work();
            over.store(true, Ordering::Relaxed);
            server.join().map_err(|_| anyhow!("the origin panicked"))??;
            outcome
        })
    }

    fn accept(&mut self) -> Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            stream.set_nodelay(true)?;
            let token = Token(self.accepted);
            self.accepted += 1;
            self.poll.registry().register(&mut stream, token, Interest::READABLE)?;
            self.connections.insert(token, Connection { stream, request: Vec::new() });
        }
    }
}

impl Connection {
    /// Answers what has come; whether the connection is still open.
    fn serve(&mut self, documents: &HashMap<String, String>) -> Result<bool> {
        let mut bytes = [0; 4096];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return Ok(false),
                Ok(count) => self.request.extend(bytes.iter().take(count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                // The server has ended.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(false),
                Err(error) => return Err(error.into()),
            }
            if self.request.ends_with(b"\r\n\r\n") {
                // An empty socket takes an answer as a whole.
                self.stream.write_all(answer(&self.request, documents).as_bytes())?;
                self.request.clear();
            }
        }
    }
}

fn answer(request: &[u8], documents: &HashMap<String, String>) -> String {
    let head = String::from_utf8_lossy(request);
    let path = head.split(' ').nth(1).unwrap_or_default();
    if let Some(document) = documents.get(path) {
        let length = document.len();
        return format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n\
             {document}"
        );
    }
    let identity = header(&head, "x-user-id");
    // What the server should have removed.
    let leaked = header(&head, "authorization").split(' ').next().unwrap_or_default();
    format!(
        "HTTP/1.1 200 OK\r\nx-identity: {identity}\r\nx-leaked: {leaked}\r\n\
         content-length: 0\r\n\r\n"
    )
}

/// The value of a header, or nothing.
fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let mut pairs = head.lines().filter_map(|line| line.split_once(": "));
    pairs.find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_says_who_it_was_told_and_what_it_should_not_have_seen() {
        let told = answer(
            b"GET /a HTTP/1.1\r\nAuthorization: Bearer x\r\nX-User-Id: u1\r\n\r\n",
            &HashMap::new(),
        );
        assert!(told.contains("\r\nx-identity: u1\r\nx-leaked: Bearer\r\n"), "{told}");
    }

    #[test]
    fn the_origin_has_documents() {
        let documents = HashMap::from([("/keys".to_owned(), "{}".to_owned())]);
        assert!(answer(b"GET /keys HTTP/1.1\r\n\r\n", &documents).ends_with("\r\n\r\n{}"));
    }
}

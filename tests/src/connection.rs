//! A connection that is kept open over many requests.

use std::net::SocketAddr;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::http::{Outgoing, connect, within_limit};
use crate::{Failure, Protocol, Request, Response};

/// A connection to a server. All of its requests are handled by one of Envoy's worker threads.
#[derive(Debug)]
pub struct Connection {
    address: SocketAddr,
    sender: Sender,
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Outgoing>),
    Http2(http2::SendRequest<Outgoing>),
}

impl Connection {
    /// Connects, and shakes hands.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn open(protocol: Protocol, address: SocketAddr) -> Result<Self, Failure> {
        let stream = TokioIo::new(connect(address).await?);
        let failed = || Failure::while_doing("connecting");
        let sender = match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(stream).await.map_err(failed())?;
                tokio::spawn(connection.with_upgrades());
                Sender::Http1(sender)
            }
            Protocol::Http2 => {
                let handshake = http2::Builder::new(TokioExecutor::new()).handshake(stream);
                let (sender, connection) = handshake.await.map_err(failed())?;
                tokio::spawn(connection);
                Sender::Http2(sender)
            }
        };
        Ok(Self { address, sender })
    }

    /// Another handle of the same connection, for a request beside the others. HTTP/1.1 has none.
    #[must_use]
    pub fn beside(&self) -> Option<Self> {
        match &self.sender {
            Sender::Http1(_) => None,
            Sender::Http2(sender) => {
                Some(Self { address: self.address, sender: Sender::Http2(sender.clone()) })
            }
        }
    }

    /// Whether the server has not closed it, as far as is known; waits until it may be written to.
    pub async fn is_open(&mut self) -> bool {
        match &mut self.sender {
            Sender::Http1(sender) => sender.ready().await.is_ok(),
            Sender::Http2(sender) => sender.ready().await.is_ok(),
        }
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When there is no answer, or none within 20 s.
    pub async fn send(&mut self, request: Request) -> Result<Response, Failure> {
        within_limit(self.address, self.exchange(request)).await
    }

    /// As [`Connection::send`], however long it takes.
    pub(crate) async fn exchange(&mut self, request: Request) -> Result<Response, Failure> {
        let answer = self.start(request).await?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.map_err(Failure::while_doing("exchanging HTTP"))?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        Ok(Response {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8_lossy(&body.to_bytes()).into_owned(),
            trailers,
        })
    }

    async fn start(&mut self, request: Request) -> Result<hyper::Response<Incoming>, Failure> {
        let failed = || Failure::while_doing("exchanging HTTP");
        match &mut self.sender {
            Sender::Http1(sender) => {
                let request = request.into_hyper(Protocol::Http1, self.address)?;
                sender.send_request(request).await.map_err(failed())
            }
            Sender::Http2(sender) => {
                let request = request.into_hyper(Protocol::Http2, self.address)?;
                sender.send_request(request).await.map_err(failed())
            }
        }
    }
}

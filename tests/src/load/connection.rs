//! A connection to the gate that is used again and again, as the clients of an API do.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::{Failure, Protocol};

/// One connection, made anew when the other side has closed it.
pub(crate) struct Connection {
    protocol: Protocol,
    address: SocketAddr,
    sender: Option<Sender>,
}

enum Sender {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

impl Connection {
    pub(crate) fn new(protocol: Protocol, address: SocketAddr) -> Self {
        Self { protocol, address, sender: None }
    }

    /// `GET path` with a bearer token; returns the status and the body.
    pub(crate) async fn get(&mut self, path: &str, token: &str) -> Result<(u16, Bytes), Failure> {
        let request = self.request(path, token)?;
        let answer = self.exchange(request).await;
        if answer.is_err() {
            self.sender = None;
        }
        answer
    }

    async fn exchange(&mut self, request: Request<Empty<Bytes>>) -> Result<(u16, Bytes), Failure> {
        let failed = || Failure::while_doing("exchanging HTTP");
        let mut sender = match self.sender.take() {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        // The gate may close a connection that is idle, which is no answer to anything.
        if sender.ready().await.is_err() {
            sender = self.connect().await?;
            sender.ready().await.map_err(failed())?;
        }
        let response = sender.send(request).await.map_err(failed())?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(failed())?.to_bytes();
        self.sender = Some(sender);
        Ok((status, body))
    }

    async fn connect(&self) -> Result<Sender, Failure> {
        let stream = TcpStream::connect(self.address).await;
        let stream = stream.map_err(Failure::while_doing("connecting to the gate"))?;
        stream.set_nodelay(true).map_err(Failure::while_doing("connecting to the gate"))?;
        let stream = TokioIo::new(stream);
        let failed = || Failure::while_doing("beginning HTTP");
        Ok(match self.protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(stream).await.map_err(failed())?;
                tokio::spawn(connection);
                Sender::Http1(sender)
            }
            Protocol::Http2 => {
                let handshake = http2::handshake(TokioExecutor::new(), stream);
                let (sender, connection) = handshake.await.map_err(failed())?;
                tokio::spawn(connection);
                Sender::Http2(sender)
            }
        })
    }

    fn request(&self, path: &str, token: &str) -> Result<Request<Empty<Bytes>>, Failure> {
        let failed = || Failure::while_doing("a request");
        let uri = match self.protocol {
            Protocol::Http1 => path.to_owned(),
            Protocol::Http2 => format!("http://{}{path}", self.address),
        };
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = uri.parse::<Uri>().map_err(Failure::while_doing("a path"))?;
        let headers = request.headers_mut();
        if self.protocol == Protocol::Http1 {
            let host = self.address.to_string();
            headers.insert(HOST, HeaderValue::from_str(&host).map_err(failed())?);
        }
        let bearer = format!("Bearer {token}");
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&bearer).map_err(failed())?);
        Ok(request)
    }
}

impl Sender {
    async fn ready(&mut self) -> hyper::Result<()> {
        match self {
            Self::Http1(sender) => sender.ready().await,
            Self::Http2(sender) => sender.ready().await,
        }
    }

    async fn send(&mut self, request: Request<Empty<Bytes>>) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::Http1(sender) => sender.send_request(request).await,
            Self::Http2(sender) => sender.send_request(request).await,
        }
    }
}

//! A small HTTP client that hides nothing: one connection per request, all headers kept.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Uri};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{Connection, Failure};

/// How long any answer may take.
const LIMIT: Duration = Duration::from_secs(20);

/// The version of HTTP that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1
    Http1,
    /// HTTP/2 without TLS, by prior knowledge
    Http2,
}

/// What to ask.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// All header fields but `Host`, in order, names as often as wanted.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body; none when empty.
    pub body: String,
    /// The fields behind the body, where the protocol has room for them: HTTP/2.
    pub trailers: Vec<(String, Vec<u8>)>,
}

/// A request's body as hyper sends it.
pub(crate) type Outgoing = BoxBody<Bytes, Infallible>;

impl Request {
    /// `GET target`
    #[must_use]
    pub fn get(target: &str) -> Self {
        Self {
            method: Method::GET,
            target: target.to_owned(),
            headers: Vec::new(),
            body: String::new(),
            trailers: Vec::new(),
        }
    }

    /// `POST target` with a JSON body.
    #[must_use]
    pub fn post(target: &str, body: &Value) -> Self {
        Self { method: Method::POST, body: body.to_string(), ..Self::get(target) }
            .header("content-type", "application/json")
    }

    /// The same request with another method.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// Adds a header field; one of the same name stays.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Adds `Authorization: Bearer token`.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// Adds a field behind the body.
    #[must_use]
    pub fn trailer(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.trailers.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    pub(crate) fn into_hyper(
        self,
        protocol: Protocol,
        address: SocketAddr,
    ) -> Result<hyper::Request<Outgoing>, Failure> {
        let uri = match protocol {
            Protocol::Http1 => self.target.clone(),
            Protocol::Http2 => format!("http://{address}{}", self.target),
        };
        let uri: Uri = uri.parse().map_err(Failure::while_doing("the request's target"))?;
        let mut request = hyper::Request::new(outgoing(self.body, &self.trailers)?);
        *request.method_mut() = self.method;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        if protocol == Protocol::Http1 {
            headers.insert(HOST, header_value(address.to_string().as_bytes())?);
        }
        append(headers, &self.headers)?;
        Ok(request)
    }
}

fn outgoing(body: String, trailers: &[(String, Vec<u8>)]) -> Result<Outgoing, Failure> {
    let body = Full::new(Bytes::from(body));
    if trailers.is_empty() {
        return Ok(body.boxed());
    }
    let mut fields = HeaderMap::new();
    append(&mut fields, trailers)?;
    Ok(body.with_trailers(async { Some(Ok(fields)) }).boxed())
}

fn append(fields: &mut HeaderMap, more: &[(String, Vec<u8>)]) -> Result<(), Failure> {
    for (name, value) in more {
        let name: HeaderName = name.parse().map_err(Failure::while_doing("a header's name"))?;
        fields.append(name, header_value(value)?);
    }
    Ok(())
}

fn header_value(bytes: &[u8]) -> Result<HeaderValue, Failure> {
    HeaderValue::from_bytes(bytes).map_err(Failure::while_doing("a header's value"))
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
    /// The fields behind the body.
    pub trailers: HeaderMap,
}

impl Response {
    /// A header's first value; empty when there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON; `null` when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// A string member of the JSON body; empty when there is none.
    #[must_use]
    pub fn text(&self, member: &str) -> String {
        self.json().get(member).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// The stable code of a denial; empty when it is none.
    #[must_use]
    pub fn code(&self) -> String {
        self.text("code")
    }
}

/// A client of one server.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    protocol: Protocol,
    address: SocketAddr,
}

impl Client {
    /// A client that speaks `protocol` with `address`.
    #[must_use]
    pub fn new(protocol: Protocol, address: SocketAddr) -> Self {
        Self { protocol, address }
    }

    /// Sends a request on a connection of its own and reads the whole answer.
    ///
    /// # Errors
    /// When there is no answer, or none within 20 s.
    pub async fn send(&self, request: Request) -> Result<Response, Failure> {
        within_limit(self.address, async {
            Connection::open(self.protocol, self.address).await?.exchange(request).await
        })
        .await
    }
}

/// Gives up when there is no answer in time.
pub(crate) async fn within_limit<T>(
    address: SocketAddr,
    exchange: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(LIMIT, exchange).await {
        Ok(answer) => answer,
        Err(_) => Err(Failure::new(format!("{address} gave no answer in 20 s"))),
    }
}

pub(crate) async fn connect(address: SocketAddr) -> Result<TcpStream, Failure> {
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| Failure::new(format!("connecting to {address}: {error}")))?;
    stream.set_nodelay(true).map_err(Failure::while_doing("connecting"))?;
    Ok(stream)
}

/// Sends bytes as they are and reads the head of the answer: for what no client would send.
///
/// # Errors
/// When there is no connection, or no answer within 20 s.
pub async fn send_raw(address: SocketAddr, bytes: &[u8]) -> Result<String, Failure> {
    let exchange = async {
        let mut stream = connect(address).await?;
        stream.write_all(bytes).await.map_err(Failure::while_doing("sending bytes"))?;
        let mut answer = Vec::new();
        // Up to the empty line, or to the end where the server closes without an answer.
        while !answer.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => answer.push(byte),
                Err(_) => break,
            }
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    within_limit(address, exchange).await
}

//! The API behind the gate: answers each request with what it saw of it.

use std::convert::Infallible;
use std::future::ready;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, UPGRADE};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::{Failure, Response};

/// Room for the largest headers that Envoy lets through.
const MAX_HEADERS_BYTES: u32 = 1 << 20;
const MAX_HEADERS: usize = 4096;

type Answer = hyper::Response<BoxBody<Bytes, Infallible>>;

/// A server of HTTP/1.1 and HTTP/2 in this process, until it is dropped.
///
/// It answers 200 with what it saw (see [`Seen`]), and a gRPC call with the trailer `grpc-status: 0`
/// besides. A request whose header `x-redirect-to` names another path it sends there, and of one that
/// wants to be upgraded it sends back every byte.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    requests: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Upstream {
    /// Listens on a port of the loopback interface; 0 picks a free one.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start(port: u16) -> Result<Self, Failure> {
        Self::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await
    }

    /// Listens on a free port of another address of this machine.
    ///
    /// # Errors
    /// When the address is not ours.
    pub async fn start_on(address: Ipv4Addr) -> Result<Self, Failure> {
        Self::listen(SocketAddr::from((address, 0))).await
    }

    async fn listen(place: SocketAddr) -> Result<Self, Failure> {
        let failed = || Failure::while_doing("the upstream cannot listen");
        let listener = TcpListener::bind(place).await.map_err(failed())?;
        let address = listener.local_addr().map_err(failed())?;
        let requests = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(serve(listener, Arc::clone(&requests)));
        Ok(Self { address, requests, task })
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many requests have come through to it.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, requests: Arc<AtomicU64>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve_connection(stream, Arc::clone(&requests)));
    }
}

async fn serve_connection(stream: TcpStream, requests: Arc<AtomicU64>) {
    let mut first = [0; 3];
    let http2 = stream.peek(&mut first).await.is_ok() && first == *b"PRI";
    let service = service_fn(move |request| {
        requests.fetch_add(1, Ordering::SeqCst);
        async move { Ok::<_, Infallible>(answer(request).await) }
    });
    let stream = TokioIo::new(stream);
    // An error is the end of the connection, and nothing to do about.
    if http2 {
        let mut server = http2::Builder::new(TokioExecutor::new());
        server.max_header_list_size(MAX_HEADERS_BYTES);
        let _ = server.serve_connection(stream, service).await;
    } else {
        let mut server = http1::Builder::new();
        server.max_buf_size(MAX_HEADERS_BYTES as usize).max_headers(MAX_HEADERS);
        let _ = server.serve_connection(stream, service).with_upgrades().await;
    }
}

async fn answer(mut request: Request<Incoming>) -> Answer {
    if let Some(protocol) = request.headers().get(UPGRADE).cloned() {
        tokio::spawn(send_back(hyper::upgrade::on(&mut request)));
        let mut answer = empty(StatusCode::SWITCHING_PROTOCOLS, UPGRADE, protocol);
        answer.headers_mut().insert("connection", HeaderValue::from_static("upgrade"));
        return answer;
    }
    let place = request.headers().get("x-redirect-to");
    let arrived =
        |place: &&HeaderValue| place.as_bytes().ends_with(request.uri().path().as_bytes());
    match place.filter(|place| !arrived(place)) {
        Some(place) => empty(StatusCode::FOUND, LOCATION, place.clone()),
        None => echo(request).await,
    }
}

async fn send_back(upgraded: hyper::upgrade::OnUpgrade) {
    if let Ok(stream) = upgraded.await {
        let (mut from, mut to) = tokio::io::split(TokioIo::new(stream));
        let _ = tokio::io::copy(&mut from, &mut to).await;
    }
}

fn empty(status: StatusCode, name: HeaderName, value: HeaderValue) -> Answer {
    let mut answer = hyper::Response::new(Empty::new().boxed());
    *answer.status_mut() = status;
    answer.headers_mut().insert(name, value);
    answer
}

async fn echo(request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    // An error is a client that has gone away in the middle of its body.
    let body = body.collect().await.unwrap_or_default();
    let trailers = body.trailers().cloned().unwrap_or_default();
    let seen = json!({
        "method": parts.method.as_str(),
        "version": format!("{:?}", parts.version),
        "target": parts.uri.path_and_query().map_or("*", |target| target.as_str()),
        "headers": fields(&parts.headers),
        "body": body.to_bytes().escape_ascii().to_string(),
        "trailers": fields(&trailers),
    });
    let body = Full::new(Bytes::from(format!("{seen}\n")));
    let kind = parts.headers.get(CONTENT_TYPE).cloned();
    let grpc = kind.filter(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    let body = if grpc.is_some() {
        body.with_trailers(ready(Some(Ok(grpc_ok())))).boxed()
    } else {
        body.boxed()
    };
    let mut answer = hyper::Response::new(body);
    let kind = grpc.unwrap_or(HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

fn grpc_ok() -> HeaderMap {
    let status = (HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"));
    [status].into_iter().collect()
}

fn fields(fields: &HeaderMap) -> Vec<Value> {
    let field = |(name, value): (&HeaderName, &HeaderValue)| {
        json!([name.as_str(), value.as_bytes().escape_ascii().to_string()])
    };
    fields.iter().map(field).collect()
}

/// What the upstream saw of one request.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub version: String,
    /// The path and the query.
    pub target: String,
    /// Every header field, in order; bytes outside of ASCII are escaped as `\xff`.
    pub headers: Vec<(String, String)>,
    /// The body, escaped likewise.
    pub body: String,
    /// The fields behind the body.
    pub trailers: Vec<(String, String)>,
}

impl Seen {
    /// Reads the upstream's answer.
    ///
    /// # Errors
    /// When it is another's answer.
    pub fn read(response: &Response) -> Result<Self, Failure> {
        let not_echo = || {
            let Response { status, body, .. } = response;
            Failure::new(format!("expected the upstream's answer, got {status}: {body}"))
        };
        Self::from_echo(&response.json()).ok_or_else(not_echo)
    }

    fn from_echo(echo: &Value) -> Option<Self> {
        let text = |member: &str| echo.get(member)?.as_str().map(str::to_owned);
        Some(Self {
            method: text("method")?,
            version: text("version")?,
            target: text("target")?,
            headers: pairs(echo.get("headers")?)?,
            body: text("body")?,
            trailers: pairs(echo.get("trailers")?)?,
        })
    }

    /// All values of a header.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(other, _)| other == name);
        named.map(|(_, value)| value.as_str()).collect()
    }
}

fn pairs(fields: &Value) -> Option<Vec<(String, String)>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let pair = |field: &Value| Some((text(field.get(0)?)?, text(field.get(1)?)?));
    fields.as_array()?.iter().map(pair).collect()
}

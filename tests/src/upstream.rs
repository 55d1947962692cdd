//! The API behind the gate: answers each request with what it saw of it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::{Failure, Response};

/// An HTTP/1.1 server in this process, until it is dropped.
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
        let failed = || Failure::while_doing("the upstream cannot listen");
        let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(failed())?;
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
        let requests = Arc::clone(&requests);
        let answer = service_fn(move |request| {
            requests.fetch_add(1, Ordering::SeqCst);
            async move { Ok::<_, Infallible>(echo(&request)) }
        });
        let mut server = http1::Builder::new();
        // Room for the largest headers that Envoy lets through.
        server.max_buf_size(1 << 20);
        tokio::spawn(server.serve_connection(TokioIo::new(stream), answer));
    }
}

fn echo(request: &hyper::Request<Incoming>) -> hyper::Response<Full<Bytes>> {
    let headers: Vec<Value> = request
        .headers()
        .iter()
        .map(|(name, value)| json!([name.as_str(), value.as_bytes().escape_ascii().to_string()]))
        .collect();
    let target = request.uri().to_string();
    let body = json!({ "method": request.method().as_str(), "target": target, "headers": headers });
    let mut response = hyper::Response::new(Full::new(Bytes::from(format!("{body}\n"))));
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, json);
    response
}

/// What the upstream saw of one request.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The path and the query.
    pub target: String,
    /// Every header field, in order; bytes outside of ASCII are escaped as `\xff`.
    pub headers: Vec<(String, String)>,
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
        let echo = response.json();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let target = echo.get("target").and_then(text).ok_or_else(not_echo)?;
        let fields = echo.get("headers").and_then(Value::as_array).ok_or_else(not_echo)?;
        let headers = fields
            .iter()
            .map(|field| Some((text(field.get(0)?)?, text(field.get(1)?)?)))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(not_echo)?;
        Ok(Self { target, headers })
    }

    /// All values of a header.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(other, _)| other == name);
        named.map(|(_, value)| value.as_str()).collect()
    }
}

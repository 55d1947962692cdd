//! What stands between the SDK and a service of AWS: counts the calls, loses and delays them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::{Client, Failure, Protocol, Request};

/// A relay in front of a service that speaks AWS's JSON protocol, until it is dropped.
#[derive(Debug)]
pub struct AwsRelay {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    down: bool,
    delay: Duration,
    calls: HashMap<String, u64>,
    lost_answers: HashMap<String, u64>,
}

impl AwsRelay {
    /// Listens on a free port of the loopback interface, in front of the service at `url`.
    ///
    /// # Errors
    /// When no port is free, or `url` names no address.
    pub async fn start(url: &str) -> Result<Self, Failure> {
        let failed = || Failure::while_doing("a relay cannot listen");
        let service = url
            .trim_start_matches("http://")
            .parse()
            .map_err(Failure::while_doing("the address behind a relay"))?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed())?;
        let address = listener.local_addr().map_err(failed())?;
        let state = Arc::default();
        let task = tokio::spawn(serve(listener, service, Arc::clone(&state)));
        Ok(Self { address, state, task })
    }

    /// The endpoint that it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often an operation such as `GetSecretValue` was called, counting what was lost.
    #[must_use]
    pub fn calls(&self, operation: &str) -> u64 {
        locked(&self.state).calls.get(operation).copied().unwrap_or_default()
    }

    /// From now on closes every connection on which a call comes, or no longer does.
    pub fn set_down(&self, down: bool) {
        locked(&self.state).down = down;
    }

    /// From now on passes each call on only after a while.
    pub fn set_delay(&self, delay: Duration) {
        locked(&self.state).delay = delay;
    }

    /// Has the next calls of an operation carried out and their answers lost.
    pub fn lose_answers(&self, operation: &str, times: u64) {
        locked(&self.state).lost_answers.insert(operation.to_owned(), times);
    }
}

impl Drop for AwsRelay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, service: SocketAddr, state: Arc<Mutex<State>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        let relayed = service_fn(move |request| relay(request, service, Arc::clone(&state)));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), relayed));
    }
}

/// An error closes the connection without an answer.
async fn relay(
    request: hyper::Request<Incoming>,
    service: SocketAddr,
    state: Arc<Mutex<State>>,
) -> Result<hyper::Response<Full<Bytes>>, Failure> {
    let target = request.headers().get("x-amz-target").and_then(|value| value.to_str().ok());
    let operation = target.and_then(|target| target.split('.').nth(1)).unwrap_or_default();
    let operation = operation.to_owned();
    let (down, delay) = {
        let mut state = locked(&state);
        *state.calls.entry(operation.clone()).or_default() += 1;
        (state.down, state.delay)
    };
    if down {
        return Err(Failure::new("the relay is down"));
    }
    tokio::time::sleep(delay).await;
    let answer = Client::new(Protocol::Http1, service).send(copied(request).await?).await?;
    if is_lost(&state, &operation) {
        return Err(Failure::new("the answer is lost"));
    }
    let mut relayed = hyper::Response::new(Full::new(Bytes::from(answer.body)));
    *relayed.status_mut() =
        StatusCode::from_u16(answer.status).map_err(Failure::while_doing("relaying"))?;
    *relayed.headers_mut() = answer.headers;
    relayed.headers_mut().remove(CONTENT_LENGTH);
    relayed.headers_mut().remove(TRANSFER_ENCODING);
    relayed.headers_mut().remove("connection");
    Ok(relayed)
}

async fn copied(request: hyper::Request<Incoming>) -> Result<Request, Failure> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(Failure::while_doing("reading a call"))?.to_bytes();
    let named = parts.headers.iter().filter(|(name, _)| ![HOST, CONTENT_LENGTH].contains(name));
    let headers = named.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    Ok(Request {
        method: Method::POST,
        headers: headers.collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
        ..Request::get("/")
    })
}

fn is_lost(state: &Mutex<State>, operation: &str) -> bool {
    let mut state = locked(state);
    match state.lost_answers.get_mut(operation) {
        Some(left) if *left > 0 => {
            *left -= 1;
            true
        }
        _ => false,
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

//! An issuer that is a test: it answers enrolled edges with what it is told to, and keeps what they said.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, HeaderName, IF_NONE_MATCH};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::{Failure, claims_of};

const DOMAIN: &str = "/shop";
const KEYS: &str = "/shop/edge/keys";

/// An HTTP/1.1 server in this process, until it is dropped.
#[derive(Debug)]
pub struct EdgeIssuer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

/// What a document is answered with.
#[derive(Clone, Debug)]
pub struct Published {
    /// HTTP status
    pub status: u16,
    /// Its name, in quotes
    pub etag: String,
    /// How long it may be used, in seconds
    pub max_age: u64,
    /// The document
    pub body: String,
}

/// A poll of an edge.
#[derive(Clone, Debug)]
pub struct Poll {
    /// The claims of what it said of itself, unchecked; `null` where it said nothing
    pub claims: Value,
    /// The whole header field
    pub authorization: String,
    /// `If-None-Match`
    pub if_none_match: Option<String>,
    /// The path
    pub path: String,
}

#[derive(Debug, Default)]
struct State {
    keys: Option<Published>,
    lists: Option<Published>,
    polls: Vec<Poll>,
}

impl Published {
    /// A document with its name.
    #[must_use]
    pub fn new(etag: &str, max_age: u64, body: &str) -> Self {
        Self { status: 200, etag: format!("\"{etag}\""), max_age, body: body.to_owned() }
    }

    /// A status and nothing else.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self { status, ..Self::new("none", 0, "") }
    }
}

impl EdgeIssuer {
    /// Listens on a free port of the loopback interface. Until something is published, all is 503.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start() -> Result<Self, Failure> {
        let failed = || Failure::while_doing("the edge issuer cannot listen");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed())?;
        let address = listener.local_addr().map_err(failed())?;
        let state = Arc::default();
        let task = tokio::spawn(serve(listener, Arc::clone(&state)));
        Ok(Self { address, state, task })
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Its name as an issuer.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{DOMAIN}", self.address)
    }

    /// The URI of a status list.
    #[must_use]
    pub fn list_uri(&self, number: u32) -> String {
        format!("{}/status-lists/{number}", self.url())
    }

    /// What edges get for their keys from now on.
    pub fn publish(&self, keys: Published) {
        lock(&self.state).keys = Some(keys);
    }

    /// What everyone gets for status lists from now on; none: 503.
    pub fn publish_list(&self, list: Option<Published>) {
        lock(&self.state).lists = list;
    }

    /// The polls for keys so far.
    #[must_use]
    pub fn polls(&self) -> Vec<Poll> {
        let polls = lock(&self.state).polls.clone();
        polls.into_iter().filter(|poll| poll.path == KEYS).collect()
    }

    /// The polls for status lists so far.
    #[must_use]
    pub fn list_polls(&self) -> Vec<Poll> {
        let polls = lock(&self.state).polls.clone();
        polls.into_iter().filter(|poll| poll.path != KEYS).collect()
    }
}

impl Drop for EdgeIssuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        let answer = service_fn(move |request: hyper::Request<Incoming>| {
            let answer = answer(&mut lock(&state), request.uri().path(), request.headers());
            async move { Ok::<_, Infallible>(answer) }
        });
        let server = http1::Builder::new();
        tokio::spawn(server.serve_connection(TokioIo::new(stream), answer));
    }
}

fn answer(state: &mut State, path: &str, headers: &HeaderMap) -> hyper::Response<Full<Bytes>> {
    let text = |name: HeaderName| {
        headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let authorization = text(hyper::header::AUTHORIZATION).unwrap_or_default();
    let if_none_match = text(IF_NONE_MATCH);
    let claims = claims_of(&authorization);
    let path = path.to_owned();
    let document = if path == KEYS { state.keys.clone() } else { state.lists.clone() };
    state.polls.push(Poll { claims, authorization, if_none_match: if_none_match.clone(), path });
    let document = document.unwrap_or_else(|| Published::status(503));
    let is_known = document.status == 200 && if_none_match.as_ref() == Some(&document.etag);
    let (status, body) =
        if is_known { (304, String::new()) } else { (document.status, document.body) };
    let response = hyper::Response::builder()
        .status(status)
        .header("etag", document.etag)
        .header("cache-control", format!("private, max-age={}", document.max_age));
    response.body(Full::new(Bytes::from(body))).unwrap_or_default()
}

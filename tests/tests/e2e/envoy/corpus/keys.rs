//! The servers of keys: each group's ends its fetches as its cases say, at their times, and keeps
//! everyone waiting who asks for more. Envoy starts a filter in its main thread, too, and so there
//! are two who ask for each key set: what comes of a fetch is a matter of its time.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use super::case::{Case, End};

/// A server of this process, until it is dropped.
pub(crate) struct KeyServer {
    pub(crate) address: SocketAddr,
    script: Arc<Mutex<Script>>,
    task: JoinHandle<()>,
}

/// What is to happen, and what has.
#[derive(Default)]
struct Script {
    ends: Vec<Scripted>,
    /// The places that someone waits for.
    waiting: Vec<String>,
}

/// The end of a fetch from this place.
struct Scripted {
    place: String,
    end: End,
    has_come: bool,
}

type Request = hyper::Request<Incoming>;
type Response = hyper::Response<Full<Bytes>>;

impl KeyServer {
    /// A server for the one provider of this case whose keys are fetched.
    pub(crate) async fn start(case: &Case, clock: watch::Receiver<Duration>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(Script { ends: script(case), waiting: Vec::new() }));
        let task = tokio::spawn(serve(listener, Arc::clone(&script), clock));
        Self { address, script, task }
    }

    /// The places of the fetches that should have ended by now, and have not.
    pub(crate) fn missed(&self, now: Duration) -> Vec<String> {
        let script = self.script.lock().unwrap();
        let missed = script.ends.iter().filter(|one| one.end.at <= now && !one.has_come);
        missed.map(|one| one.place.clone()).collect()
    }

    /// Whether someone waits for the keys of this domain.
    pub(crate) fn keeps_waiting(&self, domain: Option<&str>) -> bool {
        let of_domain =
            |place: &String| domain.is_none_or(|domain| place.split('/').nth(1) == Some(domain));
        self.script.lock().unwrap().waiting.iter().any(of_domain)
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The provider of a policy whose keys are not in it.
pub(crate) fn fetched_provider(policy: &Value) -> Option<&Value> {
    let is_fetched = |provider: &&Value| {
        provider.get("remote_jwks").or(provider.get("openid_discovery")).is_some()
    };
    policy["providers"].as_object()?.values().find(is_fetched)
}

/// The ends with their places: those that the policy names, and behind an issuer's configuration
/// the one that it names.
fn script(case: &Case) -> Vec<Scripted> {
    let Some(provider) = fetched_provider(&case.policy) else { return Vec::new() };
    let mut uri = source(provider);
    let mut ends = Vec::new();
    for end in &case.ends {
        let domain = end.domain.as_deref().unwrap_or_default();
        let (_, place) = uri.split_once("://").unwrap();
        let place = place.replace("{domain}", domain);
        ends.push(Scripted { place, end: end.clone(), has_come: false });
        if let (true, Some((_, body))) = (end.is_configuration, &end.answer) {
            let configuration: Value = serde_json::from_str(body).unwrap_or_default();
            configuration["jwks_uri"].as_str().unwrap_or("none://").clone_into(&mut uri);
        }
    }
    ends
}

fn source(provider: &Value) -> String {
    let source = provider.get("remote_jwks").or(provider.get("openid_discovery")).unwrap();
    let named = source["http_uri"]["uri"].as_str().map(str::to_owned);
    let issuer = provider["issuer"].as_str().unwrap_or_default();
    named.unwrap_or_else(|| format!("{issuer}/.well-known/openid-configuration"))
}

async fn serve(
    listener: TcpListener,
    script: Arc<Mutex<Script>>,
    clock: watch::Receiver<Duration>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (script, clock) = (Arc::clone(&script), clock.clone());
        let answer = service_fn(move |request| answer(request, Arc::clone(&script), clock.clone()));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
    }
}

/// An error makes the server close the connection without an answer.
async fn answer(
    request: Request,
    script: Arc<Mutex<Script>>,
    mut clock: watch::Receiver<Duration>,
) -> io::Result<Response> {
    let host = request.headers().get("host").and_then(|host| host.to_str().ok());
    let place = format!("{}{}", host.unwrap_or_default(), request.uri());
    let waiting = Waiting::begin(script, place);
    loop {
        let now = *clock.borrow_and_update();
        if let Some(end) = waiting.end(now) {
            return respond(end);
        }
        clock.changed().await.map_err(io::Error::other)?;
    }
}

fn respond(end: End) -> io::Result<Response> {
    let (status, body) = end.answer.ok_or(io::ErrorKind::ConnectionAborted)?;
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status.try_into().unwrap();
    Ok(response)
}

/// Someone who waits, until it is dropped.
struct Waiting {
    script: Arc<Mutex<Script>>,
    place: String,
}

impl Waiting {
    fn begin(script: Arc<Mutex<Script>>, place: String) -> Self {
        script.lock().unwrap().waiting.push(place.clone());
        Self { script, place }
    }

    /// The end whose time this is.
    fn end(&self, now: Duration) -> Option<End> {
        let mut script = self.script.lock().unwrap();
        let is_due = |one: &&mut Scripted| one.place == self.place && one.end.at == now;
        let due = script.ends.iter_mut().find(is_due)?;
        due.has_come = true;
        Some(due.end.clone())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Ok(mut script) = self.script.lock() {
            let own = script.waiting.iter().position(|place| *place == self.place);
            own.map(|own| script.waiting.swap_remove(own));
        }
    }
}

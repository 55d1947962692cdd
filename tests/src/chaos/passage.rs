//! The way between one edge and the issuer: a proxy that can be slow, dead, or an attacker.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::fault_proxy::{passed_on, read};
use crate::load::Random;
use crate::{Client, Failure, Protocol, Request, Response};

/// How often a request that hangs looks whether it still has to, at the most.
const LONGEST_HANG: Duration = Duration::from_secs(30);

/// What is done to what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Pass,
    /// Answers come this much later.
    Slow(Duration),
    /// Connections end without an answer.
    HangUp,
    /// Requests are taken, and nothing is said to them.
    Hang,
    /// A byte of each answer is another.
    Flip,
    /// The second half of each answer is missing.
    Truncate,
    /// The first answer that was ever given is given again.
    RollBack,
    /// Nothing has ever changed: 304.
    Freeze,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Matter {
    /// Encrypted and signed keys of an edge.
    Bundle,
    /// A status list.
    List,
    /// A public key set, which nothing but TLS would protect.
    Keys,
    Other,
}

impl Matter {
    fn of(target: &str) -> Self {
        let path = target.split('?').next().unwrap_or_default();
        if path.ends_with("/edge/keys") {
            Self::Bundle
        } else if path.contains("/status-lists/") {
            Self::List
        } else if path.ends_with("/jwks.json") {
            Self::Keys
        } else {
            Self::Other
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bundle => "bundle",
            Self::List => "list",
            Self::Keys => "keys",
            Self::Other => "other",
        }
    }
}

/// A proxy before the issuer, until it is dropped.
#[derive(Debug)]
pub(super) struct Passage {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    mode: watch::Sender<Mode>,
    random: Arc<Random>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The first answers with a body, by what was asked for.
    first: BTreeMap<String, Response>,
    /// How often each matter was answered with each status; 0 is no answer.
    answers: BTreeMap<(Matter, u16), u64>,
    /// How many answers were not what the issuer said.
    tampered: BTreeMap<Matter, u64>,
}

impl Passage {
    /// Listens on a free port of an address of ours, before the issuer on `target`.
    pub(super) async fn open(
        on: Ipv4Addr,
        target: SocketAddr,
        random: Arc<Random>,
    ) -> Result<Self, Failure> {
        let failed = || Failure::while_doing("a way to the issuer");
        let listener = TcpListener::bind((on, 0)).await.map_err(failed())?;
        let address = listener.local_addr().map_err(failed())?;
        let (mode, _) = watch::channel(Mode::Pass);
        let shared = Arc::new(Shared { target, mode, random, state: Mutex::default() });
        let task = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, task })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, until it is told otherwise.
    pub(super) fn be(&self, mode: Mode) {
        self.shared.mode.send_replace(mode);
    }

    /// How often each matter was answered with each status.
    pub(super) fn answers(&self) -> BTreeMap<(Matter, u16), u64> {
        self.shared.state().answers.clone()
    }

    /// How many answers about each matter were not what the issuer said.
    pub(super) fn tampered(&self) -> BTreeMap<Matter, u64> {
        self.shared.state().tampered.clone()
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(
        &self,
        request: hyper::Request<Incoming>,
    ) -> Result<hyper::Response<Full<Bytes>>, Failure> {
        let request = read(request).await?;
        let matter = Matter::of(&request.target);
        let answer = self.pass(request, matter).await;
        let status = answer.as_ref().map_or(0, |answer| answer.status);
        *self.state().answers.entry((matter, status)).or_default() += 1;
        answer.map(passed_on)
    }

    async fn pass(&self, request: Request, matter: Matter) -> Result<Response, Failure> {
        let mode = *self.mode.borrow();
        match mode {
            Mode::HangUp => return Err(Failure::new("hung up")),
            Mode::Hang => {
                let mut told = self.mode.subscribe();
                let changed = told.wait_for(|mode| *mode != Mode::Hang);
                let _ = tokio::time::timeout(LONGEST_HANG, changed).await;
                return Err(Failure::new("hung up after a while"));
            }
            Mode::Slow(time) => tokio::time::sleep(time).await,
            _ => {}
        }
        let target = request.target.clone();
        let answer = Client::new(Protocol::Http1, self.target).send(request).await?;
        if answer.status == 200 {
            self.state().first.entry(target.clone()).or_insert_with(|| answer.clone());
        }
        let is_signed = matches!(matter, Matter::Bundle | Matter::List);
        Ok(if is_signed { self.tamper(mode, matter, &target, answer) } else { answer })
    }

    fn tamper(&self, mode: Mode, matter: Matter, target: &str, genuine: Response) -> Response {
        let mut answer = genuine.clone();
        match mode {
            Mode::Flip => flip(&mut answer.body, &self.random),
            Mode::Truncate => answer.body.truncate(answer.body.len() / 2),
            Mode::RollBack => {
                if let Some(first) = self.state().first.get(target) {
                    answer = first.clone();
                }
            }
            Mode::Freeze => {
                answer.status = 304;
                answer.body.clear();
            }
            _ => {}
        }
        if answer.body != genuine.body || answer.status != genuine.status {
            *self.state().tampered.entry(matter).or_default() += 1;
        }
        answer
    }
}

/// Makes one character of a signed text another. Not the last one, of which some bits mean nothing.
fn flip(body: &mut String, random: &Random) {
    if body.len() < 2 {
        return;
    }
    let at = random.below(body.len() - 1);
    let other = if body.get(at..=at) == Some("A") { "B" } else { "A" };
    if body.is_char_boundary(at) && body.is_char_boundary(at + 1) {
        body.replace_range(at..=at, other);
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        // An error ends the connection without an answer.
        let answer = service_fn(move |request| {
            let shared = Arc::clone(&shared);
            async move { shared.answer(request).await }
        });
        let server = http1::Builder::new();
        connections.spawn(server.serve_connection(TokioIo::new(stream), answer));
        while connections.try_join_next().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyServer;

    #[test]
    fn a_flipped_text_differs_in_one_place_before_its_end() {
        let random = Random::new(3);
        for _ in 0..200 {
            let mut body = "AbcA.defA".to_owned();
            flip(&mut body, &random);
            let changed: Vec<usize> =
                (0..9).filter(|at| body.as_bytes()[*at] != b"AbcA.defA"[*at]).collect();
            assert_eq!(changed.len(), 1, "{body}");
            assert!(changed[0] < 8);
        }
    }

    #[tokio::test]
    async fn only_what_is_signed_is_tampered_with() {
        let issuer = KeyServer::start(&serde_json::json!({ "keys": [] })).await.unwrap();
        issuer.answer();
        let target = SocketAddr::from(([127, 0, 0, 1], issuer.port()));
        let random = Arc::new(Random::new(1));
        let passage = Passage::open(Ipv4Addr::LOCALHOST, target, random).await.unwrap();
        let client = Client::new(Protocol::Http1, passage.address());
        let ask = async |path: &str| {
            client.send(Request::get(path)).await.map(|got| (got.status, got.body))
        };
        let genuine = r#"{"keys":[]}"#.to_owned();
        assert_eq!(ask("/shop/edge/keys").await.unwrap(), (200, genuine.clone()));
        for (mode, is_told) in [(Mode::Flip, 200), (Mode::Truncate, 200), (Mode::Freeze, 304)] {
            passage.be(mode);
            let (status, body) = ask("/shop/edge/keys").await.unwrap();
            assert_eq!(status, is_told);
            assert_ne!(body, genuine);
            assert_eq!(ask("/shop/.well-known/jwks.json").await.unwrap(), (200, genuine.clone()));
        }
        passage.be(Mode::HangUp);
        assert!(ask("/shop/edge/keys").await.is_err());
        assert_eq!(passage.tampered(), [(Matter::Bundle, 3)].into());
        assert_eq!(passage.answers()[&(Matter::Bundle, 0)], 1);
    }
}

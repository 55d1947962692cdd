//! Telling edges that something has changed, so that they need not wait for their next poll.
//!
//! It is only a poke: the edge asks for itself. One that gets lost costs no more than that wait.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderValue, Method, Request, StatusCode, header::AUTHORIZATION},
};
use serde::Serialize;
use tokio::{
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

use super::{Edge, EdgeId, PUSH_TYPE};
use crate::{
    domain::DomainName,
    http_client::{HttpClient, http_client},
    issuer::{Failure, Issuer},
};

/// How often it is looked for changes.
const PAUSE: Duration = Duration::from_millis(250);
/// How often, where every look is a request to a service that bills them.
const LONG_PAUSE: Duration = Duration::from_secs(2);
/// How often the list of edges is read.
const EDGES_PAUSE: Duration = Duration::from_secs(5);
/// How long an edge may take to answer.
const LIMIT: Duration = Duration::from_secs(2);
/// How long to wait before each try.
const TRIES: [Duration; 3] = [Duration::ZERO, Duration::from_millis(250), Duration::from_secs(1)];
const LIFETIME_SECONDS: u64 = 60;

/// What edges want to know of a domain, as numbers that change with it: the generation of its key set,
/// and the version of its status lists.
type Versions = (Option<u64>, u64);

/// What pokes the edges of an issuer.
pub struct EdgePush {
    issuer: Arc<Issuer>,
    client: HttpClient,
    edges: Vec<Edge>,
    edges_read_at: Option<Instant>,
    known: HashMap<DomainName, Versions>,
    pending: HashMap<EdgeId, BTreeSet<DomainName>>,
    under_way: HashMap<EdgeId, JoinHandle<()>>,
    /// Whether the last look has failed: it is told once, not at every look.
    is_failing: bool,
}

#[derive(Serialize)]
struct PushClaims<'c> {
    aud: &'c str,
    iat: u64,
    exp: u64,
    issuers: Vec<String>,
}

/// What came of one try.
enum Tried {
    Delivered,
    Refused(StatusCode),
    Failed,
}

impl EdgePush {
    /// For the edges of `issuer`, when its keys or its status lists change.
    ///
    /// # Errors
    ///
    /// When the system has no certificates to trust.
    pub fn new(issuer: Arc<Issuer>) -> std::io::Result<Self> {
        Ok(Self {
            issuer,
            client: http_client()?,
            edges: Vec::new(),
            edges_read_at: None,
            known: HashMap::new(),
            pending: HashMap::new(),
            under_way: HashMap::new(),
            is_failing: false,
        })
    }

    /// Looks for changes, and pokes, for ever. All edges are poked at first: what changed while
    /// nobody looked is unknown.
    pub async fn run(mut self) {
        let pause = if self.issuer.looks_are_billed() { LONG_PAUSE } else { PAUSE };
        let mut looks = interval(pause);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let looked = self.look().await;
            let poked = self.poke().await;
            match looked.and(poked) {
                Ok(()) => self.is_failing = false,
                Err(failure) if !self.is_failing => {
                    self.is_failing = true;
                    tracing::warn!(%failure, "cannot look for what edges want to know");
                }
                Err(_) => {}
            }
        }
    }

    /// What cannot be read of one domain stands in the way of no other.
    async fn look(&mut self) -> Result<(), Failure> {
        if self.edges_read_at.is_none_or(|moment| moment.elapsed() >= EDGES_PAUSE) {
            self.edges = self.issuer.edges_to_poke().await?;
            self.edges_read_at = Some(Instant::now());
        }
        let domains: BTreeSet<_> =
            self.edges.iter().flat_map(|edge| &edge.domains).cloned().collect();
        let mut outcome = Ok(());
        for domain in domains {
            let versions = match self.versions(&domain).await {
                Ok(versions) => versions,
                Err(failure) => {
                    outcome = Err(failure);
                    continue;
                }
            };
            if self.known.get(&domain) == Some(&versions) {
                continue;
            }
            self.known.insert(domain.clone(), versions);
            for edge in self.edges.iter().filter(|edge| edge.domains.contains(&domain)) {
                self.pending.entry(edge.id.clone()).or_default().insert(domain.clone());
            }
        }
        outcome
    }

    async fn versions(&self, domain: &DomainName) -> Result<Versions, Failure> {
        let issuer = &self.issuer;
        Ok((issuer.generation(domain).await?, issuer.status_version(domain).await?))
    }

    /// Starts what is to be sent; to an edge that is being told something, when that is done.
    async fn poke(&mut self) -> Result<(), Failure> {
        self.under_way.retain(|_, task| !task.is_finished());
        for edge in &self.edges {
            if self.under_way.contains_key(&edge.id) {
                continue;
            }
            let Some(domains) = self.pending.get(&edge.id) else { continue };
            let request = request(&self.issuer, edge, domains).await?;
            self.pending.remove(&edge.id);
            let Some(request) = request else { continue };
            let task =
                send(Arc::clone(&self.issuer), self.client.clone(), edge.name.to_string(), request);
            self.under_way.insert(edge.id.clone(), tokio::spawn(task));
        }
        self.pending.retain(|id, _| self.edges.iter().any(|edge| edge.id == *id));
        Ok(())
    }
}

impl Drop for EdgePush {
    fn drop(&mut self) {
        self.under_way.values().for_each(JoinHandle::abort);
    }
}

async fn send(issuer: Arc<Issuer>, client: HttpClient, edge: String, request: Request<()>) {
    let mut last = Tried::Failed;
    for pause in TRIES {
        sleep(pause).await;
        last = attempt(&client, &request).await;
        match last {
            Tried::Delivered => break,
            // Another try would be answered alike.
            Tried::Refused(status) if !status.is_server_error() => break,
            Tried::Refused(_) | Tried::Failed => {}
        }
    }
    let pushes = &issuer.edge_counts().pushes;
    match last {
        Tried::Delivered => pushes.count("delivered"),
        Tried::Refused(status) => {
            pushes.count("refused");
            tracing::warn!(edge, status = status.as_u16(), "an edge has refused a push");
        }
        Tried::Failed => {
            pushes.count("failed");
            tracing::warn!(edge, "an edge could not be told of a change");
        }
    }
}

async fn attempt(client: &HttpClient, request: &Request<()>) -> Tried {
    let mut copy = Request::new(Body::empty());
    request.method().clone_into(copy.method_mut());
    request.uri().clone_into(copy.uri_mut());
    request.headers().clone_into(copy.headers_mut());
    match timeout(LIMIT, client.request(copy)).await {
        Ok(Ok(response)) if response.status().is_success() => Tried::Delivered,
        Ok(Ok(response)) => Tried::Refused(response.status()),
        Ok(Err(_)) | Err(_) => Tried::Failed,
    }
}

/// The poke of an edge; nothing where it has no URL.
async fn request(
    issuer: &Issuer,
    edge: &Edge,
    domains: &BTreeSet<DomainName>,
) -> Result<Option<Request<()>>, Failure> {
    let Some(url) = &edge.push_url else { return Ok(None) };
    let now = issuer.now();
    let claims = PushClaims {
        aud: edge.id.as_str(),
        iat: now.0,
        exp: now.plus(LIFETIME_SECONDS).0,
        issuers: domains.iter().map(|domain| issuer.issuer_of(domain)).collect(),
    };
    let signed = issuer.bundle_keys().await?.current.sign_as(PUSH_TYPE, claims)?;
    let bearer = HeaderValue::try_from(format!("Bearer {}", signed.expose()));
    let mut bearer = bearer.map_err(|_| Failure::Publication)?;
    bearer.set_sensitive(true);
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = url.uri().clone();
    request.headers_mut().insert(AUTHORIZATION, bearer);
    Ok(Some(request))
}

#[cfg(test)]
mod tests;

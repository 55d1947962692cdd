//! The programs of a run: the issuer on one of its storages, and four edges that trust it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::book::{EdgeFacts, Limits};
use super::edges::{Edge, EnvoyEdge, NodeEdge, Orders, WorkerEdge};
use super::network::Network;
use super::options::{Options, Storage};
use super::{API, SHOP, VAULT, VAULT_API};
use crate::load::Random;
use crate::{Failure, Issuer, MiniStack, Moto, Upstream, cloud};

/// What the policies of those edges allow whose clocks are off by a minute, and of the others.
const WIDE_SKEW: Duration = Duration::from_secs(65);
const NO_SKEW: Duration = Duration::ZERO;
/// How far Node's clock is behind, all the time.
const NODE_SHIFT: i64 = -60;
/// How old keys and lists may be before they are asked for again, in seconds.
const MAX_AGE: u64 = 5;
/// What an edge has to know so long after it happened, if it can reach the issuer.
const LEARNING: Duration = Duration::from_secs(10);
/// The same for keys: their age, and a wait and a fetch besides.
const LEARNING_KEYS: Duration = Duration::from_secs(MAX_AGE + 2);

/// Where the Worker takes pushes.
const WORKER_PUSHES: &str = "/.well-known/postern/push";

/// The running programs; they end when this is dropped, the edges first.
pub(super) struct Stage {
    pub(super) edges: Vec<Arc<Edge>>,
    /// The issuer's data, for commands.
    pub(super) data: Arc<Issuer>,
    /// What could not be done here, and what was done instead.
    pub(super) notes: Vec<String>,
    upstream: Upstream,
    _cloud: Option<(MiniStack, Moto)>,
    _folder: TempDir,
}

/// What a run knows of its edges before it begins.
pub(super) struct Known {
    pub(super) edges: Vec<EdgeFacts>,
    pub(super) limits: Limits,
    /// Edges whose clocks are off from the start, and by how many seconds.
    pub(super) shifts: Vec<(usize, i64)>,
}

impl Known {
    pub(super) fn of(options: &Options) -> Self {
        let edge = |name, allowed_skew| EdgeFacts { name, allowed_skew };
        let max_stale = if options.is_short() { 9 } else { 20 };
        Self {
            edges: vec![
                edge("envoy-a", NO_SKEW),
                edge("envoy-b", WIDE_SKEW),
                edge("worker", NO_SKEW),
                edge("node", WIDE_SKEW),
            ],
            limits: Limits {
                learning: LEARNING,
                learning_keys: LEARNING_KEYS,
                max_age: Duration::from_secs(MAX_AGE),
                max_stale: Duration::from_secs(max_stale),
            },
            shifts: vec![(NODE, NODE_SHIFT)],
        }
    }
}

/// The numbers of edges that are meant by what they are.
pub(super) const ENVOYS: [usize; 2] = [0, 1];
/// The one of them whose clock jumps.
pub(super) const JUMPER: usize = 1;
pub(super) const WORKER: usize = 2;
pub(super) const NODE: usize = 3;

impl Stage {
    /// Starts everything; returns the issuer's server, too, for the one who kills it.
    pub(super) async fn open(
        options: &Options,
        (storage, known): (Storage, &Known),
        random: &Arc<Random>,
    ) -> Result<(Self, Issuer), Failure> {
        let folder = TempDir::new().map_err(Failure::while_doing("a folder for the issuer"))?;
        let (mut server, data, cloud) = issuer(storage, &folder).await?;
        populate(&data, options)?;
        server.start().await?;
        let upstream = Upstream::start(0).await?;
        let mut stage = Self {
            edges: Vec::new(),
            data: Arc::new(data),
            notes: Vec::new(),
            upstream,
            _cloud: cloud,
            _folder: folder,
        };
        stage.start_edges(&server, known, random).await?;
        for (edge, seconds) in &known.shifts {
            if let Some(edge) = stage.edges.get(*edge) {
                edge.put_clock(*seconds).await?;
            }
        }
        Ok((stage, server))
    }

    async fn start_edges(
        &mut self,
        server: &Issuer,
        known: &Known,
        random: &Arc<Random>,
    ) -> Result<(), Failure> {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let [gate_a, admin_a, gate_b, admin_b, worker_port, node_port] = free_ports::<6>()?;
        let push = format!("http://127.0.0.1:{worker_port}{WORKER_PUSHES}");
        let orders = known.edges.iter().map(|edge| {
            Ok(Orders {
                policy: policy(&server.url(), edge, &known.limits),
                credential: {
                    let push = (edge.name == "worker").then_some(push.as_str());
                    enrol(&self.data, edge.name, &server.url(), push)?
                },
                issuer: local(server.port()),
                random: Arc::clone(random),
            })
        });
        let orders: Vec<Orders> = orders.collect::<Result<_, Failure>>()?;
        let [first, second, worker, node]: [Orders; 4] =
            orders.try_into().map_err(|_| Failure::new("there are four edges"))?;
        let networks = [(); 2].map(|()| self.network());
        let [first_network, second_network] = networks;
        let (first_network, second_network) = (first_network?, second_network?);
        let upstream = local(self.upstream.port());
        let (first, second, worker, node) = tokio::try_join!(
            EnvoyEdge::start("envoy-a", first_network, [gate_a, admin_a], first),
            EnvoyEdge::start("envoy-b", second_network, [gate_b, admin_b], second),
            WorkerEdge::start((worker_port, upstream), worker),
            NodeEdge::start(node_port, node),
        )?;
        self.edges = [first, second, worker, node].map(Arc::new).into();
        Ok(())
    }

    /// A namespace, or a note of why there is none; in CI, none is a failure.
    fn network(&mut self) -> Result<Option<Network>, Failure> {
        match Network::make() {
            Ok(network) => Ok(Some(network)),
            Err(failure) if std::env::var("CI").is_ok_and(|value| value == "true") => Err(failure),
            Err(failure) => {
                let instead = "Envoy is on the loopback interface, and its proxy hangs up instead";
                self.notes.push(format!("no network namespace ({failure}): {instead}"));
                Ok(None)
            }
        }
    }
}

/// The issuer's server, which does not run yet, its data for commands, and what these are on.
async fn issuer(
    storage: Storage,
    folder: &TempDir,
) -> Result<(Issuer, Issuer, Option<(MiniStack, Moto)>), Failure> {
    match storage {
        Storage::Sqlite => {
            let server = Issuer::new(folder.path())?;
            let data = Issuer::on_port(folder.path(), server.port());
            Ok((server, data, None))
        }
        Storage::Aws => {
            let stack = MiniStack::start().await?;
            // No function rotates anything here.
            let moto = Moto::start("http://127.0.0.1:9").await?;
            let variables = cloud::variables(&stack, &moto);
            let data = Issuer::on_aws(folder.path(), variables.clone())?;
            data.postern(&["table", "create"], "")?;
            Ok((Issuer::on_aws(folder.path(), variables)?, data, Some((stack, moto))))
        }
    }
}

fn populate(data: &Issuer, options: &Options) -> Result<(), Failure> {
    let lifetime = if options.is_short() { "20" } else { "40" };
    for (domain, algorithm) in [(SHOP, "ES256"), (VAULT, "HS256")] {
        let age = MAX_AGE.to_string();
        let options =
            ["--alg", algorithm, "--token-lifetime", lifetime, "--jwks-max-age", age.as_str()];
        data.domain_create(domain, &options)?;
    }
    Ok(())
}

/// What `postern edge enrol` prints once.
fn enrol(data: &Issuer, name: &str, url: &str, push: Option<&str>) -> Result<String, Failure> {
    let mut words = vec!["edge", "enrol", name, "--domain", SHOP, "--domain", VAULT];
    words.extend(["--issuer-url", url]);
    if let Some(push) = push {
        words.extend(["--push-url", push]);
    }
    let credential = data.postern(&words, "")?;
    Ok(credential.trim().to_owned())
}

/// One policy for all kinds of edges; Envoy's needs the names of clusters, which the others pass over.
fn policy(issuer: &str, edge: &EdgeFacts, limits: &Limits) -> Value {
    let age = format!("{}s", limits.max_age.as_secs());
    let provider = |domain: &str, algorithm: &str| {
        json!({
            "issuer": format!("{issuer}/{domain}"),
            "audiences": [domain],
            "algorithms": [algorithm],
            "clock_skew_seconds": edge.allowed_skew.as_secs(),
            "edge_keys": {
                "http_uri": { "cluster": "issuer", "timeout": "2s" },
                "cache_duration": age,
                "retry_policy": {
                    "retry_back_off": { "base_interval": "0.2s", "max_interval": "1s" },
                },
            },
            "status_list": {
                "cluster": "issuer",
                "timeout": "2s",
                "max_age": age,
                "max_stale": format!("{}s", limits.max_stale.as_secs()),
            },
            "claim_to_headers": [{ "header_name": "x-user-id", "claim_name": "sub" }],
        })
    };
    json!({
        "providers": { SHOP: provider(SHOP, "ES256"), VAULT: provider(VAULT, "HS256") },
        "rules": [
            { "match": { "path": API }, "requires": { "provider_name": SHOP } },
            { "match": { "path": VAULT_API }, "requires": { "provider_name": VAULT } },
        ],
    })
}

/// Ports that are free now, below the range from which the system serves "any port".
fn free_ports<const COUNT: usize>() -> Result<[u16; COUNT], Failure> {
    let start = 20_000 + (std::process::id() % 1000) * 10;
    let candidates = (start + 5..32_000).filter_map(|port| u16::try_from(port).ok());
    let bound = candidates.filter_map(|port| {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok().map(|listener| (port, listener))
    });
    let held: Vec<(u16, TcpListener)> = bound.take(COUNT).collect();
    let ports: Vec<u16> = held.iter().map(|(port, _)| *port).collect();
    ports.try_into().map_err(|_| Failure::new("no ports are free"))
}

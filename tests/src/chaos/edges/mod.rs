//! The edges: four gates of three kinds, each behind a way of its own to the issuer.

mod envoy;
mod node;
mod worker;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Mutex;

use super::network::Network;
use super::passage::{Mode, Passage};
use crate::Failure;
use crate::load::Random;

pub(super) use envoy::EnvoyEdge;
pub(super) use node::NodeEdge;
pub(super) use worker::WorkerEdge;

/// How much later answers come from a slow issuer: less than half of what a fetch may take.
const SLOWNESS: Duration = Duration::from_millis(800);

/// A gate that is under load, until it is dropped.
pub(super) struct Edge {
    pub(super) name: &'static str,
    /// Where clients find it, over all its restarts.
    pub(super) address: SocketAddr,
    pub(super) passage: Passage,
    program: Mutex<Program>,
    /// What processes have counted that are gone.
    gone: Mutex<OwnCounts>,
    /// The namespace that it is in, if it is; after the program, since that has to end before.
    network: Option<Network>,
}

/// What runs there.
pub(super) enum Program {
    Envoy(EnvoyEdge),
    Worker(WorkerEdge),
    Node(NodeEdge),
}

/// What every edge is told before it starts.
pub(super) struct Orders {
    pub(super) policy: Value,
    /// The JSON of its credential.
    pub(super) credential: String,
    pub(super) issuer: SocketAddr,
    pub(super) random: Arc<Random>,
}

/// What an edge counts itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OwnCounts {
    pub(super) bundles_refused: u64,
    pub(super) lists_refused: u64,
}

impl Edge {
    pub(super) fn new(
        (name, address): (&'static str, SocketAddr),
        passage: Passage,
        program: Program,
        network: Option<Network>,
    ) -> Self {
        let gone = Mutex::default();
        Self { name, address, passage, program: Mutex::new(program), gone, network }
    }

    pub(super) fn is_envoy(&self) -> bool {
        self.name.starts_with("envoy")
    }

    /// Cuts the way to the issuer: the link, where it has one of its own, and else by a proxy that is
    /// silent or hangs up.
    pub(super) fn cut(&self, hangs: bool) -> Result<(), Failure> {
        if let Some(network) = &self.network {
            return network.cut();
        }
        self.passage.be(if hangs { Mode::Hang } else { Mode::HangUp });
        Ok(())
    }

    /// Takes the way up again.
    pub(super) fn mend(&self) -> Result<(), Failure> {
        self.passage.be(Mode::Pass);
        self.network.as_ref().map_or(Ok(()), Network::mend)
    }

    pub(super) fn slow_down(&self) -> Result<(), Failure> {
        self.passage.be(Mode::Slow(SLOWNESS));
        self.network.as_ref().map_or(Ok(()), Network::throttle)
    }

    pub(super) fn speed_up(&self) -> Result<(), Failure> {
        self.passage.be(Mode::Pass);
        self.network.as_ref().map_or(Ok(()), Network::unthrottle)
    }

    /// Ends its process without a warning, and starts another.
    pub(super) async fn restart(&self) -> Result<(), Failure> {
        let mut program = self.program.lock().await;
        let counted = own_counts(&program).await;
        self.gone.lock().await.add(counted);
        match &mut *program {
            Program::Envoy(envoy) => envoy.kill_and_start(self.network.as_ref()).await,
            Program::Worker(worker) => worker.restart().await,
            Program::Node(node) => node.restart().await,
        }
    }

    /// Starts another process that takes the listeners over, and lets the old one finish.
    pub(super) async fn hot_restart(&self) -> Result<(), Failure> {
        match &mut *self.program.lock().await {
            Program::Envoy(envoy) => envoy.hot_restart(self.network.as_ref()).await,
            _ => Err(Failure::new("only Envoy restarts hot")),
        }
    }

    /// Puts its clock forward by so many seconds, or back.
    pub(super) async fn put_clock(&self, seconds: i64) -> Result<(), Failure> {
        match &*self.program.lock().await {
            Program::Envoy(envoy) => envoy.clock().put_forward(seconds),
            Program::Node(node) => node.clock().put_forward(seconds),
            Program::Worker(_) => Err(Failure::new("the Worker's clock cannot be set")),
        }
    }

    /// What its processes have counted; nothing where they count nothing that can be asked.
    pub(super) async fn own_counts(&self) -> OwnCounts {
        let mut all = own_counts(&*self.program.lock().await).await;
        all.add(*self.gone.lock().await);
        all
    }

    /// A failure that shows the end of its log, when its process has ended by itself.
    pub(super) async fn ended(&self) -> Option<Failure> {
        match &mut *self.program.lock().await {
            Program::Envoy(envoy) => envoy.ended(),
            Program::Worker(worker) => worker.ended(),
            Program::Node(node) => node.ended(),
        }
    }
}

/// What the process that runs now has counted. After a hot restart, that is what the old one had, too.
async fn own_counts(program: &Program) -> OwnCounts {
    match program {
        Program::Envoy(envoy) => envoy.own_counts().await,
        Program::Node(node) => node.own_counts().await,
        Program::Worker(_) => OwnCounts::default(),
    }
}

impl OwnCounts {
    fn add(&mut self, other: Self) {
        self.bundles_refused += other.bundles_refused;
        self.lists_refused += other.lists_refused;
    }
}

/// The members of counters as JSON, in the words of the verify core.
fn counts_in(counters: &Value) -> OwnCounts {
    let count = |name: &str| counters.get(name).and_then(Value::as_u64).unwrap_or_default();
    OwnCounts {
        bundles_refused: count("bundlesRefused").max(count("bundles_refused")),
        lists_refused: count("listsRefused").max(count("lists_refused")),
    }
}

//! The Worker in workerd.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::Value;

use super::super::passage::Passage;
use super::{Edge, Orders, Program};
use crate::{Failure, Worker};

/// What the Worker is told its credential by.
const CREDENTIAL: &str = "POSTERN_EDGE";

/// The Worker, over all its restarts.
pub(in super::super) struct WorkerEdge {
    worker: Worker,
    port: u16,
    policy: Value,
    /// To the issuer, and to the upstream.
    ways: (SocketAddr, SocketAddr),
    secrets: Vec<(&'static str, String)>,
}

impl WorkerEdge {
    pub(in super::super) async fn start(
        (port, upstream): (u16, SocketAddr),
        orders: Orders,
    ) -> Result<Edge, Failure> {
        let Orders { policy, credential, issuer, random } = orders;
        let passage = Passage::open(Ipv4Addr::LOCALHOST, issuer, random).await?;
        let ways = (passage.address(), upstream);
        let secrets = vec![(CREDENTIAL, credential)];
        let worker = Worker::start_between(port, &policy, ways, &secrets).await?;
        let edge = Self { worker, port, policy, ways, secrets };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Ok(Edge::new(("worker", address), passage, Program::Worker(edge), None))
    }

    pub(super) async fn restart(&mut self) -> Result<(), Failure> {
        self.worker.kill();
        let started = Worker::start_between(self.port, &self.policy, self.ways, &self.secrets);
        self.worker = started.await?;
        Ok(())
    }

    pub(super) fn ended(&mut self) -> Option<Failure> {
        self.worker.ended()
    }
}

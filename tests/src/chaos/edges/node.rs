//! A Node process with the npm package.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::passage::Passage;
use super::{Edge, Orders, OwnCounts, Program, counts_in};
use crate::process::Process;
use crate::{
    Client, Failure, Protocol, Request, ShiftedClock, npm_package, wait_until, workspace_root,
};

const START_LIMIT: Duration = Duration::from_secs(20);

/// Node, over all its restarts.
pub(in super::super) struct NodeEdge {
    process: Process,
    clock: ShiftedClock,
    setting: Value,
    port: u16,
    folder: TempDir,
}

impl NodeEdge {
    pub(in super::super) async fn start(port: u16, orders: Orders) -> Result<Edge, Failure> {
        let passage = Passage::open(Ipv4Addr::LOCALHOST, orders.issuer, orders.random).await?;
        let setting = json!({
            "package": npm_package()?,
            "port": port,
            "policy": orders.policy,
            "issuer": format!("http://{}", passage.address()),
            "edge": orders.credential,
        });
        let folder = TempDir::new().map_err(Failure::while_doing("a folder for Node"))?;
        let clock = ShiftedClock::new()?;
        let process = begin(&setting, &clock, &folder)?;
        let mut node = Self { process, clock, setting, port, folder };
        node.wait_until_it_listens().await?;
        let place = ("node", node.address());
        Ok(Edge::new(place, passage, Program::Node(node), None))
    }

    pub(super) async fn restart(&mut self) -> Result<(), Failure> {
        self.process.kill();
        self.process = begin(&self.setting, &self.clock, &self.folder)?;
        self.wait_until_it_listens().await
    }

    pub(super) fn clock(&self) -> &ShiftedClock {
        &self.clock
    }

    pub(super) async fn own_counts(&self) -> OwnCounts {
        let client = Client::new(Protocol::Http1, self.address());
        let answer = client.send(Request::get("/chaos/counters")).await;
        answer.map(|answer| counts_in(&answer.json())).unwrap_or_default()
    }

    pub(super) fn ended(&mut self) -> Option<Failure> {
        self.process.ended().map(|status| self.process.failure(&format!("ended with {status}")))
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    async fn wait_until_it_listens(&mut self) -> Result<(), Failure> {
        let address = self.address();
        let listening = wait_until("node", START_LIMIT, || {
            let ended = self.process.ended().is_some();
            async move { ended || tokio::net::TcpStream::connect(address).await.is_ok() }
        });
        let waited = listening.await;
        match self.ended() {
            Some(failure) => Err(failure),
            None => waited.map_err(|_| self.process.failure("did not start")),
        }
    }
}

fn begin(setting: &Value, clock: &ShiftedClock, folder: &TempDir) -> Result<Process, Failure> {
    let mut node = Command::new("node");
    node.arg(workspace_root().join("tests/chaos/node.mjs"));
    node.env("CHAOS_SETTING", setting.to_string());
    clock.rule(&mut node);
    Process::start("node", &mut node, &folder.path().join("node.log"))
}

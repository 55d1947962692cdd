//! A real Envoy with two worker threads, in a network of its own, that restarts hot as in production.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::super::network::Network;
use super::super::passage::Passage;
use super::{Edge, Orders, OwnCounts, Program};
use crate::process::Process;
use crate::{
    Client, EnvoyConfig, Failure, Protocol, Request, ShiftedClock, envoy_program, workspace_root,
};

/// Compiling the filter is most of it, and others start at the same time.
const START_LIMIT: Duration = Duration::from_secs(45);
/// How long an old process may finish its requests, and when it has to be gone, in seconds.
const DRAIN_TIME: &str = "2";
const SHUTDOWN_TIME: &str = "4";
const GONE: Duration = Duration::from_secs(20);

/// The variable that the credential is in.
const CREDENTIAL: &str = "POSTERN_EDGE";

/// Where `envoy.yaml` listens, and where its clusters are.
const PORTS: Ports = Ports { gate: 10000, admin: 9901, issuer: 8080, upstream: 8081 };

#[derive(Clone, Copy)]
struct Ports {
    gate: u16,
    admin: u16,
    issuer: u16,
    upstream: u16,
}

/// What all its processes have.
struct Surroundings {
    clock: ShiftedClock,
    credential: String,
    folder: TempDir,
}

/// Envoy, over all its restarts.
pub(in super::super) struct EnvoyEdge {
    process: Process,
    admin: SocketAddr,
    surroundings: Surroundings,
    /// How often it was restarted hot since it was last started cold.
    epoch: u32,
    /// The API behind it, where that has to be in its network.
    _upstream: Option<crate::Upstream>,
}

impl EnvoyEdge {
    /// In a network of its own if it can have one, and else on `ports` of the loopback interface, for
    /// clients and for its administration.
    pub(in super::super) async fn start(
        name: &'static str,
        network: Option<Network>,
        ports: [u16; 2],
        orders: Orders,
    ) -> Result<Edge, Failure> {
        let local = Ipv4Addr::LOCALHOST;
        let (inside, front, issuer_side, [gate, admin]) = match &network {
            Some(network) => {
                let ports = [PORTS.gate, PORTS.admin];
                (network.inside(), network.front(), network.issuer_side(), ports)
            }
            None => (local, local, local, ports),
        };
        let passage = Passage::open(issuer_side, orders.issuer, orders.random).await?;
        let upstream = crate::Upstream::start_on(front).await?;
        let [gate, admin] = [gate, admin].map(|port| SocketAddr::from((inside, port)));
        let places = [
            (PORTS.gate, gate),
            (PORTS.admin, admin),
            (PORTS.issuer, passage.address()),
            (PORTS.upstream, SocketAddr::from((front, upstream.port()))),
        ];
        let config = configuration(&places, &orders.policy)?;
        let folder = TempDir::new().map_err(Failure::while_doing("a folder for Envoy"))?;
        std::fs::write(folder.path().join("envoy.yaml"), config.text())
            .map_err(Failure::while_doing("writing a configuration"))?;
        let (clock, credential) = (ShiftedClock::new()?, orders.credential);
        let surroundings = Surroundings { clock, credential, folder };
        let process = surroundings.begin(network.as_ref(), 0)?;
        let upstream = Some(upstream);
        let mut envoy = Self { process, admin, surroundings, epoch: 0, _upstream: upstream };
        envoy.ready().await?;
        Ok(Edge::new((name, gate), passage, Program::Envoy(envoy), network))
    }

    pub(super) async fn kill_and_start(
        &mut self,
        network: Option<&Network>,
    ) -> Result<(), Failure> {
        self.process.kill();
        self.epoch = 0;
        self.process = self.surroundings.begin(network, 0)?;
        self.ready().await
    }

    pub(super) async fn hot_restart(&mut self, network: Option<&Network>) -> Result<(), Failure> {
        let epoch = self.epoch + 1;
        let fresh = self.surroundings.begin(network, epoch)?;
        let mut old = std::mem::replace(&mut self.process, fresh);
        self.epoch = epoch;
        self.ready().await?;
        // The new one tells the old one when to go.
        let deadline = Instant::now() + GONE;
        while old.ended().is_none() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        match old.ended() {
            Some(_) => Ok(()),
            None => Err(old.failure("did not make room for its successor")),
        }
    }

    pub(super) fn clock(&self) -> &ShiftedClock {
        &self.surroundings.clock
    }

    pub(super) async fn own_counts(&self) -> OwnCounts {
        let sum = async |what: &str| {
            let target = format!("/stats?format=json&filter={what}$");
            let client = Client::new(Protocol::Http1, self.admin);
            let stats = client.send(Request::get(&target)).await.map(|answer| answer.json());
            let stats = stats.unwrap_or_default();
            let all = stats.get("stats").and_then(Value::as_array).cloned().unwrap_or_default();
            all.iter().filter_map(|stat| stat.get("value")?.as_u64()).sum()
        };
        OwnCounts {
            bundles_refused: sum("bundles_refused").await,
            lists_refused: sum("lists_refused").await,
        }
    }

    pub(super) fn ended(&mut self) -> Option<Failure> {
        self.process.ended().map(|status| self.process.failure(&format!("ended with {status}")))
    }

    /// Waits until this process, and not its predecessor, says that it is ready.
    async fn ready(&mut self) -> Result<(), Failure> {
        let client = Client::new(Protocol::Http1, self.admin);
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if let Some(status) = self.process.ended() {
                return Err(self.process.failure(&format!("ended at its start with {status}")));
            }
            let asked = client.send(Request::get("/server_info"));
            let info = tokio::time::timeout(Duration::from_secs(1), asked).await;
            if matches!(info, Ok(Ok(answer)) if is_live(&answer.json(), self.epoch)) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(self.process.failure("was not ready in time"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn is_live(info: &Value, epoch: u32) -> bool {
    let options = info.get("command_line_options");
    let told = options.and_then(|options| options.get("restart_epoch")).and_then(Value::as_u64);
    info.get("state").is_some_and(|state| state == "LIVE")
        && told.unwrap_or_default() == u64::from(epoch)
}

/// `envoy.yaml` with other addresses and another policy.
fn configuration(places: &[(u16, SocketAddr)], policy: &Value) -> Result<EnvoyConfig, Failure> {
    let mut config = EnvoyConfig::published()?.policy(policy)?;
    let mark = |port: u16| format!("{{ address: 127.0.0.1, port_value: {port} }}");
    // In two steps: one new address may be another's old one.
    for (port, _) in places {
        config = config.replace(&mark(*port), &format!("<{port}>"))?;
    }
    for (port, place) in places {
        let place = format!("{{ address: {}, port_value: {} }}", place.ip(), place.port());
        config = config.replace(&format!("<{port}>"), &place)?;
    }
    with_credential(config)
}

/// Lets the filter see the variable that its credential is in.
fn with_credential(config: EnvoyConfig) -> Result<EnvoyConfig, Failure> {
    let mark = "                  vm_id: postern\n";
    let keys = format!("host_env_keys: [{CREDENTIAL}]");
    let variables = format!("{mark}                  environment_variables: {{ {keys} }}\n");
    config.replace(mark, &variables)
}

impl Surroundings {
    /// Starts a process: cold, or to take over from `epoch` ones before it.
    fn begin(&self, network: Option<&Network>, epoch: u32) -> Result<Process, Failure> {
        let program = envoy_program()?;
        let mut command =
            network.map_or_else(|| Command::new(&program), |network| network.command(&program));
        let file = |name: &str| self.folder.path().join(name);
        let base_id = file("base-id");
        // Two Envoys on one machine share memory by this number; a new one for each that starts cold.
        match std::fs::read_to_string(&base_id) {
            Ok(number) if epoch > 0 => command.args(["--base-id", number.trim()]),
            _ => command.arg("--use-dynamic-base-id").arg("--base-id-path").arg(&base_id),
        };
        command.args(["--restart-epoch", &epoch.to_string(), "--concurrency", "2"]);
        command.args(["--drain-time-s", DRAIN_TIME, "--drain-strategy", "immediate"]);
        command.args(["--parent-shutdown-time-s", SHUTDOWN_TIME]);
        command.args(["--log-level", "warning", "--component-log-level", "wasm:warning"]);
        command.arg("-c").arg(file("envoy.yaml")).current_dir(workspace_root());
        command.env(CREDENTIAL, &self.credential);
        self.clock.rule(&mut command);
        Process::start("envoy", &mut command, &file("envoy.log"))
    }
}

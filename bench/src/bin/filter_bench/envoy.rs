//! A real Envoy with the listeners.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use postern_bench::traffic::cores;
use postern_bench::traffic::requests::get;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::gates::Gate;

/// Compiling the modules is most of it.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How often a starting Envoy is asked whether it is ready.
const PAUSE: Duration = Duration::from_millis(1);

/// A running Envoy, until it is dropped.
pub(crate) struct Envoy {
    child: Child,
    listeners: BTreeMap<String, SocketAddr>,
    /// From its start until it answered that it is ready.
    pub(crate) ready_after: Duration,
    folder: TempDir,
}

impl Envoy {
    /// One worker thread, and everything on the one core that is Envoy's.
    pub(crate) fn start_pinned(program: &Path, gates: &[Gate]) -> Result<Self> {
        cores::on_core(cores::SERVER, || Self::start(program, gates, 1))
    }

    /// So many worker threads, wherever there is room.
    pub(crate) fn start(program: &Path, gates: &[Gate], workers: u32) -> Result<Self> {
        let folder = TempDir::new()?;
        let config = folder.path().join("envoy.json");
        fs::write(&config, configuration(gates).to_string())?;
        let log = fs::File::create(folder.path().join("log"))?;
        let mut command = Command::new(program);
        // Without hot restart there is no shared memory for which two Envoys could fight.
        command.arg("--disable-hot-restart").arg("--concurrency").arg(workers.to_string());
        command.args(["--log-level", "warning", "-c"]).arg(config);
        command.arg("--admin-address-path").arg(folder.path().join("admin"));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let started = Instant::now();
        let child = command.spawn().with_context(|| format!("starting {}", program.display()))?;
        let mut envoy =
            Self { child, listeners: BTreeMap::new(), ready_after: Duration::ZERO, folder };
        let admin = envoy.wait_until_ready(started)?;
        envoy.ready_after = started.elapsed();
        envoy.listeners = listeners(&get(admin, "/listeners", "")?);
        Ok(envoy)
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where a gate listens.
    pub(crate) fn address(&self, gate: &Gate) -> Result<SocketAddr> {
        let address = self.listeners.get(&gate.name).copied();
        address.with_context(|| format!("Envoy has no listener `{}`", gate.name))
    }

    fn wait_until_ready(&mut self, started: Instant) -> Result<SocketAddr> {
        loop {
            if let Some(admin) = self.ready() {
                return Ok(admin);
            }
            if self.child.try_wait()?.is_some() || started.elapsed() > START_LIMIT {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                bail!("Envoy did not get ready; its log:\n{log}");
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// The address of its admin interface, once it is ready.
    fn ready(&self) -> Option<SocketAddr> {
        let text = fs::read_to_string(self.folder.path().join("admin")).ok()?;
        let admin = text.trim().parse().ok()?;
        let answer = get(admin, "/ready", "").ok()?;
        answer.starts_with("HTTP/1.1 200").then_some(admin)
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(gates: &[Gate]) -> Value {
    json!({
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
        "static_resources": {
            "listeners": gates.iter().map(Gate::listener).collect::<Vec<Value>>(),
        },
    })
}

/// Lines like `name::127.0.0.1:1234`.
fn listeners(text: &str) -> BTreeMap<String, SocketAddr> {
    let pairs = text.lines().filter_map(|line| line.trim().split_once("::"));
    pairs.filter_map(|(name, address)| Some((name.to_owned(), address.parse().ok()?))).collect()
}

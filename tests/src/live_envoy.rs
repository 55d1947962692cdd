//! A real Envoy that gets its listeners while it runs, as from a control plane (LDS by file), and
//! whose wall clock is set by hand.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::Process;
use crate::{Client, Failure, Protocol, Request, SetClock, envoy_program, wait_until};

/// Hundreds of listeners, each of which starts the filter once more.
const UPDATE_LIMIT: Duration = Duration::from_secs(120);
const START_LIMIT: Duration = Duration::from_secs(30);

/// A running Envoy, until it is dropped.
#[derive(Debug)]
pub struct LiveEnvoy {
    process: Process,
    admin: Client,
    updates: u64,
    folder: TempDir,
}

impl LiveEnvoy {
    /// Starts Envoy with these clusters, one worker thread and no listener.
    ///
    /// # Errors
    /// When it is missing, ends, or is not ready within 30 s. The message holds the end of its log.
    pub async fn start(clusters: &[Value], clock: &SetClock) -> Result<Self, Failure> {
        let folder = TempDir::new().map_err(Failure::while_doing("a folder for Envoy"))?;
        let bootstrap = folder.path().join("envoy.json");
        write(&folder.path().join("listeners.json"), &listeners(0, &[]))?;
        write(&bootstrap, &config(clusters, folder.path()))?;
        let admin_file = folder.path().join("admin-address");
        let mut command = Command::new(envoy_program()?);
        command.args(["--disable-hot-restart", "--concurrency", "1", "--drain-time-s", "1"]);
        command.args(["--log-level", "warning", "--component-log-level", "wasm:info"]);
        command.arg("--admin-address-path").arg(&admin_file).arg("-c").arg(&bootstrap);
        clock.rule(&mut command);
        let log = folder.path().join("envoy.log");
        let process = Process::start("envoy", &mut command, &log)?;
        let ready = async || ready(&admin_file).await;
        let waited = wait_until("envoy is ready", START_LIMIT, async || ready().await.is_some());
        if let Err(failure) = waited.await {
            return Err(process.failure(&failure.to_string()));
        }
        let admin = ready().await.ok_or_else(|| Failure::new("envoy is not ready any more"))?;
        let envoy = Self { process, admin, updates: 1, folder };
        envoy.updated().await?;
        Ok(envoy)
    }

    /// Replaces all listeners, and returns the addresses of those that are taken, by name. Why one
    /// is not is in the log.
    ///
    /// # Errors
    /// When that takes more than two minutes.
    pub async fn listen(
        &mut self,
        configured: &[Value],
    ) -> Result<BTreeMap<String, SocketAddr>, Failure> {
        self.updates += 1;
        // Envoy looks when a file takes the place of another.
        let fresh = self.folder.path().join("fresh.json");
        write(&fresh, &listeners(self.updates, configured))?;
        fs::rename(&fresh, self.folder.path().join("listeners.json"))
            .map_err(Failure::while_doing("new listeners"))?;
        self.updated().await?;
        let listeners = self.admin.send(Request::get("/listeners?format=json")).await?.json();
        let listeners = listeners.pointer("/listener_statuses").and_then(Value::as_array);
        Ok(listeners.into_iter().flatten().filter_map(address).collect())
    }

    /// Waits until the last update has been taken, in whole or in part.
    async fn updated(&self) -> Result<(), Failure> {
        let wait = wait_until("envoy has its listeners", UPDATE_LIMIT, async || {
            let taken = self.counter("listener_manager.lds.update_success").await;
            let refused = self.counter("listener_manager.lds.update_rejected").await;
            taken.unwrap_or_default() + refused.unwrap_or_default() == self.updates
        });
        wait.await.map_err(|failure| self.process.failure(&failure.to_string()))
    }

    /// One of Envoy's counters; 0 when it has never counted.
    ///
    /// # Errors
    /// When the admin interface does not answer.
    pub async fn counter(&self, name: &str) -> Result<u64, Failure> {
        let target = format!("/stats?format=json&filter=^{name}$");
        let stats = self.admin.send(Request::get(&target)).await?.json();
        Ok(stats.pointer("/stats/0/value").and_then(Value::as_u64).unwrap_or_default())
    }

    /// All that it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }
}

async fn ready(admin_file: &Path) -> Option<Client> {
    let admin: SocketAddr = fs::read_to_string(admin_file).ok()?.trim().parse().ok()?;
    let client = Client::new(Protocol::Http1, admin);
    let answer = client.send(Request::get("/ready")).await.ok()?;
    (answer.status == 200).then_some(client)
}

fn address(listener: &Value) -> Option<(String, SocketAddr)> {
    let address = listener.pointer("/local_address/socket_address")?;
    let ip = address.get("address")?.as_str()?.parse().ok()?;
    let port = u16::try_from(address.get("port_value")?.as_u64()?).ok()?;
    Some((listener.get("name")?.as_str()?.to_owned(), SocketAddr::new(ip, port)))
}

fn config(clusters: &[Value], folder: &Path) -> Value {
    let listeners = folder.join("listeners.json");
    json!({
        "node": { "id": "gate", "cluster": "gate" },
        "admin": {
            "address": { "socket_address": { "address": "127.0.0.1", "port_value": 0 } }
        },
        "dynamic_resources": { "lds_config": {
            "path_config_source": { "path": listeners },
            "resource_api_version": "V3",
        } },
        "static_resources": { "clusters": clusters },
    })
}

fn listeners(version: u64, listeners: &[Value]) -> Value {
    json!({ "version_info": version.to_string(), "resources": listeners })
}

fn write(path: &Path, document: &Value) -> Result<(), Failure> {
    fs::write(path, document.to_string()).map_err(Failure::while_doing("writing a configuration"))
}

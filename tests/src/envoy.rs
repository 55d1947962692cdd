//! A real Envoy with the built filter.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::Process;
use crate::{
    Client, EnvoyConfig, Failure, Protocol, Request, envoy_program, wait_until, workspace_root,
};

/// Compiling the filter is most of it; two Envoys at a time on two cores.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How much the filter logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Each denial.
    Debug,
    /// What goes wrong.
    Warning,
}

impl LogLevel {
    fn of_the_filter(self) -> &'static str {
        match self {
            Self::Debug => "wasm:debug",
            Self::Warning => "wasm:warning",
        }
    }
}

/// How an Envoy is started.
struct Start<'a> {
    workers: u8,
    level: LogLevel,
    variables: &'a [(&'a str, &'a str)],
    /// What it has to take over from the process before it, if there is one, is found by this number;
    /// and how many processes there were before.
    line: Option<(u32, u32)>,
}

impl Default for Start<'_> {
    fn default() -> Self {
        // What the filter logs at any level must not hold a token.
        Self { workers: 2, level: LogLevel::Debug, variables: &[], line: None }
    }
}

/// A running Envoy, until it is dropped.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    gate: SocketAddr,
    admin: SocketAddr,
    _folder: TempDir,
}

impl Envoy {
    /// Starts Envoy and waits until it is ready.
    ///
    /// # Errors
    /// When it is missing, ends (a bad configuration), or is not ready within 30 s. The message
    /// holds the end of its log.
    pub async fn start(config: &EnvoyConfig) -> Result<Self, Failure> {
        Self::start_as(config, &Start::default()).await
    }

    /// The same, as an edge that has this credential in its environment.
    ///
    /// # Errors
    /// As [`Envoy::start`].
    pub async fn start_as_edge(config: &EnvoyConfig, credential: &str) -> Result<Self, Failure> {
        let variables = &[("POSTERN_EDGE", credential)];
        Self::start_as(config, &Start { variables, ..Start::default() }).await
    }

    /// The same, as the process of this number in a line of which each takes over from the one before
    /// (hot restart): that one serves its connections for a second and ends after three.
    ///
    /// # Errors
    /// As [`Envoy::start`].
    pub async fn start_in_line(
        config: &EnvoyConfig,
        credential: &str,
        number: u32,
    ) -> Result<Self, Failure> {
        let (variables, line) =
            (&[("POSTERN_EDGE", credential)], Some((std::process::id(), number)));
        Self::start_as(config, &Start { variables, line, ..Start::default() }).await
    }

    /// The same, with another number of worker threads than two.
    ///
    /// # Errors
    /// As [`Envoy::start`].
    pub async fn start_with_workers(config: &EnvoyConfig, workers: u8) -> Result<Self, Failure> {
        Self::start_as(config, &Start { workers, ..Start::default() }).await
    }

    /// The same, with another level for what the filter logs.
    ///
    /// # Errors
    /// As [`Envoy::start`].
    pub async fn start_logging(config: &EnvoyConfig, level: LogLevel) -> Result<Self, Failure> {
        Self::start_as(config, &Start { level, ..Start::default() }).await
    }

    async fn start_as(config: &EnvoyConfig, start: &Start<'_>) -> Result<Self, Failure> {
        let folder = TempDir::new().map_err(Failure::while_doing("a folder for Envoy"))?;
        let admin_file = folder.path().join("admin-address");
        let mut command = command(config, &folder)?;
        command.args(["--concurrency", &start.workers.to_string(), "--log-level", "warning"]);
        command.args(["--component-log-level", start.level.of_the_filter()]);
        command.arg("--admin-address-path").arg(&admin_file).envs(start.variables.iter().copied());
        match start.line {
            Some((id, number)) => {
                command.args(["--base-id", &id.to_string(), "--drain-time-s", "1"]);
                command.args(["--restart-epoch", &number.to_string()]);
                command.args(["--parent-shutdown-time-s", "3"]);
            }
            // Without hot restart there is no shared memory for which two Envoys could fight.
            None => {
                command.arg("--disable-hot-restart");
            }
        }
        let log = folder.path().join("envoy.log");
        let mut process = Process::start("envoy", &mut command, &log)?;
        let (gate, admin) = match ready(&mut process, &admin_file).await {
            Ok(addresses) => addresses,
            Err(failure) => return Err(process.failure(&failure.to_string())),
        };
        Ok(Self { process, gate, admin, _folder: folder })
    }

    /// Lets Envoy check a configuration without serving it; returns whether it accepts it, and
    /// what it said.
    ///
    /// # Errors
    /// When Envoy is missing.
    pub fn validate(config: &EnvoyConfig) -> Result<(bool, String), Failure> {
        let folder = TempDir::new().map_err(Failure::while_doing("a folder for Envoy"))?;
        let output = command(config, &folder)?
            .args(["--disable-hot-restart", "--mode", "validate"])
            .output()
            .map_err(Failure::while_doing("envoy --mode validate"))?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
    }

    /// A client of the gate.
    #[must_use]
    pub fn client(&self, protocol: Protocol) -> Client {
        Client::new(protocol, self.gate)
    }

    /// Where the gate listens.
    #[must_use]
    pub fn gate(&self) -> SocketAddr {
        self.gate
    }

    /// A client of the admin interface.
    #[must_use]
    pub fn admin(&self) -> Client {
        Client::new(Protocol::Http1, self.admin)
    }

    /// Its resident memory, in bytes.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resident_bytes(&self) -> Result<u64, Failure> {
        self.process.resident_bytes()
    }

    /// All that it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// How the process ended, when it has.
    pub fn ended(&mut self) -> Option<Failure> {
        self.process.ended().map(|status| self.process.failure(&format!("ended with {status}")))
    }
}

fn command(config: &EnvoyConfig, folder: &TempDir) -> Result<Command, Failure> {
    let published = workspace_root().join("envoy.yaml");
    let path = if std::fs::read_to_string(&published).is_ok_and(|text| text == config.text()) {
        published
    } else {
        let path = folder.path().join("envoy.yaml");
        std::fs::write(&path, config.text())
            .map_err(Failure::while_doing("writing a configuration"))?;
        path
    };
    let mut command = Command::new(envoy_program()?);
    command.current_dir(workspace_root()).arg("-c").arg(path);
    Ok(command)
}

async fn ready(
    process: &mut Process,
    admin_file: &PathBuf,
) -> Result<(SocketAddr, SocketAddr), Failure> {
    let deadline = std::time::Instant::now() + START_LIMIT;
    loop {
        if let Some(status) = process.ended() {
            return Err(Failure::new(format!("ended at its start with {status}")));
        }
        if let Some(addresses) = addresses(admin_file).await {
            return Ok(addresses);
        }
        if std::time::Instant::now() > deadline {
            return Err(Failure::new(format!("was not ready in {} s", START_LIMIT.as_secs())));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The gate's and the admin interface's address, once Envoy is live.
async fn addresses(admin_file: &PathBuf) -> Option<(SocketAddr, SocketAddr)> {
    let admin: SocketAddr = std::fs::read_to_string(admin_file).ok()?.trim().parse().ok()?;
    let client = Client::new(Protocol::Http1, admin);
    let ready = client.send(Request::get("/ready")).await.ok()?;
    if ready.status != 200 {
        return None;
    }
    let listeners = client.send(Request::get("/listeners?format=json")).await.ok()?.json();
    let port = listeners.pointer("/listener_statuses/0/local_address/socket_address/port_value")?;
    let port = port.as_u64().and_then(|port| u16::try_from(port).ok())?;
    Some((SocketAddr::from(([127, 0, 0, 1], port)), admin))
}

impl Envoy {
    /// Waits until a request through the gate is answered with `status`.
    ///
    /// # Errors
    /// When that does not happen within `limit`.
    pub async fn wait_for_status(
        &self,
        request: &Request,
        status: u16,
        limit: Duration,
    ) -> Result<(), Failure> {
        let client = self.client(Protocol::Http1);
        wait_until(&format!("{status} for {}", request.target), limit, || async {
            client.send(request.clone()).await.is_ok_and(|answer| answer.status == status)
        })
        .await
    }

    /// Waits until one of Envoy's counters or gauges is at `value`. The filter tells them every second.
    ///
    /// # Errors
    /// When it is not within 10 s; the message says where it is then.
    pub async fn wait_for_counter(&self, name: &str, value: u64) -> Result<(), Failure> {
        let is_there = async || self.counter(name).await.is_ok_and(|now| now == value);
        let waited = wait_until(name, Duration::from_secs(10), is_there).await;
        if waited.is_err() {
            let now = self.counter(name).await?;
            return Err(Failure::new(format!("`{name}` is {now}, not {value}")));
        }
        Ok(())
    }

    /// One of Envoy's counters or gauges; 0 when it has never counted.
    ///
    /// # Errors
    /// When the admin interface does not answer.
    pub async fn counter(&self, name: &str) -> Result<u64, Failure> {
        let target = format!("/stats?format=json&filter=^{name}$");
        let stats = self.admin().send(Request::get(&target)).await?.json();
        Ok(stats.pointer("/stats/0/value").and_then(Value::as_u64).unwrap_or_default())
    }
}

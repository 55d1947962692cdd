//! The built Worker in a real workerd, as a process of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::Process;
use crate::{Client, Failure, Protocol, wait_until, workspace_root};

const START_LIMIT: Duration = Duration::from_secs(10);

/// The kinds of modules that the Worker is made of, in the words of workerd's configuration.
const KINDS: [(&str, &str); 4] =
    [("mjs", "esModule"), ("js", "esModule"), ("wasm", "wasm"), ("json", "text")];

/// A running workerd; it ends when this is dropped.
#[derive(Debug)]
pub struct Worker {
    process: Process,
    port: u16,
    _folder: TempDir,
}

impl Worker {
    /// Starts it on a port, with a policy and one origin for all requests.
    ///
    /// # Errors
    /// When the Worker has not been built, workerd is missing, or it does not listen within 10 s.
    pub async fn start(port: u16, policy: &Value, origin: &str) -> Result<Self, Failure> {
        let origins = json!([{ "origin": origin }]);
        Self::start_with(&Setting { port, policy, origins, ways: None, secrets: &[] }).await
    }

    /// The same, but all that it fetches goes to `issuer`, whatever URL it has, and requests go to
    /// `upstream`; `secrets` are more texts that are bound to names.
    ///
    /// # Errors
    /// As [`Worker::start`].
    pub async fn start_between(
        port: u16,
        policy: &Value,
        (issuer, upstream): (SocketAddr, SocketAddr),
        secrets: &[(&str, String)],
    ) -> Result<Self, Failure> {
        let origins = json!([{ "service": "UPSTREAM" }]);
        let ways = Some((issuer, upstream));
        Self::start_with(&Setting { port, policy, origins, ways, secrets }).await
    }

    async fn start_with(setting: &Setting<'_>) -> Result<Self, Failure> {
        let port = setting.port;
        let failed = || Failure::while_doing("a folder for workerd");
        let folder = TempDir::new().map_err(failed())?;
        let modules = modules(&built(), folder.path(), "")?;
        let config = configuration(setting, &modules);
        let file = folder.path().join("config.capnp");
        std::fs::write(&file, config).map_err(failed())?;
        let mut command = Command::new(program()?);
        command.arg("serve").arg(&file);
        let log = folder.path().join("workerd.log");
        let process = Process::start("workerd", &mut command, &log)?;
        let mut worker = Self { process, port, _folder: folder };
        worker.wait_until_it_listens().await?;
        Ok(worker)
    }

    /// A client of it.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(Protocol::Http1, SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)))
    }

    /// Ends it without a chance to finish anything.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// A failure that shows the end of its log, when it has ended.
    pub fn ended(&mut self) -> Option<Failure> {
        self.process.ended().map(|_| self.process.failure("has ended"))
    }

    async fn wait_until_it_listens(&mut self) -> Result<(), Failure> {
        let port = self.port;
        let listening = wait_until("workerd", START_LIMIT, || async move {
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()
        });
        listening.await.map_err(|_| self.process.failure("did not start"))
    }
}

/// The Worker that was built: `POSTERN_WORKER`, or the one in `dist/`.
fn built() -> PathBuf {
    let place = std::env::var_os("POSTERN_WORKER");
    place.map_or_else(|| workspace_root().join("dist/worker"), PathBuf::from)
}

/// workerd itself, as npm's wrangler brings it for this machine.
fn program() -> Result<PathBuf, Failure> {
    let tools = std::env::var_os("POSTERN_WORKER_TOOLS");
    let tools = tools.map_or_else(|| workspace_root().join(".tools/worker"), PathBuf::from);
    let script = "process.stdout.write(require(process.argv[1]).default)";
    let mut node = Command::new("node");
    node.args(["--eval", script]).arg(tools.join("node_modules/workerd"));
    let output = node.output().map_err(Failure::while_doing("node"))?;
    let place = PathBuf::from(String::from_utf8_lossy(&output.stdout).into_owned());
    if place.is_file() {
        Ok(place)
    } else {
        Err(Failure::new("workerd is missing (cargo xtask setup)"))
    }
}

/// What one Worker is started with.
struct Setting<'a> {
    port: u16,
    policy: &'a Value,
    origins: Value,
    /// Where everything that it fetches goes, and where the service `UPSTREAM` is.
    ways: Option<(SocketAddr, SocketAddr)>,
    secrets: &'a [(&'a str, String)],
}

/// What wrangler would tell workerd of `wrangler.toml`, with this policy and origin.
fn configuration(setting: &Setting<'_>, modules: &[String]) -> String {
    let own = [
        ("POSTERN_POLICY_FROM", "vars".to_owned()),
        ("POSTERN_POLICY", setting.policy.to_string()),
        ("POSTERN_ORIGINS", setting.origins.to_string()),
    ];
    let texts = own.iter().chain(setting.secrets);
    let mut bindings: Vec<String> =
        texts.map(|(name, value)| format!("(name = {name:?}, text = {value:?})")).collect();
    let ways = setting.ways.map(|(issuer, upstream)| [("issuer", issuer), ("upstream", upstream)]);
    let service = |(name, address): (&str, SocketAddr)| {
        format!("    (name = {name:?}, external = (address = \"{address}\", http = ())),\n")
    };
    let services: String = ways.into_iter().flatten().map(service).collect();
    if ways.is_some() {
        bindings.push("(name = \"UPSTREAM\", service = \"upstream\")".to_owned());
    }
    let outbound = if ways.is_some() { "issuer" } else { "internet" };
    format!(
        r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "gate", worker = .gate),
    (name = "internet", network = (allow = ["public", "private"])),
{services}  ],
  sockets = [(name = "http", address = "127.0.0.1:{}", http = (), service = "gate")],
);
const gate :Workerd.Worker = (
  modules = [{}],
  compatibilityDate = "2026-04-01",
  compatibilityFlags = ["nodejs_compat"],
  globalOutbound = "{outbound}",
  bindings = [{}],
);
"#,
        setting.port,
        modules.join(", "),
        bindings.join(", ")
    )
}

/// Copies all modules of the Worker beside the configuration, which names them; its entry comes first,
/// as workerd wants it.
fn modules(from: &Path, to: &Path, under: &str) -> Result<Vec<String>, Failure> {
    let missing = |_| Failure::new("dist/worker is missing (cargo xtask build)");
    let mut modules = Vec::new();
    for entry in std::fs::read_dir(from).map_err(missing)? {
        let path = entry.map_err(missing)?.path();
        let name = format!("{under}{}", path.file_name().unwrap_or_default().display());
        if path.is_dir() {
            std::fs::create_dir_all(to.join(&name)).map_err(missing)?;
            modules.extend(self::modules(&path, to, &format!("{name}/"))?);
            continue;
        }
        let extension = path.extension().and_then(|extension| extension.to_str());
        let Some((_, kind)) = KINDS.iter().find(|(known, _)| extension == Some(*known)) else {
            continue;
        };
        std::fs::copy(&path, to.join(&name)).map_err(missing)?;
        let place = if name == "index.mjs" { 0 } else { modules.len() };
        modules.insert(place, format!("(name = {name:?}, {kind} = embed {name:?})"));
    }
    Ok(modules)
}

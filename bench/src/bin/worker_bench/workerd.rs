//! A real workerd with one of the Workers.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use postern_bench::traffic::cores;
use serde_json::Value;
use tempfile::TempDir;

use crate::workers::Worker;

/// What the Workers rely on, as in `wrangler.toml`.
const COMPATIBILITY: &str =
    r#"compatibilityDate = "2026-04-01", compatibilityFlags = ["nodejs_compat"]"#;

/// Where a Worker's `fetch` ends.
pub(crate) enum Outbound {
    /// A server.
    Network(SocketAddr),
    /// A Worker in the same process.
    Inside(Worker),
}

/// A running workerd, until it is dropped.
pub(crate) struct Workerd {
    child: Child,
    pub(crate) address: SocketAddr,
    _folder: TempDir,
}

impl Workerd {
    /// On the one core that is the server's.
    pub(crate) fn start_pinned(
        program: &Path,
        worker: &Worker,
        outbound: &Outbound,
        cache: &Worker,
    ) -> Result<Self> {
        let folder = TempDir::new()?;
        let config = folder.path().join("config.capnp");
        fs::write(&config, configuration(folder.path(), worker, outbound, cache)?)?;
        cores::on_core(cores::SERVER, move || {
            let mut command = Command::new(program);
            command.args(["serve", "--control-fd=1"]).arg(&config);
            command.stdin(Stdio::null()).stdout(Stdio::piped());
            let child =
                command.spawn().with_context(|| format!("starting {}", program.display()))?;
            // From here on it is ended when something fails.
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let mut workerd = Self { child, address, _folder: folder };
            let port = workerd.port().with_context(|| format!("workerd with `{}`", worker.name))?;
            workerd.address.set_port(port);
            Ok(workerd)
        })
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// From its first message: `{"event":"listen","socket":"http","port":1234}`.
    fn port(&mut self) -> Result<u16> {
        let output = self.child.stdout.take().context("it has no output")?;
        for line in BufReader::new(output).lines() {
            let message: Value = serde_json::from_str(&line?)?;
            if let Some(port) = message.get("port").and_then(Value::as_u64) {
                return Ok(u16::try_from(port)?);
            }
        }
        bail!("it ended before it listened");
    }
}

impl Drop for Workerd {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The text, which embeds copies of the modules in the folder.
fn configuration(
    folder: &Path,
    worker: &Worker,
    outbound: &Outbound,
    cache: &Worker,
) -> Result<String> {
    let main = service(folder, "main", worker)?;
    let outbound = match outbound {
        Outbound::Network(address) => {
            format!(r#"(name = "origin", external = (address = "{address}", http = ()))"#)
        }
        Outbound::Inside(worker) => service(folder, "origin", worker)?,
    };
    let cache = service(folder, "cache", cache)?;
    Ok(format!(
        "using Workerd = import \"/workerd/workerd.capnp\";\n\
         const config :Workerd.Config = (\n\
           services = [\n{main},\n{outbound},\n{cache}\n],\n\
           sockets = [(name = \"http\", address = \"127.0.0.1:0\", http = (), service = \"main\")]\n\
         );\n"
    ))
}

/// A Worker whose `fetch` goes to `origin`, whichever the host.
fn service(folder: &Path, name: &str, worker: &Worker) -> Result<String> {
    fs::create_dir(folder.join(name))?;
    let mut modules = String::new();
    for path in &worker.modules {
        let file = path.file_name().and_then(|file| file.to_str()).context("not a file name")?;
        fs::copy(path, folder.join(name).join(file))
            .with_context(|| format!("copying {}", path.display()))?;
        let kind =
            if path.extension().is_some_and(|known| known == "wasm") { "wasm" } else { "esModule" };
        writeln!(modules, "(name = \"{file}\", {kind} = embed \"{name}/{file}\"),")?;
    }
    let mut bindings = String::new();
    for (binding, text) in &worker.bindings {
        writeln!(bindings, "(name = \"{binding}\", text = {}),", quoted(text))?;
    }
    Ok(format!(
        "(name = \"{name}\", worker = (modules = [{modules}], bindings = [{bindings}], \
         {COMPATIBILITY}, globalOutbound = \"origin\", cacheApiOutbound = \"cache\"))"
    ))
}

/// A string of Cap'n Proto's text format. JSON's escapes for what our texts have are the same.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

//! A Lambda function: the built program under Amazon's Runtime Interface Emulator, or under the
//! runtime of cargo-lambda.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::issuer::free_port;
use crate::process::Process;
use crate::{Client, Failure, Protocol, Request, aws_tool, lambda_program, workspace_root};

const START_LIMIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);
/// What each emulator calls the function: Amazon's has but one, cargo-lambda takes the name of a
/// program of the workspace.
const FUNCTION: &str = "function";
const PROGRAM: &str = "postern-lambda";

/// A function that is started by its first event, as in Lambda.
#[derive(Debug)]
pub struct LambdaFunction {
    client: Client,
    emulator: Process,
    name: &'static str,
    // The function itself, where the emulator does not start it.
    function: Option<Process>,
}

impl LambdaFunction {
    /// The built program in the role that `handler` names, with these variables and no others. Its log
    /// goes into `folder`.
    ///
    /// # Errors
    /// When the program does not build, or the emulator is missing or does not listen.
    pub async fn start(
        folder: &Path,
        handler: &str,
        variables: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<str>)>,
    ) -> Result<Self, Failure> {
        let [port, runtime_port] = two_ports()?;
        let mut command = Command::new(emulator_program()?);
        // By itself it listens on every interface.
        command.args(["--runtime-interface-emulator-address", &format!("127.0.0.1:{port}")]);
        command.args(["--runtime-api-address", &format!("127.0.0.1:{runtime_port}")]);
        command.arg(lambda_program()?).arg(handler);
        command.env_clear().env("AWS_LAMBDA_FUNCTION_NAME", PROGRAM);
        for (name, value) in variables {
            command.env(name.as_ref(), value.as_ref());
        }
        let log = folder.join(format!("lambda-{handler}.log"));
        let emulator = Process::start("the Lambda emulator", &mut command, &log)?;
        Self::listening(emulator, port, FUNCTION).await
    }

    /// The same under cargo-lambda: its runtime, and the program beside it.
    ///
    /// # Errors
    /// As [`LambdaFunction::start`].
    pub async fn start_with_cargo_lambda(
        folder: &Path,
        handler: &str,
        variables: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<str>)>,
    ) -> Result<Self, Failure> {
        let port = free_port()?;
        let mut command = Command::new(aws_tool("cargo-lambda")?);
        command.current_dir(workspace_root()).args(["lambda", "watch", "--only-lambda-apis"]);
        command.args(["--invoke-address", "127.0.0.1", "--invoke-port", &port.to_string()]);
        let log = folder.join("cargo-lambda.log");
        let emulator = Process::start("cargo-lambda", &mut command, &log)?;
        let mut started = Self::listening(emulator, port, PROGRAM).await?;
        let mut command = Command::new(lambda_program()?);
        command.env_clear().env("_HANDLER", handler).env("AWS_LAMBDA_FUNCTION_NAME", PROGRAM);
        command.env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST");
        command.env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024");
        command.env("AWS_LAMBDA_RUNTIME_API", format!("http://127.0.0.1:{port}/.rt/{PROGRAM}"));
        for (name, value) in variables {
            command.env(name.as_ref(), value.as_ref());
        }
        let log = folder.join(format!("lambda-{handler}.log"));
        started.function = Some(Process::start("the function", &mut command, &log)?);
        Ok(started)
    }

    async fn listening(
        mut emulator: Process,
        port: u16,
        name: &'static str,
    ) -> Result<Self, Failure> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let deadline = Instant::now() + START_LIMIT;
        while tokio::net::TcpStream::connect(address).await.is_err() {
            if let Some(status) = emulator.ended() {
                return Err(emulator.failure(&format!("ended at its start with {status}")));
            }
            if Instant::now() > deadline {
                return Err(emulator.failure("does not listen"));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(Self { client: Client::new(Protocol::Http1, address), emulator, name, function: None })
    }

    /// What the function answers to an event: its value, or an object with its `errorMessage`.
    ///
    /// # Errors
    /// When the emulator gives no answer that is JSON.
    pub async fn invoke(&self, event: &Value) -> Result<Value, Failure> {
        let target = format!("/2015-03-31/functions/{}/invocations", self.name);
        let answer = self.client.send(Request::post(&target, event)).await?;
        serde_json::from_str(&answer.body)
            .map_err(|_| self.emulator.failure(&format!("answered `{}`", answer.body)))
    }

    /// All that the function and the emulator have logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.emulator.log()
    }
}

/// Amazon's emulator, which comes with its command line for serverless applications.
fn emulator_program() -> Result<PathBuf, Failure> {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    let name = format!("samcli/local/rapid/aws-lambda-rie-{architecture}");
    let python = aws_tool("python")?;
    let environment = python.parent().and_then(Path::parent).unwrap_or(Path::new("."));
    let libraries = std::fs::read_dir(environment.join("lib")).into_iter().flatten().flatten();
    libraries
        .map(|library| library.path().join("site-packages").join(&name))
        .find(|program| program.is_file())
        .ok_or_else(|| Failure::new(format!("not run: `{name}` is missing (cargo xtask setup)")))
}

fn two_ports() -> Result<[u16; 2], Failure> {
    let first = free_port()?;
    let taken = TcpListener::bind(("127.0.0.1", first)).map_err(Failure::while_doing("a port"))?;
    let second = free_port()?;
    drop(taken);
    Ok([first, second])
}

//! `MiniStack`: an emulator of AWS, as a process of its own.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::issuer::free_port;
use crate::process::Process;
use crate::{Client, Failure, Protocol, Request, aws_tool};

const START_LIMIT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);

/// An emulator that keeps everything in its memory, until it is dropped.
#[derive(Debug)]
pub struct MiniStack {
    folder: TempDir,
    port: u16,
    server: Option<Process>,
}

impl MiniStack {
    /// Starts one on a free port of the loopback interface and waits until it is ready.
    ///
    /// # Errors
    /// When it is not installed, ends, or is not ready within 20 s.
    pub async fn start() -> Result<Self, Failure> {
        let folder = TempDir::new().map_err(Failure::while_doing("a folder for MiniStack"))?;
        let mut stack = Self { folder, port: free_port()?, server: None };
        stack.restart().await?;
        Ok(stack)
    }

    /// Starts it again, on the same port, with nothing in it.
    ///
    /// # Errors
    /// As [`MiniStack::start`].
    pub async fn restart(&mut self) -> Result<(), Failure> {
        self.kill();
        let folder = self.folder.path();
        let mut command = Command::new(aws_tool("ministack")?);
        command.current_dir(folder).env("TMPDIR", folder).env("HOME", folder);
        command.env("GATEWAY_PORT", self.port.to_string()).env("BIND_HOST", "127.0.0.1");
        command.env("SFTP_ENABLED", "0").env("IOT_MTLS_ENABLED", "0");
        let log = folder.join("ministack.log");
        let mut server = Process::start("MiniStack", &mut command, &log)?;
        let client = Client::new(Protocol::Http1, self.address());
        let deadline = Instant::now() + START_LIMIT;
        let ask = || client.send(Request::get("/_ministack/health"));
        while !ask().await.is_ok_and(|answer| answer.status == 200) {
            if let Some(status) = server.ended() {
                return Err(server.failure(&format!("ended at its start with {status}")));
            }
            if Instant::now() > deadline {
                return Err(server.failure("was not ready in 20 s"));
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.server = Some(server);
        Ok(())
    }

    /// Ends it with SIGKILL: what was in it is gone.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill();
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The endpoint of all of its services.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The environment that leads AWS's SDKs to it, and nowhere else.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 6] {
        [
            ("AWS_ENDPOINT_URL_DYNAMODB", self.url()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", self.url()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
    }
}

/// It has nothing to finish.
impl Drop for MiniStack {
    fn drop(&mut self) {
        self.kill();
    }
}

//! moto: an emulator of AWS that keeps secrets, labels and all, and rotates them.

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::Process;
use crate::{Failure, aws_tool, wait_until, workspace_root};

const START_LIMIT: Duration = Duration::from_secs(20);

/// What the server prints before its URL.
const URL_FOLLOWS: &str = "Running on ";

/// A running moto, empty at its start.
#[derive(Debug)]
pub struct Moto {
    url: String,
    _process: Process,
    _folder: TempDir,
}

impl Moto {
    /// Starts it on a free port of the loopback interface. The steps of a rotation are posted to
    /// `function_url`.
    ///
    /// # Errors
    /// When it is not installed, ends or does not listen within 20 s.
    pub async fn start(function_url: &str) -> Result<Self, Failure> {
        let folder = TempDir::new().map_err(Failure::while_doing("a folder for moto"))?;
        let mut command = Command::new(aws_tool("python")?);
        command.arg(workspace_root().join("tests/aws/moto_rotation.py"));
        command.args(["-H", "127.0.0.1", "-p", "0"]).env("PYTHONUNBUFFERED", "1");
        // Whatever account the user has, moto has none to do with.
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command.env("POSTERN_ROTATION_URL", function_url);
        let log = folder.path().join("moto.log");
        let mut process = Process::start("moto", &mut command, &log)?;
        let said = wait_until("moto's URL", START_LIMIT, || {
            let settled = url_in(&process.log()).is_some() || process.ended().is_some();
            async move { settled }
        });
        said.await?;
        let url = url_in(&process.log()).ok_or_else(|| process.failure("did not start"))?;
        Ok(Self { url, _process: process, _folder: folder })
    }

    /// The endpoint of all its services, such as `http://127.0.0.1:40123`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

fn url_in(log: &str) -> Option<String> {
    let (_, rest) = log.split_once(URL_FOLLOWS)?;
    let (url, _) = rest.split_once('\n')?;
    Some(url.trim().to_owned())
}

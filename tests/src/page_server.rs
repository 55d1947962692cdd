//! The server of the browser example, as a user starts it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::process::Process;
use crate::{Failure, wait_until, workspace_root};

const START_LIMIT: Duration = Duration::from_secs(10);

/// A running `npm/example/serve.mjs` on a port of its own.
#[derive(Debug)]
pub struct PageServer {
    origin: String,
    _process: Process,
}

impl PageServer {
    /// Starts it with the npm package in `package`; its log goes to `folder`.
    ///
    /// # Errors
    /// When it ends or says no URL within 10 s. The message holds the end of its log.
    pub async fn start(package: &Path, folder: &Path) -> Result<Self, Failure> {
        let mut command = Command::new("node");
        command.arg(workspace_root().join("npm/example/serve.mjs"));
        command.args(["--port", "0", "--package"]).arg(package);
        let log = folder.join("pages.log");
        let mut process = Process::start("the page server", &mut command, &log)?;
        let said = wait_until("the page server's URL", START_LIMIT, || {
            let settled = process.log().ends_with('\n') || process.ended().is_some();
            async move { settled }
        });
        said.await?;
        let origin = process.log().trim().to_owned();
        if process.ended().is_some() || !origin.starts_with("http://") {
            return Err(process.failure("did not start"));
        }
        Ok(Self { origin, _process: process })
    }

    /// Where its pages come from, such as `http://localhost:8300`.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

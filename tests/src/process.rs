//! A program that we started, and that ends with us.

use std::fs::File;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Failure;

/// How long a program may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

/// How often something is looked at that is waited for.
const PAUSE: Duration = Duration::from_millis(20);

/// A running program whose output goes to a file.
#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; its output is appended to `log`.
    pub(crate) fn start(
        name: &'static str,
        command: &mut Command,
        log: &Path,
    ) -> Result<Self, Failure> {
        let open = || File::options().create(true).append(true).open(log);
        let file = open().map_err(Failure::while_doing("opening a log"))?;
        let copy = file.try_clone().map_err(Failure::while_doing("opening a log"))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(copy)
            .spawn()
            .map_err(Failure::while_doing(name))?;
        Ok(Self { name, child, log: log.to_owned() })
    }

    /// A failure that shows the end of the program's log.
    pub(crate) fn failure(&self, what: &str) -> Failure {
        Failure::new(format!("{} {what}; its log ends:\n{}", self.name, self.tail()))
    }

    /// How the program ended, when it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The resident memory of the program, in bytes.
    pub(crate) fn resident_bytes(&self) -> Result<u64, Failure> {
        let file = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(file).map_err(Failure::while_doing(self.name))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        let unread = || Failure::new(format!("{} has no `VmRSS`", self.name));
        kibibytes.map(|kibibytes| kibibytes * 1024).ok_or_else(unread)
    }

    /// Ends the program without a chance to clean up.
    pub(crate) fn kill(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks the program to end, and ends it when it does not.
    pub(crate) fn stop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let (None, Some(pid)) = (self.ended(), pid) {
            let _ = kill_process(pid, Signal::TERM);
            let deadline = Instant::now() + GRACE;
            while self.ended().is_none() && Instant::now() < deadline {
                std::thread::sleep(PAUSE);
            }
        }
        self.kill();
    }

    pub(crate) fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let last: Vec<&str> = lines.iter().rev().take(25).rev().copied().collect();
        format!("  {}", last.join("\n  "))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Asks again and again until the answer is yes.
///
/// # Errors
/// When `limit` has passed; it then says `what` was waited for.
pub async fn wait_until<F: Future<Output = bool>>(
    what: &str,
    limit: Duration,
    mut ask: impl FnMut() -> F,
) -> Result<(), Failure> {
    let deadline = Instant::now() + limit;
    while !ask().await {
        if Instant::now() > deadline {
            return Err(Failure::new(format!("{what}: not within {} s", limit.as_secs())));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

//! The wall clock of a program under test: set by hand, or going wrong.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;

use crate::{Failure, clock_library};

/// A clock that stands until it is set; see the package `postern-clock`.
#[derive(Debug)]
pub struct SetClock {
    library: PathBuf,
    file: File,
    now: watch::Sender<Duration>,
    folder: TempDir,
}

impl SetClock {
    /// A clock that shows `now`, counted from the Unix epoch.
    ///
    /// # Errors
    /// When its library cannot be built, or its file cannot be written.
    pub fn new(now: Duration) -> Result<Self, Failure> {
        let failed = || Failure::while_doing("a clock");
        let folder = TempDir::new().map_err(failed())?;
        let file = File::create(folder.path().join("clock")).map_err(failed())?;
        let (sender, _) = watch::channel(now);
        let clock = Self { library: clock_library()?, file, now: sender, folder };
        clock.set(now)?;
        Ok(clock)
    }

    /// Shows another time, to whoever looks from here on.
    ///
    /// # Errors
    /// When its file cannot be written.
    pub fn set(&self, now: Duration) -> Result<(), Failure> {
        let nanoseconds = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let written = self.file.write_all_at(&nanoseconds.to_le_bytes(), 0);
        written.map_err(Failure::while_doing("setting a clock"))?;
        self.now.send_replace(now);
        Ok(())
    }

    /// What it shows, and a sign whenever that changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Duration> {
        self.now.subscribe()
    }

    /// Makes a program that is to be started go by it.
    pub(crate) fn rule(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library);
        command.env("POSTERN_CLOCK_FILE", self.folder.path().join("clock"));
    }
}

/// A clock that goes, and shows another time than ours; see the package `postern-clock`.
#[derive(Debug)]
pub struct ShiftedClock {
    library: PathBuf,
    file: File,
    folder: TempDir,
}

impl ShiftedClock {
    /// A clock that is right at first.
    ///
    /// # Errors
    /// When its library cannot be built, or its file cannot be written.
    pub fn new() -> Result<Self, Failure> {
        let failed = || Failure::while_doing("a clock");
        let folder = TempDir::new().map_err(failed())?;
        let file = File::create(folder.path().join("shift")).map_err(failed())?;
        let clock = Self { library: clock_library()?, file, folder };
        clock.put_forward(0)?;
        Ok(clock)
    }

    /// Puts it so many seconds before ours, or behind it where they are negative.
    ///
    /// # Errors
    /// When its file cannot be written.
    pub fn put_forward(&self, seconds: i64) -> Result<(), Failure> {
        let nanoseconds = seconds.saturating_mul(1_000_000_000);
        let written = self.file.write_all_at(&nanoseconds.to_le_bytes(), 0);
        written.map_err(Failure::while_doing("setting a clock"))
    }

    /// Makes a program that is to be started go by it.
    pub(crate) fn rule(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library);
        command.env("POSTERN_CLOCK_SHIFT_FILE", self.folder.path().join("shift"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::since_epoch;

    #[test]
    fn a_shifted_clock_goes_on_from_where_it_was_put() {
        let clock = ShiftedClock::new().unwrap();
        let shown = || {
            let mut command = Command::new("date");
            clock.rule(command.arg("+%s"));
            let output = command.output().unwrap();
            String::from_utf8_lossy(&output.stdout).trim().parse::<u64>().unwrap()
        };
        for (shift, least) in [(0, 0), (60, 60), (-60, -60)] {
            clock.put_forward(shift).unwrap();
            let before = since_epoch().as_secs().checked_add_signed(least).unwrap();
            assert!((before..before + 10).contains(&shown()), "{shift}");
        }
    }
}

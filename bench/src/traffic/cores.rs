//! Who runs on which core, and how much time it takes there.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use rustix::thread::{CpuSet, sched_setaffinity};

/// The core of the server that is measured.
pub const SERVER: usize = 0;
/// The core of the load.
pub const LOAD: usize = 1;

/// Does some work on one core. A program that it starts stays there.
///
/// # Errors
/// When there is no such core, and those of the work.
pub fn on_core<T: Send>(core: usize, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            let mut set = CpuSet::new();
            set.set(core);
            sched_setaffinity(None, &set).with_context(|| format!("there is no core {core}"))?;
            work()
        });
        thread.join().map_err(|_| anyhow!("measuring panicked"))?
    })
}

/// The time that a process has spent on a core so far, in user and in system mode.
///
/// That of `utime` and `stime` in `/proc/PID/stat`, but in nanoseconds instead of ticks of 10 ms.
/// The time of threads that have ended is not in it.
///
/// # Errors
/// When the process has ended, or the kernel does not count.
pub fn cpu_time(process: u32) -> Result<Duration> {
    let mut total = 0_u64;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        let running = text.split(' ').next().and_then(|word| word.parse::<u64>().ok());
        total += running.context("schedstat is not as expected")?;
    }
    ensure!(total > 0, "this kernel counts no run time in /proc/PID/task/TID/schedstat");
    Ok(Duration::from_nanos(total))
}

/// The memory of a process that is resident, in bytes.
///
/// # Errors
/// When the process has ended.
pub fn resident_bytes(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes =
        line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    Ok(kibibytes.context("no VmRSS")? * 1024)
}

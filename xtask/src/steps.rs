//! Running a program as a step that says what it does, and how long it took.

use std::fmt;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Why a command of ours ends early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line is wrong: exit code 2, with the usage.
    Usage(String),
    /// A step failed: exit code 1.
    Failed(String),
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Usage(message) | Self::Failed(message)) = self;
        formatter.write_str(message)
    }
}

/// Prints a heading, does the work, and prints how long it took.
pub(crate) fn step<T>(
    heading: &str,
    work: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    eprintln!("{}", bold(&format!("==> {heading}")));
    let start = Instant::now();
    let outcome = work();
    let result = if outcome.is_ok() { "done" } else { "failed" };
    eprintln!("    {result} in {}\n", seconds(start.elapsed()));
    outcome
}

/// Runs a program to its end; its output is the user's.
pub(crate) fn execute(command: &mut Command) -> Result<(), Failure> {
    let status = command.status().map_err(|error| cannot_start(command, &error))?;
    if status.success() { Ok(()) } else { Err(ended(command, status)) }
}

/// Runs a program to its end and returns what it wrote to standard output.
pub(crate) fn read_stdout(command: &mut Command) -> Result<String, Failure> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| cannot_start(command, &error))?;
    if !output.status.success() {
        return Err(ended(command, output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What a program said, and whether it succeeded.
pub(crate) struct Transcript {
    pub(crate) text: String,
    pub(crate) outcome: Result<(), Failure>,
}

/// Which of a program's two streams carries its summary.
#[derive(Clone, Copy)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// Runs a program, shows one of its streams line by line and keeps a copy of it.
pub(crate) fn tee(command: &mut Command, stream: Stream) -> Result<Transcript, Failure> {
    match stream {
        Stream::Stdout => command.stdout(Stdio::piped()),
        Stream::Stderr => command.stderr(Stdio::piped()),
    };
    let mut child = command.spawn().map_err(|error| cannot_start(command, &error))?;
    let mut text = String::new();
    if let Some(output) = child.stdout.take() {
        copy_lines(output, &mut text);
    }
    if let Some(output) = child.stderr.take() {
        copy_lines(output, &mut text);
    }
    let status = child.wait().map_err(|error| cannot_start(command, &error))?;
    let outcome = if status.success() { Ok(()) } else { Err(ended(command, status)) };
    Ok(Transcript { text, outcome })
}

fn copy_lines(from: impl std::io::Read, text: &mut String) {
    let mut reader = BufReader::new(from);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        // A closed terminal must not stop the tests half way.
        let _ = std::io::stderr().write_all(&line);
        text.push_str(&String::from_utf8_lossy(&line));
        line.clear();
    }
}

fn cannot_start(command: &Command, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot start `{}`: {error}", command.get_program().display()))
}

fn ended(command: &Command, status: std::process::ExitStatus) -> Failure {
    Failure::new(format!("`{}` ended with {status}", line(command)))
}

fn line(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program()).to_string_lossy();
    let mut words = vec![name];
    words.extend(command.get_args().map(std::ffi::OsStr::to_string_lossy));
    words.join(" ")
}

pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// Whether people read our messages in a terminal that may be coloured.
pub(crate) fn coloured() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

pub(crate) fn bold(text: &str) -> String {
    if coloured() { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
}

//! `postern policy`: what can be done with a policy and no data.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
    process::ExitCode,
};

use postern_verify::Policy;

use crate::{
    arguments::{ImportPolicy, PolicyCommand},
    command::{Outcome, print},
    policy_import::{self, MAX_INPUT_BYTES},
};

/// The exit code of an import that left something out.
const LEFT_OUT: u8 = 3;

/// Runs one command to its end.
pub(crate) fn run(command: PolicyCommand) -> Outcome<ExitCode> {
    match command {
        PolicyCommand::Check { file } => check(&file),
        PolicyCommand::Schema => schema(),
        PolicyCommand::Import(import) => run_import(&import),
    }
}

fn check(file: &Path) -> Outcome<ExitCode> {
    let name = file.display();
    let policy =
        Policy::parse(read(file)?.as_bytes()).map_err(|error| format!("{name}: {error}"))?;
    let providers = count(policy.provider_names().count(), "provider");
    let rules = count(policy.rule_names().count(), "rule");
    print(&format!("{name}: the policy is valid: {providers}, {rules}\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn schema() -> Outcome<ExitCode> {
    print(&format!("{:#}\n", Policy::json_schema()))?;
    Ok(ExitCode::SUCCESS)
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

fn run_import(arguments: &ImportPolicy) -> Outcome<ExitCode> {
    let text = read(&arguments.file)?;
    let import = policy_import::import(&text, arguments.filter, &read_bounded)
        .map_err(|error| format!("{}: {error}", arguments.file.display()))?;
    print(&format!("{:#}\n", import.policy))?;
    // Not `eprint!`, which panics when the reader has gone.
    let _ = write!(io::stderr(), "{}", import.notes);
    let complete = import.notes.is_complete();
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::from(LEFT_OUT) })
}

/// The text of a file, or of standard input where it is `-`.
pub(crate) fn read(file: &Path) -> Outcome<String> {
    let text =
        if file == Path::new("-") { read_text(io::stdin().lock()) } else { read_bounded(file) };
    Ok(text.map_err(|error| format!("cannot read `{}`: {error}", file.display()))?)
}

fn read_bounded(file: &Path) -> io::Result<String> {
    read_text(File::open(file)?)
}

fn read_text(source: impl Read) -> io::Result<String> {
    let most = u64::try_from(MAX_INPUT_BYTES).unwrap_or(u64::MAX);
    let mut text = String::new();
    // One byte more, so that too long a text is told from one of the greatest length.
    source.take(most.saturating_add(1)).read_to_string(&mut text)?;
    if text.len() > MAX_INPUT_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than 16 MiB"));
    }
    Ok(text)
}

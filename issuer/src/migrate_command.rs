//! `postern migrate`: moving in from another system.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use postern_issuer::{ImportMode, Migration, MigrationReport, Ports, TableMembers, Tally};
use zeroize::Zeroizing;

use crate::{
    arguments::Migrate,
    command::{Outcome, print},
};

/// The exit code of a migration that left something out.
const LEFT_OUT: u8 = 3;
const MIB: u64 = 1024 * 1024;
/// Files are read one after the other; a million users take some 200 MiB.
const FILE_MAX_BYTES: u64 = 512 * MIB;
const STANDARD_INPUT_MAX_BYTES: u64 = 64 * MIB;

/// Runs the command to its end.
pub(crate) async fn run(ports: &Ports, arguments: Migrate) -> Outcome<ExitCode> {
    let migration = read_all(&arguments, Migration::new(ports.clock.now()))?;
    let mode = if arguments.dry_run { ImportMode::DryRun } else { ImportMode::Write };
    let report = migration.carry_out(ports, mode).await?;
    for what in &report.left_out {
        // Not `eprintln!`, which panics when the reader has gone.
        let _ = writeln!(io::stderr(), "left out: {what}");
    }
    print(&summary(&report, mode))?;
    let complete = report.left_out.is_empty();
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::from(LEFT_OUT) })
}

fn read_all(arguments: &Migrate, mut migration: Migration) -> Outcome<Migration> {
    let Migrate { files, old_secrets: secrets, old_table: table, .. } = arguments;
    let standard = files.iter().chain(secrets).chain(table).filter(|file| is_standard(file));
    if standard.count() > 1 {
        return Err("standard input, `-`, can be read only once".into());
    }
    for (name, text) in read_each(secrets) {
        migration.read_secrets(&name, &text?);
    }
    for (name, text) in read_each(files) {
        migration.read_lines(&name, &text?);
    }
    let names = TableMembers {
        domain: arguments.domain_member.clone(),
        username: arguments.username_member.clone(),
        password: arguments.password_member.clone(),
    };
    for (name, text) in read_each(table) {
        migration.read_table(&name, &text?, &names);
    }
    Ok(migration)
}

fn read_each(files: &[PathBuf]) -> impl Iterator<Item = (String, Outcome<Zeroizing<String>>)> {
    files.iter().map(|file| {
        let text =
            read(file).map_err(|error| format!("cannot read `{}`: {error}", file.display()).into());
        (name(file), text)
    })
}

fn name(file: &Path) -> String {
    if is_standard(file) { "standard input".to_owned() } else { file.display().to_string() }
}

fn is_standard(file: &Path) -> bool {
    file == Path::new("-")
}

fn read(file: &Path) -> io::Result<Zeroizing<String>> {
    if is_standard(file) {
        read_text(io::stdin().lock(), STANDARD_INPUT_MAX_BYTES)
    } else {
        read_text(File::open(file)?, FILE_MAX_BYTES)
    }
}

fn read_text(source: impl Read, most: u64) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    // One byte more, so that too long a text is told from one of the greatest length.
    let length = source.take(most.saturating_add(1)).read_to_string(&mut text)?;
    if u64::try_from(length).is_ok_and(|length| length <= most) {
        return Ok(text);
    }
    let reason = format!("it is longer than {} MiB", most / MIB);
    Err(io::Error::new(io::ErrorKind::FileTooLarge, reason))
}

fn summary(report: &MigrationReport, mode: ImportMode) -> String {
    let mut text = String::new();
    for (what, tally) in [("domains", report.domains), ("users", report.users)] {
        let Tally { created, unchanged, left_out } = tally;
        let would = if mode == ImportMode::DryRun { "to create" } else { "created" };
        let _ =
            writeln!(text, "{what}: {created} {would}, {unchanged} unchanged, {left_out} left out");
    }
    if mode == ImportMode::DryRun {
        text.push_str("nothing was written: this was a dry run\n");
    }
    text
}

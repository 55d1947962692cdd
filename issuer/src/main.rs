//! The `postern` command.

mod arguments;
mod command;
mod edge_command;
mod explain;
mod keys_command;
mod log_writer;
mod migrate_command;
mod password_prompt;
mod place;
mod policy_command;
mod policy_import;
mod serve_command;
mod table;

use std::{
    io::{Write, stderr},
    process::ExitCode,
};

use clap::Parser;

use crate::arguments::Arguments;

fn main() -> ExitCode {
    match command::run(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            // Not `eprintln!`, which panics when the reader has gone.
            let _ = writeln!(stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

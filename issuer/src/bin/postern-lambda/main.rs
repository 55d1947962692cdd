//! The Lambda functions: the issuer behind API Gateway, the authorizer, and the rotation of keys.
//!
//! One program; the function's `Handler` says which of them it is.

mod api;
mod authorizer;
mod failure;
mod initialisation;
mod rotation;
mod variables;

use std::{
    io::{Write, stderr},
    process::ExitCode,
};

use crate::initialisation::Initialisation;

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        // Not by a thread of its own: a Lambda is frozen as soon as it has answered.
        .with_writer(stderr)
        .with_ansi(false)
        .with_target(false)
        // It would tell of its own failures with `eprintln!`, which panics when stderr fails.
        .log_internal_errors(false)
        // Lambda puts the time to each line.
        .without_time()
        .init();
    // Lambda gives a function of a small memory a part of one processor.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run()),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not `eprintln!`, which panics when the reader has gone.
            let _ = writeln!(stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Answers events, to the end of the process.
async fn run() -> Result<(), lambda_runtime::Error> {
    let initialisation = Initialisation::begin()?;
    match variables::needed("_HANDLER") {
        Ok(handler) => match handler.as_str() {
            "api" => api::run(initialisation).await,
            "authorizer" => authorizer::run(initialisation).await,
            "rotation" => rotation::run(initialisation).await,
            _ => {
                let error = "the function's handler is none of `api`, `authorizer`, `rotation`";
                Err(initialisation.fail(&error).await)
            }
        },
        Err(error) => Err(initialisation.fail(&error).await),
    }
}

//! The tour of a running gate: `cargo xtask demo`.

use std::process::ExitCode;

use postern_tests::tour::{Options, Tour};

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("error: {message}");
            return ExitCode::from(2);
        }
    };
    match Tour::run(&options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nthe tour ends here: {failure}");
            ExitCode::FAILURE
        }
    }
}

//! The soak of a running gate: `cargo xtask soak`.

use std::process::ExitCode;

use postern_tests::soak::{self, Options};

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("error: {message}");
            return ExitCode::from(2);
        }
    };
    match soak::run(options).await {
        Ok(report) => {
            print!("{report}");
            if report.faults().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(failure) => {
            eprintln!("\nthe soak ends here: {failure}");
            ExitCode::FAILURE
        }
    }
}

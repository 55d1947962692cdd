//! The chaos run: `cargo xtask chaos`.

use std::process::ExitCode;

use postern_tests::chaos::{self, Options, Report};

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("error: {message}");
            return ExitCode::from(2);
        }
    };
    match chaos::run(&options).await {
        Ok(reports) => {
            for report in &reports {
                println!("{report}");
            }
            if let Some(folder) = &options.report {
                println!("the report, every request and the plot are in {}", folder.display());
            }
            let is_good = reports.iter().all(|report: &Report| report.faults().is_empty());
            if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(failure) => {
            eprintln!("\nthe chaos ends here: {failure}");
            ExitCode::FAILURE
        }
    }
}

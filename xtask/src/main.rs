//! Postern's commands for those who work on it: `cargo xtask setup|build|demo|test|soak|chaos|bench`.
//!
//! Only the standard library, so that the first command on a fresh clone starts in seconds.

mod aws;
mod bench;
mod browser;
mod build;
mod chaos;
mod counts;
mod demo;
mod fuzz;
mod javascript;
mod lambda;
mod npm;
mod npm_package;
mod peers;
mod pipelines;
mod setup;
mod soak;
mod steps;
mod system;
mod test;
mod vectors;
mod wasm;
mod workspace;

use std::process::ExitCode;

use steps::Failure;
use workspace::Workspace;

const USAGE: &str = "\
Postern's set-up, build, demo, test, soak, chaos and bench commands.

usage: cargo xtask <command> [options]

  setup           install what the other commands need, into `.tools/`
  build           leave what ships in `dist/`: the Envoy filter, the Worker, the npm package
                  and the issuer
      --aws               only the Lambda functions' program, for both architectures, in
                          `dist/aws/`
  demo [options]  start issuer, Envoy, the Worker and an upstream, and show a tour of them
      --once              exit after the tour, non-zero at the first surprise
      --aws               another tour: the issuer as Lambda functions on emulated AWS, with
                          DynamoDB, Secrets Manager and API Gateway, and Envoy; then exit
      --port-gate N       Envoy's port (10000)
      --port-issuer N     the issuer's port (8080)
      --port-upstream N   the upstream's port (8081)
      --port-admin N      Envoy's admin port (9901)
      --port-worker N     the Worker's port (8787)
  test [filter]   format, lints, documentation, licences, builds and every test;
                  a filter narrows the tests by name, as nextest understands it
      --unit              the checks, and the tests that start no other program
      --integration       the other tests, without the checks
  soak [--minutes N]  load on a real Envoy for 10 minutes, while keys rotate, the issuer is
                  killed and sessions are revoked: non-zero at a wrong verdict, or
                  where memory grows. A minute of it is one of the tests
  chaos [options] load on two Envoys, the Worker and Node by one issuer, while keys rotate,
                  sessions end, programs die, networks are cut, clocks are off by a minute
                  and someone tampers with what the edges are told: non-zero at a wrong
                  verdict, or where a revocation is not seen everywhere within 10 s. Wants to
                  be root, for network namespaces. Half a minute of it is one of the tests
      --seconds N         on each storage (240)
      --seed N            what the plan is drawn by (printed)
      --storage S         of sqlite,aws,both (both)
      --report DIR        where the report, its figures and its plot go (target/chaos)
  bench verify    measure tokens and decisions, natively, in Wasm, and in peers
                  (wants Node 20 and npm)
  bench filter [options]
                  measure the filter in Envoy, beside jwt_authn
      --parts P,…         of requests,scale,memory,start (all)
      --algorithms A,…    of HS256,RS256,ES256,EdDSA (all)
      --loads L,…         of hot,zipf,new (all): one token, 10,000, each a new one
      --rounds N          how often, in turns; the median counts (15)
      --seconds S         how long in each round (0.25)
      --filter PATH       measure another build of the filter beside ours
  bench lambda [options]
                  measure how long the Lambda functions take to start, beside Node.js with
                  aws-jwt-verify
      --rounds N          (20)
  bench node [options]
                  measure the npm package in Node, beside jose, jsonwebtoken, fast-jwt and
                  aws-jwt-verify (wants what `build` leaves in `dist/npm`)
      --algorithms A,…    of HS256,RS256,ES256,EdDSA (all)
      --loads L,…         of hot,new (all)
      --rounds N          (15)
  bench worker [options]
                  measure the Worker in workerd, beside one without a check and one with
                  jose (wants what `build` leaves in `dist/worker`)
      --origins O,…       of network,inside (network): a server, a Worker in the same process
      --algorithms A,…    of HS256,RS256,ES256,EdDSA (all)
      --loads L,…         of hot,new (all)
      --rounds N          (15)
      --seconds S         (0.5)

Environment:
  CI=true   a missing program is a failure, not a skipped test
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => {
            eprintln!("error: {message}\n\n{USAGE}");
            ExitCode::from(2)
        }
        Err(Failure::Failed(message)) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Failure> {
    let Some((command, options)) = arguments.split_first() else {
        return Err(Failure::Usage("no command given".to_owned()));
    };
    if options.iter().chain([command]).any(|word| word == "--help" || word == "-h") {
        print!("{USAGE}");
        return Ok(());
    }
    let workspace = Workspace::locate()?;
    match command.as_str() {
        "help" => print!("{USAGE}"),
        "setup" => no_options(options).and_then(|()| setup::run(&workspace))?,
        "build" if options == ["--aws"] => lambda::ship(&workspace)?,
        "build" => no_options(options).and_then(|()| build::ship(&workspace))?,
        "demo" => demo::run(&workspace, options)?,
        "test" => test::run(&workspace, options)?,
        "soak" => soak::run(&workspace, options)?,
        "chaos" => chaos::run(&workspace, options)?,
        "bench" => bench::run(&workspace, options)?,
        unknown => return Err(Failure::Usage(format!("unknown command `{unknown}`"))),
    }
    Ok(())
}

fn no_options(options: &[String]) -> Result<(), Failure> {
    match options.first() {
        None => Ok(()),
        Some(word) => Err(Failure::Usage(format!("unexpected argument `{word}`"))),
    }
}

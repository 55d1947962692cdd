//! Everything that CI holds: format, lints, documentation, licences, builds, tests.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use crate::aws;
use crate::browser;
use crate::build;
use crate::counts::{Counts, of_cargo_test, of_nextest};
use crate::fuzz;
use crate::javascript;
use crate::lambda;
use crate::npm;
use crate::npm_package;
use crate::peers;
use crate::pipelines;
use crate::setup::{self, WASM_TARGET};
use crate::steps::{
    Failure, Stream, Transcript, bold, coloured, execute, read_stdout, seconds, step, tee,
};
use crate::vectors;
use crate::workspace::Workspace;

/// What tests need that may be missing, and which tests those are: nextest filters.
const NEEDS: [(&str, &str); 9] = [
    ("envoy", "package(postern-tests) & kind(test) & test(/(^|::)(envoy|chaos)::/)"),
    (VECTORS, "package(postern-verify) & test(/(^|::)vectors::/)"),
    (STATUS_VECTORS, "package(postern-verify) & test(/(^|::)of_the_draft::/)"),
    (PEERS, "package(postern-tests) & binary(differential)"),
    (BROWSER, "package(postern-tests) & test(/(^|::)browser::/)"),
    (ISTIO_SCHEMAS, "package(postern-tests) & binary(istio) & test(/(^|::)schemas::/)"),
    (
        WRANGLER,
        "package(postern-tests) & kind(test) & (binary(worker) | test(/workerd|(^|::)chaos::/))",
    ),
    (PACKAGE_TOOLS, "package(postern-tests) & test(/(^|::)npm::/)"),
    // What templates and pipelines hold is read from the files.
    (aws::TOOLS, "package(postern-tests) & binary(aws) & not test(/^(pipelines|template)::/)"),
];

/// What verdicts are compared with.
const PEERS: &str = "the peers `jose` (npm, by Node.js 20) and `joserfc` (PyPI)";

/// What Istio's resources are validated with.
const ISTIO_SCHEMAS: &str = "Istio's schemas (npm's @kubernetes-models/istio, by Node.js 20)";

/// What pages run in.
const BROWSER: &str = "Chromium (POSTERN_CHROMIUM), with npm's playwright-core, by Node.js 20";

/// What the npm package is built and tested with.
const PACKAGE_TOOLS: &str = "what the npm package is tested with (npm/package.json, by Node.js 20)";

/// What runs the Worker.
const WRANGLER: &str = "workerd (npm's wrangler, by Node.js 20)";

/// Test vectors that others made; they are not part of this repository.
const VECTORS: &str = "the folder of test vectors (POSTERN_VECTORS)";

/// Those of the Token Status List draft are in no repository that set-up could fetch.
const STATUS_VECTORS: &str = "status-list/vectors.json in the folder of test vectors";

/// Most that the filter may weigh, in KiB.
const MAX_FILTER_KIB: u64 = 850;

/// Which part of the tests a pipeline's stage runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Everything.
    Whole,
    /// The checks, and what needs no program but ours.
    Unit,
    /// What starts real programs and emulated services.
    Integration,
}

impl Part {
    /// Takes the option that names it from the command line.
    fn of(words: &[String]) -> Result<(Self, &[String]), Failure> {
        let (part, filter) = match words.split_first() {
            Some((word, rest)) if word == "--unit" => (Self::Unit, rest),
            Some((word, rest)) if word == "--integration" => (Self::Integration, rest),
            _ => (Self::Whole, words),
        };
        match filter.iter().find(|word| word.starts_with('-')) {
            Some(option) => Err(Failure::Usage(format!("`test` has no option `{option}`"))),
            None => Ok((part, filter)),
        }
    }

    /// A nextest filter.
    fn tests(self) -> &'static str {
        match self {
            Self::Whole => "all()",
            Self::Unit => "not package(postern-tests)",
            Self::Integration => "package(postern-tests)",
        }
    }
}

/// `cargo xtask test [--unit|--integration] [filter]`
pub(crate) fn run(workspace: &Workspace, words: &[String]) -> Result<(), Failure> {
    let (part, filter) = Part::of(words)?;
    let start = Instant::now();
    let missing = prepare(workspace)?;
    if part != Part::Integration {
        checks(workspace, &missing)?;
    }
    let wasm = build::filter(workspace)?;
    let core = build::core_module(workspace)?;
    let package = npm_package::build(workspace)?;
    let worker = javascript::worker(workspace)?;
    step("Checking what the Wasm modules import, and the size of the filter", || {
        build::check_size(&wasm, MAX_FILTER_KIB)?;
        build::check_imports(&wasm, build::is_filter_import)?;
        build::check_exports(&wasm)?;
        // Whoever embeds the core has nothing to supply: no clock, no randomness, no I/O.
        build::check_imports(&core, |_| false)
    })?;
    let functions = functions(workspace, part, &missing)?;
    let heading = "Building the programs and their tests";
    let programs = build::programs(workspace, heading, &["--bins", "--tests"])?;
    let clock = build::clock(workspace)?;
    let mut counts = Counts::default();
    if filter.is_empty() && part != Part::Integration {
        counts += doc_tests(workspace)?;
        counts += es256k_tests(workspace)?;
        fuzz::run(workspace, &missing)?;
    }
    let mut nextest = nextest(workspace, "run", part, &missing);
    nextest.args(["--no-fail-fast", "--color", if coloured() { "always" } else { "never" }]);
    nextest.args(filter).env("POSTERN_BIN", programs.issuer).env("POSTERN_FILTER_WASM", wasm);
    nextest.env("POSTERN_CLOCK", clock).env("POSTERN_NPM_PACKAGE", package);
    nextest.env("POSTERN_WORKER", worker);
    if let Some(program) = functions {
        nextest.env("POSTERN_LAMBDA", program);
    }
    let transcript = step("Running the tests (nextest)", || tee(&mut nextest, Stream::Stderr))?;
    conclude(workspace, transcript, counts, part, &missing, start)
}

/// Builds and packages the Lambda functions' program, and holds the package to its size.
fn functions(
    workspace: &Workspace,
    part: Part,
    missing: &[&str],
) -> Result<Option<PathBuf>, Failure> {
    let mut program = None;
    if part != Part::Unit && !missing.contains(&aws::TOOLS) {
        let built = lambda::package(workspace, &lambda::X86_64)?;
        build::check_size(&built.with_file_name(lambda::PACKAGE), lambda::MAX_PACKAGE_KIB)?;
        program = Some(built);
    }
    if part != Part::Integration {
        aws::lint(workspace, missing)?;
    }
    Ok(program)
}

/// Installs what is missing; in CI, or where nothing could be tested at all, that it cannot
/// is the end.
fn prepare(workspace: &Workspace) -> Result<Vec<&'static str>, Failure> {
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    if let Err(failure) = setup::run_for_tests(workspace) {
        if ci {
            return Err(failure);
        }
        eprintln!("warning: {failure}");
    }
    let mut missing = setup::missing(workspace);
    if !vectors::are_there(workspace) {
        missing.push(VECTORS);
    }
    if !workspace.vectors().join("status-list/vectors.json").is_file() {
        missing.push(STATUS_VECTORS);
    }
    if !peers::are_there(workspace) {
        missing.push(PEERS);
    }
    if !browser::is_there(workspace) {
        missing.push(BROWSER);
    }
    if !npm::ISTIO_SCHEMAS.are_there(workspace) {
        missing.push(ISTIO_SCHEMAS);
    }
    if !npm::WRANGLER.are_there(workspace) {
        missing.push(WRANGLER);
    }
    if !npm::PACKAGE.are_there(workspace) {
        missing.push(PACKAGE_TOOLS);
    }
    missing.extend(aws::missing(workspace));
    missing.extend(pipelines::missing(workspace));
    if missing.contains(&"cargo-nextest") {
        return Err(Failure::new("`cargo-nextest` is missing: it runs the tests"));
    }
    if ci && !missing.is_empty() {
        return Err(Failure::new(format!("missing: {}", missing.join(", "))));
    }
    Ok(missing)
}

fn checks(workspace: &Workspace, missing: &[&str]) -> Result<(), Failure> {
    let cargo = |heading: &str, line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        step(heading, || execute(&mut workspace.cargo(&words)))
    };
    cargo("Checking the format", "fmt --all --check")?;
    cargo(
        "Checking the format of the fuzz targets",
        "fmt --manifest-path fuzz/Cargo.toml --check",
    )?;
    let clippy = "clippy --locked --workspace --all-targets -- -D warnings";
    cargo("Checking lints (clippy)", clippy)?;
    step("Checking the documentation (rustdoc)", || {
        let mut doc = workspace.cargo(&["doc", "--locked", "--workspace", "--no-deps"]);
        // Our documentation always has the private items: links to them work in it.
        let flags = "-D warnings -A rustdoc::private_intra_doc_links";
        execute(doc.arg("--document-private-items").env("RUSTDOCFLAGS", flags))
    })?;
    if !missing.contains(&"cargo-deny") {
        step("Checking licences and sources (cargo-deny)", || {
            let mut deny = workspace.command(workspace.tool("cargo-deny"));
            let words = ["--locked", "check", "bans", "licenses", "sources"];
            execute(deny.args(["--log-level", "error"]).args(words))
        })?;
    }
    pipelines::lint(workspace, missing)?;
    let wasm =
        format!("clippy --locked --package postern-filter --target {WASM_TARGET} -- -D warnings");
    cargo("Checking the filter's lints (clippy, wasm)", &wasm)?;
    let packages = "--package postern-javascript --package postern-npm --package postern-worker";
    let wasm = format!("clippy --locked {packages} --target {WASM_TARGET} -- -D warnings");
    cargo("Checking the lints of the Worker and of the npm package (clippy, wasm)", &wasm)
}

fn doc_tests(workspace: &Workspace) -> Result<Counts, Failure> {
    let mut command = workspace.cargo(&["test", "--locked", "--workspace", "--doc"]);
    let transcript =
        step("Running the documentation's examples", || tee(&mut command, Stream::Stdout))?;
    transcript.outcome?;
    Ok(of_cargo_test(&transcript.text))
}

/// What the verify core does with a feature that no program of ours is built with.
fn es256k_tests(workspace: &Workspace) -> Result<Counts, Failure> {
    let words =
        ["test", "--locked", "--package", "postern-verify", "--lib", "--features", "es256k"];
    let mut command = workspace.cargo(&words);
    command.arg("signature::");
    let transcript =
        step("Running the signature tests with ES256K", || tee(&mut command, Stream::Stdout))?;
    transcript.outcome?;
    Ok(of_cargo_test(&transcript.text))
}

/// A nextest command that leaves out what cannot run here.
fn nextest(workspace: &Workspace, verb: &str, part: Part, missing: &[&str]) -> Command {
    let mut command = nextest_command(workspace, verb);
    let lacking = NEEDS.iter().filter(|(what, _)| missing.contains(what));
    let left_out = lacking.map(|(_, tests)| format!("not ({tests})"));
    let chosen: Vec<String> = [part.tests().to_owned()].into_iter().chain(left_out).collect();
    command.args(["-E", &chosen.join(" & ")]);
    command
}

fn nextest_command(workspace: &Workspace, verb: &str) -> Command {
    let mut command = workspace.command(workspace.tool("cargo-nextest"));
    command.args(["nextest", verb, "--locked", "--workspace"]);
    command.env("POSTERN_ENVOY", workspace.tool("envoy"));
    command.env("POSTERN_VECTORS", workspace.vectors());
    command.env("POSTERN_WORKER_TOOLS", npm::WRANGLER.folder(workspace));
    command.env("POSTERN_NPM_TOOLS", npm::PACKAGE.folder(workspace));
    // Here are `ministack`, `moto_server`, and the `python` that has their packages.
    command.env("POSTERN_AWS_TOOLS", workspace.venv().join("bin"));
    browser::tell(workspace, &mut command);
    command
}

fn conclude(
    workspace: &Workspace,
    transcript: Transcript,
    mut counts: Counts,
    part: Part,
    missing: &[&str],
    start: Instant,
) -> Result<(), Failure> {
    let Some(ran) = of_nextest(&transcript.text) else {
        transcript.outcome?;
        return Err(Failure::new("nextest printed no summary"));
    };
    counts += ran;
    for program in missing {
        eprintln!("missing: {program}");
    }
    for (_, tests) in NEEDS.iter().filter(|(what, _)| missing.contains(what)) {
        list_left_out(workspace, part, tests)?;
    }
    eprintln!("everything took {}", seconds(start.elapsed()));
    let Counts { passed, failed, skipped } = counts;
    let line = format!("postern: {passed} passed, {failed} failed, {skipped} skipped");
    eprintln!("{}", bold(&line));
    transcript.outcome
}

/// Names the tests that nextest counted as skipped because something is missing.
fn list_left_out(workspace: &Workspace, part: Part, tests: &str) -> Result<(), Failure> {
    let tests = format!("({}) & ({tests})", part.tests());
    let mut list = nextest_command(workspace, "list");
    let names = read_stdout(list.args(["-E", &tests, "--message-format", "oneline"]))?;
    for name in names.lines() {
        eprintln!("not run: {name}");
    }
    Ok(())
}

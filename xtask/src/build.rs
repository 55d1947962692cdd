//! What ships, in `dist/`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::javascript;
use crate::npm;
use crate::npm_package;
use crate::setup::{self, WASM_TARGET};
use crate::steps::{Failure, execute, read_stdout, step};
use crate::wasm;
use crate::workspace::Workspace;

/// What cargo built for the demo, the soak, the chaos and the tests.
pub(crate) struct Programs {
    pub(crate) issuer: PathBuf,
    pub(crate) tour: PathBuf,
    pub(crate) soak: PathBuf,
    pub(crate) chaos: PathBuf,
    pub(crate) functions: PathBuf,
}

/// `cargo xtask build`
pub(crate) fn ship(workspace: &Workspace) -> Result<(), Failure> {
    setup::wasm_target(workspace)?;
    filter(workspace)?;
    javascript::worker(workspace)?;
    npm_package::build(workspace)?;
    step("Building the issuer (release: some minutes when it changed)", || {
        let messages = cargo_build(workspace, &["--package", "postern-issuer", "--release"])?;
        install(&artifact(&messages, "postern")?, &workspace.dist().join("postern"))
    })
}

/// What the filter's module exports: its memory, the version of the interface, and the callbacks that
/// it uses. Envoy makes each callback that is exported, for every request.
const EXPORTS: [&str; 11] = [
    "memory",
    "proxy_abi_version_0_2_1",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_http_call_response",
    "proxy_on_memory_allocate",
    "proxy_on_request_headers",
    "proxy_on_request_trailers",
    "proxy_on_tick",
    "proxy_on_vm_start",
];

/// What the filter's module imports of WASI: the variables of its virtual machine, and nothing else.
const WASI: [&str; 2] =
    ["wasi_snapshot_preview1.environ_get", "wasi_snapshot_preview1.environ_sizes_get"];

/// What Rust's Wasm uses of what came after the first version of Wasm, all of it long supported.
pub(crate) const WASM_FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

/// How the filter is made smaller.
const OPTIMIZER: [&str; 2] = ["-Oz", "-Oz"];

/// Builds the filter and returns its place in `dist/`.
pub(crate) fn filter(workspace: &Workspace) -> Result<PathBuf, Failure> {
    npm::BINARYEN.install(workspace)?;
    let shipped = workspace.dist().join("filter.wasm");
    step("Building the Envoy filter (wasm)", || {
        let package = ["--package", "postern-filter"];
        let profile = ["--profile", "wasm", "--target", WASM_TARGET];
        let messages = cargo_build(workspace, &[package.as_slice(), &profile].concat())?;
        install(&small(workspace, &artifact(&messages, "postern_filter.wasm")?)?, &shipped)
    })?;
    Ok(shipped)
}

/// The module without what nobody calls, beside the one that cargo built. That takes seconds, so it
/// is done again only for another module.
fn small(workspace: &Workspace, built: &Path) -> Result<PathBuf, Failure> {
    // With other options, they are other files.
    let beside = |what: &str| built.with_extension(format!("{what}{}.wasm", OPTIMIZER.concat()));
    let (needed, small) = (beside("needed"), beside("small"));
    let module = wasm::with_exports(&read(built)?, |name| EXPORTS.contains(&name))?;
    if small.is_file() && fs::read(&needed).is_ok_and(|before| before == module) {
        return Ok(small);
    }
    fs::write(&needed, module)
        .map_err(|error| Failure::new(format!("cannot write `{}`: {error}", needed.display())))?;
    let fresh = built.with_extension("fresh.wasm");
    let mut optimizer = workspace.command("node");
    optimizer.arg(npm::BINARYEN.file(workspace, "bin/wasm-opt")).args(WASM_FEATURES);
    execute(optimizer.args(OPTIMIZER).arg(&needed).arg("-o").arg(&fresh))?;
    fs::rename(&fresh, &small)
        .map_err(|error| Failure::new(format!("cannot write `{}`: {error}", small.display())))?;
    Ok(small)
}

/// Holds the filter's module to the exports that it needs.
pub(crate) fn check_exports(module: &Path) -> Result<(), Failure> {
    let name = module.file_name().unwrap_or_default().display();
    let mut exports = wasm::exports(&read(module)?)?;
    exports.sort_unstable();
    if exports != EXPORTS {
        let exports = exports.join("`, `");
        return Err(Failure::new(format!("`{name}` exports other than it needs: `{exports}`")));
    }
    Ok(())
}

pub(crate) fn read(module: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(module)
        .map_err(|error| Failure::new(format!("cannot read `{}`: {error}", module.display())))
}

/// Builds the verify core alone for Wasm, as the benchmarks load it.
pub(crate) fn core_module(workspace: &Workspace) -> Result<PathBuf, Failure> {
    step("Building the verify core alone (wasm)", || {
        let package = ["--package", "postern-bench-wasm"];
        let profile = ["--profile", "wasm", "--target", WASM_TARGET];
        let messages = cargo_build(workspace, &[package.as_slice(), &profile].concat())?;
        artifact(&messages, "postern_bench_wasm.wasm")
    })
}

/// Builds one of the programs that measure in a server.
pub(crate) fn bench(workspace: &Workspace, name: &str) -> Result<PathBuf, Failure> {
    step("Building the load (release: some minutes at first)", || {
        let package = ["--package", "postern-bench", "--bin", name, "--release"];
        artifact(&cargo_build(workspace, &package)?, name)
    })
}

/// Holds a Wasm module to a size: each worker thread of a host compiles and keeps all of it.
pub(crate) fn check_size(module: &Path, max_kib: u64) -> Result<(), Failure> {
    let name = module.file_name().unwrap_or_default().display();
    let file = fs::metadata(module)
        .map_err(|error| Failure::new(format!("cannot read `{}`: {error}", module.display())))?;
    if file.len() > max_kib * 1024 {
        let kib = file.len().div_ceil(1024);
        return Err(Failure::new(format!("`{name}` has {kib} KiB, at most {max_kib}")));
    }
    Ok(())
}

/// Whether the filter's module may import this.
pub(crate) fn is_filter_import(import: &str) -> bool {
    import.starts_with("env.proxy_") || WASI.contains(&import)
}

/// Holds a Wasm module to the imports that its hosts have.
pub(crate) fn check_imports(module: &Path, allowed: fn(&str) -> bool) -> Result<(), Failure> {
    let name = module.file_name().unwrap_or_default().display();
    let bytes = read(module)?;
    let imports = wasm::imports(&bytes)?;
    if let Some(import) = imports.iter().find(|import| !allowed(import)) {
        return Err(Failure::new(format!("`{name}` imports `{import}`")));
    }
    eprintln!("    {name}: {} imports, {} KiB", imports.len(), bytes.len() / 1024);
    Ok(())
}

/// Builds the development programs: within seconds, as their dependencies, which are
/// optimised, are built once.
///
/// The whole workspace at once, as the test runner will: a build of single packages would
/// choose other features and compile the dependencies again.
pub(crate) fn programs(
    workspace: &Workspace,
    heading: &str,
    targets: &[&str],
) -> Result<Programs, Failure> {
    step(heading, || {
        let messages = cargo_build(workspace, &[&["--workspace"], targets].concat())?;
        Ok(Programs {
            issuer: artifact(&messages, "postern")?,
            tour: artifact(&messages, "tour")?,
            soak: artifact(&messages, "soak")?,
            chaos: artifact(&messages, "chaos")?,
            functions: artifact(&messages, "postern-lambda")?,
        })
    })
}

/// Builds the clock that tests set, for programs that are not ours.
pub(crate) fn clock(workspace: &Workspace) -> Result<PathBuf, Failure> {
    step("Building the clock that tests set", || {
        let messages = cargo_build(workspace, &["--package", "postern-clock"])?;
        artifact(&messages, "libpostern_clock.so")
    })
}

/// Builds, and returns cargo's messages: only cargo knows where the files are.
pub(crate) fn cargo_build(workspace: &Workspace, options: &[&str]) -> Result<String, Failure> {
    let mut command = workspace.cargo(&["build", "--locked"]);
    read_stdout(command.args(options).arg("--message-format=json-render-diagnostics"))
}

/// The one file of this name that cargo's messages, JSON, speak of.
pub(crate) fn artifact(messages: &str, name: &str) -> Result<PathBuf, Failure> {
    messages
        .split('"')
        .map(Path::new)
        .find(|path| path.is_absolute() && path.ends_with(name) && path.is_file())
        .map(Path::to_owned)
        .ok_or_else(|| Failure::new(format!("cargo built no `{name}`")))
}

/// Copies a file when it differs, so that what reads it by date is not disturbed.
pub(crate) fn install(built: &Path, shipped: &Path) -> Result<(), Failure> {
    let place = shipped.display();
    let failed = |error: std::io::Error| Failure::new(format!("cannot write `{place}`: {error}"));
    let bytes = fs::read(built).map_err(failed)?;
    let unchanged = fs::read(shipped).is_ok_and(|existing| existing == bytes);
    if !unchanged {
        if let Some(folder) = shipped.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        // Not over the old file: a program that runs from it may not be written to.
        let fresh = shipped.with_extension("new");
        fs::copy(built, &fresh).and_then(|_| fs::rename(&fresh, shipped)).map_err(failed)?;
    }
    let note = if unchanged { ", unchanged" } else { "" };
    let name: PathBuf = shipped.iter().skip_while(|part| *part != "dist").collect();
    eprintln!("    {}: {} KiB{note}", name.display(), bytes.len().div_ceil(1024));
    Ok(())
}

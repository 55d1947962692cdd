//! What a token and a decision cost: natively, in Wasm, in peers, in Envoy, in Node and in workerd; and
//! how Lambda functions start.

mod lambda;
mod node;
mod worker;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use crate::build;
use crate::setup;
use crate::steps::{Failure, execute, read_stdout, step};
use crate::workspace::Workspace;

/// The columns of the table: who, and the heading.
const COLUMNS: [(&str, &str); 6] = [
    ("native", "native"),
    ("wasm", "Wasm"),
    ("ratio", "ratio"),
    ("jsonwebtoken", "jsonwebtoken (native)"),
    ("jose", "jose (Node)"),
    ("fast-jwt", "fast-jwt (Node)"),
];

/// What was measured: microseconds by task and who did it, tasks in the order of their coming.
#[derive(Debug, Default)]
struct Figures {
    tasks: Vec<String>,
    microseconds: BTreeMap<(String, String), f64>,
    bytes: BTreeMap<(String, String), u64>,
}

/// `cargo xtask bench verify|filter|lambda|node|worker`
pub(crate) fn run(workspace: &Workspace, options: &[String]) -> Result<(), Failure> {
    match options {
        [word] if word == "verify" => verify(workspace),
        [word, options @ ..] if word == "filter" => filter(workspace, options),
        [word, options @ ..] if word == "lambda" => lambda::run(workspace, options),
        [word, options @ ..] if word == "node" => node::run(workspace, options),
        [word, options @ ..] if word == "worker" => worker::run(workspace, options),
        _ => {
            let names = "`verify`, `filter`, `lambda`, `node` or `worker`";
            Err(Failure::Usage(format!("`bench` wants to know what: {names}")))
        }
    }
}

/// The program reads the options; `bench/src/bin/filter_bench/options.rs` says which there are.
fn filter(workspace: &Workspace, options: &[String]) -> Result<(), Failure> {
    setup::run_all(workspace)?;
    let module = build::filter(workspace)?;
    let program = build::bench(workspace, "filter_bench")?;
    let mut bench = workspace.command(program);
    bench.arg("--envoy").arg(workspace.tool("envoy")).arg("--module").arg(module);
    step("Measuring in Envoy", || execute(bench.args(options)))
}

fn verify(workspace: &Workspace) -> Result<(), Failure> {
    setup::wasm_target(workspace)?;
    let module = build::core_module(workspace)?;
    let peers = step("Installing the peers from npm into .tools/bench", || peers(workspace))?;
    let mut figures = Figures::default();
    step("Measuring natively", || {
        let words = ["bench", "--locked", "--package", "postern-bench", "--bench", "verify"];
        let mut bench = workspace.cargo(&words);
        figures.read("native", &read_stdout(bench.args(["--", "--rounds"]))?);
        Ok(())
    })?;
    step("Measuring in Wasm, and the peers (Node)", || {
        let mut node = workspace.command("node");
        node.arg("bench/wasm/run.mjs").arg(module).arg(peers);
        figures.read("wasm", &read_stdout(&mut node)?);
        Ok(())
    })?;
    print!("{}", figures.table());
    Ok(())
}

/// The folder with the packages that `bench/package.json` names.
fn peers(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let folder = workspace.tools().join("bench");
    let failed = |error: std::io::Error| {
        Failure::new(format!("cannot write `{}`: {error}", folder.display()))
    };
    fs::create_dir_all(&folder).map_err(failed)?;
    fs::copy(workspace.root().join("bench/package.json"), folder.join("package.json"))
        .map_err(failed)?;
    let mut npm = workspace.command("npm");
    npm.args(["install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"]);
    execute(npm.arg("--silent").current_dir(&folder).stdout(Stdio::null()))?;
    Ok(folder)
}

impl Figures {
    /// Takes what a runner printed: `who TAB task TAB µs` and `bytes TAB task TAB bytes`.
    fn read(&mut self, runner: &str, output: &str) {
        for line in output.lines() {
            let words: Vec<&str> = line.split('\t').collect();
            match words[..] {
                ["bytes", task, bytes] => {
                    if let Ok(bytes) = bytes.parse() {
                        self.bytes.insert((runner.to_owned(), task.to_owned()), bytes);
                    }
                }
                [who, task, time] => {
                    if let Ok(time) = time.parse() {
                        self.insert(who, task, time);
                    }
                }
                _ => {}
            }
        }
    }

    fn insert(&mut self, who: &str, task: &str, microseconds: f64) {
        if !self.tasks.iter().any(|known| known == task) {
            self.tasks.push(task.to_owned());
        }
        self.microseconds.insert((who.to_owned(), task.to_owned()), microseconds);
    }

    fn time(&self, who: &str, task: &str) -> Option<f64> {
        self.microseconds.get(&(who.to_owned(), task.to_owned())).copied()
    }

    fn cell(&self, who: &str, task: &str) -> String {
        match who {
            "ratio" => self
                .time("native", task)
                .zip(self.time("wasm", task))
                .map(|(native, wasm)| format!("{:.1}", wasm / native)),
            _ => self.time(who, task).map(|time| format!("{time:.2}")),
        }
        .unwrap_or_else(|| "–".to_owned())
    }

    /// Markdown.
    fn table(&self) -> String {
        let headings: Vec<&str> = COLUMNS.iter().map(|(_, heading)| *heading).collect();
        let rule = "---:|".repeat(COLUMNS.len() + 1);
        let mut table =
            format!("| µs | {} | bytes allocated |\n|---|{rule}\n", headings.join(" | "));
        for task in &self.tasks {
            let cells: Vec<String> = COLUMNS.iter().map(|(who, _)| self.cell(who, task)).collect();
            let bytes = self.bytes.get(&("native".to_owned(), task.clone()));
            let bytes = bytes.map_or_else(|| "–".to_owned(), u64::to_string);
            let _ = writeln!(table, "| {task} | {} | {bytes} |", cells.join(" | "));
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_runners_print_becomes_one_table() {
        let mut figures = Figures::default();
        figures.read(
            "native",
            "bytes\tdecide ES256\t17\n\
             native\tdecide ES256\t2\njsonwebtoken\tdecide ES256\t0.5\nsomething else\n",
        );
        figures.read(
            "wasm",
            "bytes\tdecide ES256\t12\nwasm\tdecide ES256\t9.0\njose\tdecide ES256\t20.125\n",
        );
        let table = figures.table();
        let row = table.lines().last().unwrap();
        assert_eq!(row, "| decide ES256 | 2.00 | 9.00 | 4.5 | 0.50 | 20.12 | – | 17 |");
        let bars = |line: &str| line.matches('|').count();
        assert!(table.lines().all(|line| bars(line) == bars(row)), "{table}");
    }
}

//! What a token costs in Node: ours beside the libraries that people use there.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

use crate::npm;
use crate::npm_package;
use crate::setup::answers;
use crate::steps::{Failure, read_stdout, step};
use crate::workspace::Workspace;

/// The columns of the tables: who.
const COLUMNS: [&str; 7] = [
    "postern verifySync",
    "postern verify",
    "jose",
    "jsonwebtoken",
    "fast-jwt",
    "fast-jwt cache",
    "aws-jwt-verify",
];
/// The column that is compared with the others, and the first of those.
const OURS: &str = "postern verifySync";
const FIRST_PEER: usize = 2;
/// The core that all of it runs on, where there is `taskset`.
const CORE: &str = "1";

/// What was measured: by who and of which tokens, in each round.
#[derive(Debug, Default)]
struct Figures {
    tasks: Vec<String>,
    rates: BTreeMap<(String, String), Vec<f64>>,
    mebibytes: BTreeMap<(String, String), String>,
}

/// `cargo xtask bench node`; the script reads the options.
pub(crate) fn run(workspace: &Workspace, options: &[String]) -> Result<(), Failure> {
    let ours = npm_package::build(workspace)?;
    npm::BENCH_NODE.install(workspace)?;
    let mut figures = Figures::default();
    step("Measuring in Node", || {
        let mut node = pinned(workspace, "node");
        let peers = npm::BENCH_NODE.folder(workspace).join("node_modules");
        node.arg("bench/node/run.mjs").arg(peers).arg(&ours);
        figures.read(&read_stdout(node.args(options))?);
        Ok(())
    })?;
    print!("{}", figures.tables());
    Ok(())
}

/// A program on one core: several would help those that hand signatures to other threads, which a
/// server with more than one request at a time has other use for.
fn pinned(workspace: &Workspace, program: &str) -> Command {
    if !answers("taskset", "--version") {
        return workspace.command(program);
    }
    let mut command = workspace.command("taskset");
    command.args(["--cpu-list", CORE, program]);
    command
}

impl Figures {
    /// Takes what the script printed: `rate TAB who TAB tokens TAB figures`, one for each round, and
    /// `memory TAB who TAB tokens TAB MiB`.
    fn read(&mut self, output: &str) {
        for line in output.lines() {
            let words: Vec<&str> = line.split('\t').collect();
            match words[..] {
                ["rate", who, task, rates] => {
                    let rates = rates.split(' ').filter_map(|rate| rate.parse().ok()).collect();
                    self.insert(who, task, rates);
                }
                ["memory", who, task, mebibytes] => {
                    let place = (who.to_owned(), task.to_owned());
                    self.mebibytes.insert(place, mebibytes.to_owned());
                }
                _ => {}
            }
        }
    }

    fn insert(&mut self, who: &str, task: &str, rates: Vec<f64>) {
        if !self.tasks.iter().any(|known| known == task) {
            self.tasks.push(task.to_owned());
        }
        self.rates.insert((who.to_owned(), task.to_owned()), rates);
    }

    fn rates(&self, who: &str, task: &str) -> Option<&[f64]> {
        self.rates.get(&(who.to_owned(), task.to_owned())).map(Vec::as_slice)
    }

    /// Markdown.
    fn tables(&self) -> String {
        let headings = COLUMNS.join(" | ");
        let rule = "---:|".repeat(COLUMNS.len());
        let mut text =
            format!("| 1,000 tokens/s | {headings} | ours : best peer |\n|---|{rule}---|\n");
        for task in &self.tasks {
            let cells = COLUMNS.map(|who| self.cell(who, task)).join(" | ");
            let _ = writeln!(text, "| {task} | {cells} | {} |", self.ratio(task));
        }
        // What a process holds while it is shown the same few tokens says little.
        let _ = write!(text, "\n| MiB resident | {headings} |\n|---|{rule}\n");
        for task in self.tasks.iter().filter(|task| task.ends_with(" new")) {
            let cells = COLUMNS.map(|who| self.memory(who, task)).join(" | ");
            let _ = writeln!(text, "| {task} | {cells} |");
        }
        text
    }

    fn cell(&self, who: &str, task: &str) -> String {
        let spread = |rates: &[f64]| {
            let spread = quantile(rates, 0.75) - quantile(rates, 0.25);
            format!("{:.1} ± {:.1}", median(rates) / 1e3, spread / 1e3)
        };
        self.rates(who, task).map_or_else(|| "–".to_owned(), spread)
    }

    fn memory(&self, who: &str, task: &str) -> &str {
        self.mebibytes.get(&(who.to_owned(), task.to_owned())).map_or("–", String::as_str)
    }

    /// Ours and the fastest of the others, compared round by round.
    fn ratio(&self, task: &str) -> String {
        let peers = COLUMNS.iter().skip(FIRST_PEER).filter_map(|who| self.rates(who, task));
        let best = peers.max_by(|one, other| median(one).total_cmp(&median(other)));
        let Some((ours, best)) = self.rates(OURS, task).zip(best) else { return "–".to_owned() };
        let ratios: Vec<f64> = ours.iter().zip(best).map(|(ours, best)| ours / best).collect();
        judged(median(&ratios), if task.ends_with(" hot") { 1.0 } else { 0.9 })
    }
}

/// A ratio, and whether it reaches its target.
fn judged(ratio: f64, target: f64) -> String {
    if ratio >= target {
        return format!("{ratio:.2} (≥ {target}: hit)");
    }
    let percent = (1.0 - ratio / target) * 100.0;
    format!("{ratio:.2} (≥ {target}: missed by {percent:.0} %)")
}

fn median(figures: &[f64]) -> f64 {
    quantile(figures, 0.5)
}

/// The figure below which this share of them lies.
fn quantile(figures: &[f64], share: f64) -> f64 {
    let mut ascending = figures.to_vec();
    ascending.sort_by(f64::total_cmp);
    #[expect(clippy::cast_precision_loss, reason = "there are not that many")]
    let place = ascending.len().saturating_sub(1) as f64 * share;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is an index")]
    ascending.get(place.round() as usize).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "something else\n\
        rate\tpostern verifySync\tES256 new\t9000 18000 8000\n\
        rate\tjose\tES256 new\t5000 10000 5000\n\
        rate\tfast-jwt\tES256 new\t10000 20000 10000\n\
        memory\tjose\tES256 new\t80\n";

    #[test]
    fn rounds_become_a_row_with_the_ratio_to_the_fastest_peer() {
        let mut figures = Figures::default();
        figures.read(OUTPUT);
        let tables = figures.tables();
        let rows: Vec<&str> = tables.lines().filter(|line| line.contains("ES256")).collect();
        assert_eq!(
            rows,
            [
                "| ES256 new | 9.0 ± 9.0 | – | 5.0 ± 5.0 | – | 10.0 ± 10.0 | – | – | \
                 0.90 (≥ 0.9: hit) |",
                "| ES256 new | – | – | 80 | – | – | – | – |",
            ]
        );
    }

    #[test]
    fn every_line_of_a_table_has_as_many_cells() {
        let mut figures = Figures::default();
        figures.read(OUTPUT);
        for table in figures.tables().split("\n\n") {
            let bars: Vec<usize> = table.lines().map(|line| line.matches('|').count()).collect();
            assert!(bars.iter().all(|count| Some(count) == bars.first()), "{table}");
        }
    }

    #[test]
    fn a_ratio_below_its_target_says_by_how_much() {
        assert_eq!(judged(1.2, 1.0), "1.20 (≥ 1: hit)");
        assert_eq!(judged(0.72, 0.9), "0.72 (≥ 0.9: missed by 20 %)");
    }
}

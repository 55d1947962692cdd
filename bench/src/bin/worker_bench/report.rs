//! Medians, ratios and targets, as Markdown.

use std::fmt::Write as _;

use postern_bench::traffic::figures::{added, judged, row};

use crate::measure::Series;
use crate::options::Load;

/// The places of the Workers.
const NONE: usize = 0;
const JOSE: usize = 1;
const OURS: usize = 2;

/// All that was measured.
pub(crate) fn tables(all: &[Series]) -> String {
    let mut text = "| tokens, origin | Worker | CPU µs | added | ± | requests/s | p50 µs | p99 µs \
                    | MiB |\n|---|---|---:|---:|---:|---:|---:|---:|---:|\n"
        .to_owned();
    for series in all {
        for (index, (name, bytes)) in series.names.iter().zip(&series.resident_bytes).enumerate() {
            let (label, row) = (&series.label, row(&series.rounds, index, NONE));
            let _ = writeln!(text, "| {label} | {name} | {row} | {} |", bytes >> 20);
        }
    }
    text.push_str("\n| tokens, origin | added, postern : jose |\n|---|---|\n");
    for series in all.iter().filter(|series| series.names.len() > OURS) {
        let _ = writeln!(text, "| {} | {} |", series.label, ratio(series));
    }
    text
}

/// What ours adds, in what jose adds.
fn ratio(series: &Series) -> String {
    let target = match series.load {
        Load::Hot => 0.25,
        Load::New => 1.1,
    };
    let added = |worker| added(&series.rounds, worker, NONE).median();
    judged(added(OURS) / added(JOSE), Some(target))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use postern_bench::traffic::load::Sample;

    use super::*;

    fn sample(micros: u64) -> Sample {
        Sample {
            requests: 10,
            elapsed: Duration::from_millis(1),
            cpu: Duration::from_micros(micros),
            latencies: vec![Duration::from_micros(90)],
        }
    }

    fn series() -> Series {
        Series {
            label: "ES256 hot, inside".to_owned(),
            load: Load::Hot,
            names: vec!["none", "jose", "postern"],
            rounds: [100, 140, 120]
                .map(|base| [0, 800, 400].map(|more| sample(base + more)).into())
                .into(),
            resident_bytes: vec![50 << 20, 60 << 20, 70 << 20],
        }
    }

    #[test]
    fn a_worker_is_compared_with_the_one_that_checks_nothing() {
        let text = tables(&[series()]);
        assert!(
            text.contains(
                "| ES256 hot, inside | jose | 92.00 | 80.00 | 0.00 | 10000 | 90 | 90 | 60 |\n"
            ),
            "{text}"
        );
        let ratio = "| ES256 hot, inside | 0.50 (≤ 0.25: missed by 100 %) |\n";
        assert!(text.ends_with(ratio), "{text}");
    }

    #[test]
    fn every_line_of_a_table_has_as_many_cells() {
        for table in tables(&[series()]).split("\n\n") {
            let bars: Vec<usize> = table.lines().map(|line| line.matches('|').count()).collect();
            assert!(bars.iter().all(|count| Some(count) == bars.first()), "{table}");
        }
    }
}

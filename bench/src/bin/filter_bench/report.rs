//! Medians, ratios and targets, as Markdown.

use std::fmt::Write as _;

use postern_bench::traffic::figures::{added, judged, row};

use crate::gates::Gate;
use crate::options::Load;
use crate::requests::Series;

/// The places of the gates that others are compared with.
const NONE: usize = 0;
const JWT_AUTHN: usize = 1;
const JWT_AUTHN_CACHE: usize = 2;
/// The filter's builds follow.
const POSTERN: usize = 3;

/// All that was measured of requests.
pub(crate) fn requests(gates: &[Gate], all: &[Series]) -> String {
    let mut text = "| tokens | listener | CPU µs | added | ± | requests/s | p50 µs | p99 µs |\n\
                    |---|---|---:|---:|---:|---:|---:|---:|\n"
        .to_owned();
    for series in all {
        for (index, gate) in gates.iter().enumerate() {
            let label = format!("{} {}", series.algorithm, series.load.name());
            let _ = writeln!(
                text,
                "| {label} | {} | {} |",
                gate.name,
                row(&series.rounds, index, NONE)
            );
        }
    }
    text.push_str(
        "\n| tokens | listener | added : jwt_authn-cache | added : jwt_authn |\n|---|---|---|---|\n",
    );
    for series in all {
        for (index, gate) in gates.iter().enumerate().skip(POSTERN) {
            let _ = writeln!(text, "{}", ratios(series, index, gate));
        }
    }
    text
}

fn ratios(series: &Series, index: usize, gate: &Gate) -> String {
    let added = |gate| added(&series.rounds, gate, NONE).median();
    let (cached, default) = match (series.load, series.algorithm) {
        (Load::Hot, _) => (Some(1.0), Some(0.1)),
        (Load::New, "RS256" | "ES256") => (None, Some(1.1)),
        (Load::New, "EdDSA") => (None, Some(1.5)),
        _ => (None, None),
    };
    let cached = judged(added(index) / added(JWT_AUTHN_CACHE), cached);
    let default = judged(added(index) / added(JWT_AUTHN), default);
    let label = format!("{} {}", series.algorithm, series.load.name());
    format!("| {label} | {} | {cached} | {default} |", gate.name)
}

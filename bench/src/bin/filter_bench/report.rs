//! Medians, ratios and targets, as Markdown.

use std::fmt::Write as _;
use std::time::Duration;

use crate::gates::Gate;
use crate::load::Sample;
use crate::options::Load;
use crate::requests::Series;

/// What a gate was measured at in each round, one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    pub(crate) fn new(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        Self(figures)
    }

    /// The middle one.
    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// Half of the figures lie no further apart than this.
    pub(crate) fn spread(&self) -> f64 {
        self.quantile(0.75) - self.quantile(0.25)
    }

    fn quantile(&self, share: f64) -> f64 {
        quantile(&self.0, share).copied().unwrap_or(f64::NAN)
    }
}

/// Of ascending values, the one below which this share of them lies.
fn quantile<T>(ascending: &[T], share: f64) -> Option<&T> {
    #[expect(clippy::cast_precision_loss, reason = "there are not that many")]
    let place = ascending.len().saturating_sub(1) as f64 * share;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is an index")]
    ascending.get(place.round() as usize)
}

pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// Microseconds of Envoy's CPU for one request.
pub(crate) fn cpu(sample: &Sample) -> f64 {
    micros(sample.cpu) / count(sample)
}

#[expect(clippy::cast_precision_loss, reason = "there are not that many")]
fn count(sample: &Sample) -> f64 {
    sample.requests as f64
}

/// The figure of a gate in each round.
pub(crate) fn by_round(
    rounds: &[Vec<Sample>],
    gate: usize,
    figure: impl Fn(&Sample) -> f64,
) -> Figures {
    Figures::new(rounds.iter().filter_map(|samples| samples.get(gate)).map(figure))
}

/// What a gate costs more than another one, each compared within its round.
pub(crate) fn added(rounds: &[Vec<Sample>], gate: usize, base: usize) -> Figures {
    let difference =
        |samples: &Vec<Sample>| Some(cpu(samples.get(gate)?) - cpu(samples.get(base)?));
    Figures::new(rounds.iter().filter_map(difference))
}

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
            let _ = writeln!(text, "| {label} | {} | {} |", gate.name, row(&series.rounds, index));
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

fn row(rounds: &[Vec<Sample>], gate: usize) -> String {
    let latency = |share| {
        let figures = by_round(rounds, gate, |sample| {
            quantile(&sample.latencies, share).map_or(f64::NAN, |latency| micros(*latency))
        });
        figures.median()
    };
    let rate = by_round(rounds, gate, |sample| count(sample) / sample.elapsed.as_secs_f64());
    let cpu = by_round(rounds, gate, cpu).median();
    let added = added(rounds, gate, NONE);
    format!(
        "{cpu:.2} | {:.2} | {:.2} | {:.0} | {:.0} | {:.0}",
        added.median(),
        added.spread(),
        rate.median(),
        latency(0.5),
        latency(0.99)
    )
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

/// A figure, and whether it stays within its target.
pub(crate) fn judged(figure: f64, target: Option<f64>) -> String {
    match target {
        None => format!("{figure:.2}"),
        Some(target) if figure <= target => format!("{figure:.2} (≤ {target}: hit)"),
        Some(target) => {
            let percent = (figure / target - 1.0) * 100.0;
            format!("{figure:.2} (≤ {target}: missed by {percent:.0} %)")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(requests: usize, micros: u64) -> Sample {
        Sample { requests, cpu: Duration::from_micros(micros), ..Sample::default() }
    }

    #[test]
    fn a_gate_is_compared_with_the_other_one_of_its_own_round() {
        // 5, 6, 7, 8 and 9 more, while all of it gets slower.
        let rounds: Vec<Vec<Sample>> = [70, 50, 80, 60, 90]
            .into_iter()
            .zip([200, 400, 300, 500, 600])
            .map(|(more, base)| vec![sample(10, base), sample(10, base + more)])
            .collect();
        assert!((added(&rounds, 1, 0).median() - 7.0).abs() < 1e-9);
        assert!((added(&rounds, 1, 0).spread() - 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_target_that_is_missed_says_by_how_much() {
        assert_eq!(judged(0.83, None), "0.83");
        assert_eq!(judged(1.0, Some(1.0)), "1.00 (≤ 1: hit)");
        assert_eq!(judged(1.375, Some(1.1)), "1.38 (≤ 1.1: missed by 25 %)");
    }
}

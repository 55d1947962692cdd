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
        "\n| tokens | listener | added : jwt_authn-cache | added : jwt_authn | target | |\n\
         |---|---|---:|---:|---|---|\n",
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
    let cached = added(index) / added(JWT_AUTHN_CACHE);
    let default = added(index) / added(JWT_AUTHN);
    let (target, hit) = match (series.load, series.algorithm) {
        (Load::Hot, _) => ("≤ 1.0 and ≤ 0.1", cached <= 1.0 && default <= 0.1),
        (Load::New, "RS256" | "ES256") => ("– and ≤ 1.1", default <= 1.1),
        (Load::New, "EdDSA") => ("– and ≤ 1.5", default <= 1.5),
        _ => ("–", true),
    };
    let verdict = match (target, hit) {
        ("–", _) => "",
        (_, true) => "hit",
        (_, false) => "missed",
    };
    let label = format!("{} {}", series.algorithm, series.load.name());
    format!("| {label} | {} | {cached:.2} | {default:.2} | {target} | {verdict} |", gate.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(requests: usize, micros: u64) -> Sample {
        Sample { requests, cpu: Duration::from_micros(micros), ..Sample::default() }
    }

    #[test]
    fn a_gate_is_compared_with_the_other_one_of_its_own_round() {
        let rounds = [
            vec![sample(10, 200), sample(10, 250)],
            vec![sample(10, 400), sample(10, 460)],
            vec![sample(10, 300), sample(10, 370)],
        ];
        assert!((added(&rounds, 1, 0).median() - 6.0).abs() < 1e-9);
        assert!((added(&rounds, 1, 0).spread() - 2.0).abs() < 1e-9);
    }
}

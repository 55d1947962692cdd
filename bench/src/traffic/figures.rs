//! Medians and differences, as Markdown.

use std::time::Duration;

use super::load::Sample;

/// What a gate was measured at in each round, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Figures(Vec<f64>);

impl Figures {
    /// In any order.
    pub fn new(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        Self(figures)
    }

    /// The middle one.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// Half of the figures lie no further apart than this.
    #[must_use]
    pub fn spread(&self) -> f64 {
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

/// Microseconds.
#[must_use]
pub fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// Microseconds of the server's CPU for one request.
#[must_use]
pub fn cpu(sample: &Sample) -> f64 {
    micros(sample.cpu) / count(sample)
}

#[expect(clippy::cast_precision_loss, reason = "there are not that many")]
fn count(sample: &Sample) -> f64 {
    sample.requests as f64
}

/// The figure of a gate in each round.
#[must_use]
pub fn by_round(rounds: &[Vec<Sample>], gate: usize, figure: impl Fn(&Sample) -> f64) -> Figures {
    Figures::new(rounds.iter().filter_map(|samples| samples.get(gate)).map(figure))
}

/// What a gate costs more than another one, each compared within its round.
#[must_use]
pub fn added(rounds: &[Vec<Sample>], gate: usize, base: usize) -> Figures {
    let difference =
        |samples: &Vec<Sample>| Some(cpu(samples.get(gate)?) - cpu(samples.get(base)?));
    Figures::new(rounds.iter().filter_map(difference))
}

/// What a gate was measured at, beside the one that all are compared with: CPU, added, ±, requests/s,
/// p50 and p99.
#[must_use]
pub fn row(rounds: &[Vec<Sample>], gate: usize, base: usize) -> String {
    let latency = |share| {
        let figures = by_round(rounds, gate, |sample| {
            quantile(&sample.latencies, share).map_or(f64::NAN, |latency| micros(*latency))
        });
        figures.median()
    };
    let rate = by_round(rounds, gate, |sample| count(sample) / sample.elapsed.as_secs_f64());
    let cpu = by_round(rounds, gate, cpu).median();
    let added = added(rounds, gate, base);
    format!(
        "{cpu:.2} | {:.2} | {:.2} | {:.0} | {:.0} | {:.0}",
        added.median(),
        added.spread(),
        rate.median(),
        latency(0.5),
        latency(0.99)
    )
}

/// A figure, and whether it stays within its target.
#[must_use]
pub fn judged(figure: f64, target: Option<f64>) -> String {
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

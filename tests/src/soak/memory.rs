//! Whether memory grows: samples over time, and the line through them.

use std::time::Duration;

/// Resident memory over the time of a run.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Since the start, and in bytes.
    samples: Vec<(Duration, u64)>,
}

impl Memory {
    pub(super) fn note(&mut self, since_start: Duration, bytes: u64) {
        self.samples.push((since_start, bytes));
    }

    pub(super) fn last(&self) -> u64 {
        self.samples.last().map(|(_, bytes)| *bytes).unwrap_or_default()
    }

    /// Up to about so many of them, evenly.
    pub(super) fn some(&self, count: usize) -> impl Iterator<Item = &(Duration, u64)> {
        self.samples.iter().step_by((self.samples.len() / count.max(1)).max(1))
    }

    /// MiB per second after the warm-up, by least squares; none of fewer than three samples.
    pub(super) fn slope(&self, warm_up: Duration) -> Option<f64> {
        let points: Vec<(f64, f64)> = self
            .samples
            .iter()
            .filter(|(time, _)| *time >= warm_up)
            .map(|(time, bytes)| (time.as_secs_f64(), mebibytes(*bytes)))
            .collect();
        if points.len() < 3 {
            return None;
        }
        let count = f64::from(u32::try_from(points.len()).unwrap_or(u32::MAX));
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (time, size) = (mean(|point| point.0), mean(|point| point.1));
        let covariance: f64 = points.iter().map(|point| (point.0 - time) * (point.1 - size)).sum();
        let variance: f64 = points.iter().map(|point| (point.0 - time).powi(2)).sum();
        (variance > 0.0).then(|| covariance / variance)
    }
}

/// Bytes as MiB.
pub(super) fn mebibytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / 1024).unwrap_or(u32::MAX)) / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_fitted_to_what_comes_after_the_warm_up() {
        let mut memory = Memory::default();
        let mib = 1024 * 1024;
        for (second, size) in [(0, 10), (1, 80), (2, 100), (3, 102), (4, 104), (5, 106)] {
            memory.note(Duration::from_secs(second), size * mib);
        }
        let slope = memory.slope(Duration::from_secs(2)).unwrap();
        assert!((slope - 2.0).abs() < 1e-9, "{slope}");
        assert!(memory.slope(Duration::ZERO).unwrap() > 5.0);
        assert_eq!(memory.slope(Duration::from_secs(4)), None);
        assert_eq!(memory.some(3).count(), 3);
        assert_eq!(memory.last(), 106 * mib);
    }
}

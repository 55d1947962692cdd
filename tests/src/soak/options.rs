//! How long a run takes, and how hard it is.

use std::time::Duration;

/// A run of the soak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long the gate is under load.
    pub duration: Duration,
    /// How long memory may grow first: caches fill, and the allocator finds its size.
    pub(super) warm_up: Duration,
    /// Clients that ask one request after the other.
    pub(super) connections: usize,
    /// What each of them waits between an answer and the next request.
    pub(super) pause: Duration,
    /// Sessions of the domain `shop`, and a quarter as many of `vault`.
    pub(super) sessions: usize,
    /// Between two looks at Envoy's memory.
    pub(super) memory_period: Duration,
}

impl Options {
    /// Full load for so long.
    #[must_use]
    pub fn full(duration: Duration) -> Self {
        Self {
            duration,
            warm_up: duration / 4,
            connections: 16,
            pause: Duration::ZERO,
            sessions: 64,
            memory_period: Duration::from_secs(2),
        }
    }

    /// A minute beside other tests: some 200 requests a second.
    #[must_use]
    pub fn short() -> Self {
        Self {
            connections: 4,
            pause: Duration::from_millis(20),
            sessions: 12,
            memory_period: Duration::from_secs(1),
            ..Self::full(Duration::from_secs(60))
        }
    }

    /// Reads the command line: `--minutes N`, 10 if it is not there.
    ///
    /// # Errors
    /// On anything else, and on a number that is not from 1 to 1440.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut minutes = 10;
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word, None),
            };
            if name != "--minutes" {
                return Err(format!("unknown option `{name}`"));
            }
            let value = value.or_else(|| words.next()).unwrap_or_default();
            minutes = value
                .parse()
                .ok()
                .filter(|minutes| (1..=1440).contains(minutes))
                .ok_or_else(|| format!("`--minutes` wants 1 to 1440, not `{value}`"))?;
        }
        Ok(Self::full(Duration::from_secs(60 * minutes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_can_be_chosen_and_mistakes_are_named() {
        let parse = |line: &str| Options::parse(line.split_whitespace().map(str::to_owned));
        let minutes = |line: &str| parse(line).unwrap().duration.as_secs() / 60;
        assert_eq!((minutes(""), minutes("--minutes 3"), minutes("--minutes=1")), (10, 3, 1));
        for wrong in ["--minutes", "--minutes 0", "--minutes x", "--hours 1", "3"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}

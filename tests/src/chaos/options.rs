//! How long a run takes, where the issuer's data is, and what chance begins with.

use std::path::PathBuf;
use std::time::Duration;

use crate::load::since_epoch;

/// Where the issuer's data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In a folder.
    Sqlite,
    /// In DynamoDB and Secrets Manager, emulated.
    Aws,
}

impl Storage {
    /// As the command line names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Aws => "aws",
        }
    }
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long the edges are under load, on each storage.
    pub duration: Duration,
    /// What chance begins with.
    pub seed: u64,
    /// One run after the other.
    pub storages: Vec<Storage>,
    /// Where the report goes, if anywhere.
    pub report: Option<PathBuf>,
}

/// The plan of a short run.
const SHORT_SEED: u64 = 577_981;

impl Options {
    /// Half a minute beside other tests.
    #[must_use]
    pub fn short(storage: Storage) -> Self {
        Self {
            duration: Duration::from_secs(30),
            // A plan that is the same each time, so that who sees it fail can see it again.
            seed: SHORT_SEED,
            storages: vec![storage],
            report: None,
        }
    }

    /// Whether there is no time for more than one of each disturbance.
    pub(super) fn is_short(&self) -> bool {
        self.duration < Duration::from_secs(90)
    }

    /// Reads the command line: `--seconds N` (240), `--seed N`, `--storage sqlite|aws|both` (both),
    /// `--report DIR` (`target/chaos`).
    ///
    /// # Errors
    /// On anything else.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            duration: Duration::from_secs(240),
            seed: any_seed(),
            storages: vec![Storage::Sqlite, Storage::Aws],
            report: Some(crate::workspace_root().join("target/chaos")),
        };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word, None),
            };
            let value = value.or_else(|| words.next()).unwrap_or_default();
            options.set(&name, &value)?;
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let number = value.parse::<u64>();
        match (name, number) {
            ("--seconds", Ok(seconds @ 30..=86_400)) => {
                self.duration = Duration::from_secs(seconds);
            }
            ("--seconds", _) => {
                return Err(format!("`--seconds` wants 30 to 86400, not `{value}`"));
            }
            ("--seed", Ok(seed)) => self.seed = seed,
            ("--seed", _) => return Err(format!("`--seed` wants a number, not `{value}`")),
            ("--storage", _) => {
                self.storages = match value {
                    "sqlite" => vec![Storage::Sqlite],
                    "aws" => vec![Storage::Aws],
                    "both" => vec![Storage::Sqlite, Storage::Aws],
                    _ => return Err(format!("`--storage` is sqlite, aws or both, not `{value}`")),
                };
            }
            ("--report", _) if !value.is_empty() => self.report = Some(value.into()),
            ("--report", _) => return Err("`--report` wants a folder".to_owned()),
            _ => return Err(format!("unknown option `{name}`")),
        }
        Ok(())
    }
}

/// It is printed, so that a run can be made again.
fn any_seed() -> u64 {
    u64::try_from(since_epoch().as_millis()).unwrap_or_default() % 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_mistakes_are_named() {
        let parse = |line: &str| Options::parse(line.split_whitespace().map(str::to_owned));
        let options = parse("--seconds 60 --seed=7 --storage aws --report /tmp/x").unwrap();
        assert_eq!((options.duration.as_secs(), options.seed), (60, 7));
        assert_eq!(options.storages, [Storage::Aws]);
        assert_eq!(options.report, Some("/tmp/x".into()));
        assert_eq!(parse("").unwrap().storages.len(), 2);
        for wrong in
            ["--seconds 3", "--seconds", "--seed x", "--storage s3", "--report", "--minutes 1", "3"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}

#![doc = include_str!("README.md")]

mod answer;
mod arn;
mod asked;
mod fetch;
mod judge;
mod log;
mod own_path;
mod settings;
#[cfg(test)]
mod tests;

use std::time::Duration;

use postern_verify::{Gate, KeySetId};
use serde_json::Value;

use self::{fetch::Fetcher, judge::Judged};
pub use self::{
    judge::{AuthorizerError, Judge, Outcome},
    settings::{ResponseKind, Settings, SettingsError},
};

/// How often a decision is taken anew when keys have come: a token may need those of two providers,
/// each found through a configuration.
const MAX_ROUNDS: usize = 4;

/// A Lambda authorizer of API Gateway: a gate, and what fetches its keys.
///
/// A Lambda is frozen between events, so keys are fetched while one is answered, and no fetch is
/// left under way.
pub struct Authorizer {
    judge: Judge,
    fetcher: Fetcher,
    now: fn() -> Duration,
}

impl Authorizer {
    /// The authorizer of these settings, which has yet to fetch keys.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] where keys lie where they cannot be fetched safely.
    pub fn new(settings: Settings, now: fn() -> Duration) -> Result<Self, SettingsError> {
        let seed = u64::try_from(now().as_nanos() & u128::from(u64::MAX)).unwrap_or_default();
        let fetcher = Fetcher::new(settings.policy())?;
        Ok(Self { judge: Judge::new(settings, seed)?, fetcher, now })
    }

    /// Fetches the keys that are due, as many as come within two seconds. What fails is told to
    /// the log, and tried again when it is needed.
    pub async fn fetch_keys(&mut self) {
        self.fetcher.fetch_due(self.judge.gate_mut(), self.now).await;
    }

    /// Answers an event of API Gateway.
    ///
    /// # Errors
    ///
    /// [`AuthorizerError`]: what API Gateway answers with 401 or 500. Nothing is let in.
    pub async fn answer(&mut self, event: &Value) -> Result<Value, AuthorizerError> {
        self.fetch_keys().await;
        for _ in 0..MAX_ROUNDS {
            match self.judge.judge(event, (self.now)(), true)? {
                Judged::Answer(answer) => return Ok(answer),
                Judged::Await(key_set) => self.fetch(&key_set).await,
            }
        }
        match self.judge.judge(event, (self.now)(), false)? {
            Judged::Answer(answer) => Ok(answer),
            Judged::Await(_) => Err(AuthorizerError::KeysUnavailable),
        }
    }

    async fn fetch(&mut self, key_set: &KeySetId) {
        let gate: &mut Gate = self.judge.gate_mut();
        gate.keys_mut().demand(key_set, (self.now)());
        self.fetcher.fetch_due(gate, self.now).await;
    }
}

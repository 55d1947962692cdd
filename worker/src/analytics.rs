//! Counting requests in Analytics Engine.

use postern_verify::Tally;
use worker::{AnalyticsEngineDataPointBuilder, Env};

use crate::{settings, station::Station};

/// Writes one data point for each provider and verdict: `index1` and `blob1` are the provider (empty
/// where a refusal is not of one alone), `blob2` is the code of the refusal or `allowed`, `double1` is
/// how many requests there were.
pub(crate) fn write(env: &Env, station: &Station, tallies: &[Tally]) {
    let Some(dataset) = settings::analytics(env) else { return };
    for tally in tallies.iter().filter(|tally| tally.requests > 0) {
        let name = tally.provider.and_then(|index| station.policy().provider_names().nth(index));
        let name = name.unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "a count of seconds has few digits")]
        let requests = tally.requests as f64;
        let point = AnalyticsEngineDataPointBuilder::new()
            .indexes([name])
            .add_blob(name)
            .add_blob(tally.code.unwrap_or("allowed"))
            .add_double(requests);
        // Nobody waits for a count.
        let _ = point.write_to(&dataset);
    }
}

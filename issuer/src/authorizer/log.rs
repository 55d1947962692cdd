//! One line for what is worth one. There is never a token, a claim or a query in it.

use postern_verify::{Denial, Fetch, Report};

use super::asked::Asked;

/// A longer path is cut.
const MAX_PATH_CHARS: usize = 256;
/// How many keys that were left out are logged for one key set.
const MAX_LOGGED_KEYS: usize = 4;

/// A request that was refused.
pub(super) fn denial(
    denial: &Denial,
    rule: Option<&str>,
    provider: Option<&str>,
    asked: &Asked<'_>,
) {
    let (code, method) = (denial.code(), asked.method);
    let path = asked.target.split('?').next().unwrap_or_default();
    let path: String = path.chars().take(MAX_PATH_CHARS).collect();
    tracing::info!(code, rule, provider, method, path, "denied");
}

/// What a rule on trial would have done, if it would have denied.
pub(super) fn report(report: Option<&Report>) {
    if let Some(Report { rule, code: Some(code), .. }) = report {
        tracing::info!(code, rule, "would deny");
    }
}

/// Keys that were fetched.
pub(super) fn keys(fetch: &Fetch, keys: usize, skipped: &[String]) {
    let skipped: Vec<&String> = skipped.iter().take(MAX_LOGGED_KEYS).collect();
    tracing::info!(from = fetch.source.authority, keys, ?skipped, "fetched keys");
}

/// Keys that were not fetched.
pub(super) fn not_fetched(fetch: &Fetch, reason: &str) {
    tracing::warn!(from = fetch.source.authority, reason, "cannot fetch keys");
}

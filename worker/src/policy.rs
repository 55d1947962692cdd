//! The policy: reading it, and from KV now and then anew.

use std::time::Duration;

use worker::Env;

use crate::{
    exports::{replace_station, with_station},
    keys::{self, Stores},
    log,
    network::within,
    settings::{self, KV, PolicySource, Settings},
    station::Station,
};

/// How long KV may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The text of the policy.
pub(crate) async fn read(settings: &Settings, env: &Env) -> Result<String, String> {
    let key = match &settings.source {
        PolicySource::Text { text, .. } => return Ok(text.clone()),
        PolicySource::Kv(key) => key,
    };
    let kv = settings::kv(env).ok_or_else(|| format!("{KV}: there is no such binding"))?;
    match within(PATIENCE, kv.get(key).text()).await {
        Some(Ok(Some(text))) => Ok(text),
        Some(Ok(None)) => Err(format!("{KV}: it has no `{key}`")),
        Some(Err(_)) | None => Err(format!("{KV}: `{key}` could not be read")),
    }
}

/// Reads the policy anew. Where it has changed, another gate takes the place of the one before, as soon
/// as it has its keys: no request waits for that. What cannot be read or used changes nothing.
pub(crate) async fn reread(env: &Env) {
    if let Err(reason) = try_reread(env).await {
        log::error("policy", &reason);
    }
}

async fn try_reread(env: &Env) -> Result<(), String> {
    let Some((settings, text, crypto)) = with_station(None, |station| station.parts()) else {
        return Ok(());
    };
    let fresh = read(&settings, env).await?;
    if fresh == text {
        return Ok(());
    }
    let station = Station::new(settings, fresh, crypto)?;
    let ring = keys::Fresh::new(station);
    keys::fetch_due(&ring, Stores::ReadFirst, env).await;
    replace_station(ring.into_station());
    log::info("policy", "another policy is in force");
    Ok(())
}

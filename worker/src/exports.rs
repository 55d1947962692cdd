//! The functions that `index.mjs` calls.

use std::{cell::RefCell, panic};

use js_sys::Promise;
use postern_javascript::{NodeCrypto, time};
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};
use worker::Env;

use crate::{analytics, keys, log, policy, settings::Settings, station::Station};

thread_local! {
    /// The gate of this isolate; none until the Worker is configured.
    static STATION: RefCell<Option<Station>> = const { RefCell::new(None) };
}

#[wasm_bindgen]
extern "C" {
    /// Tells `index.mjs` that this instance is not to be used any more.
    #[wasm_bindgen(js_namespace = globalThis, js_name = posternFailed)]
    fn failed();
}

/// Asks something of the gate; `None` where there is none, or it is another than `number` by now.
pub(crate) fn with_station<T>(
    number: Option<u64>,
    ask: impl FnOnce(&mut Station) -> T,
) -> Option<T> {
    STATION.with(|station| {
        // Whoever holds it has been ended by a trap, and will not give it back.
        let mut station = station.try_borrow_mut().inspect_err(|_| failed()).ok()?;
        let is_it = |station: &&mut Station| number.is_none_or(|number| number == station.number());
        station.as_mut().filter(is_it).map(ask)
    })
}

/// Puts another gate in the place of the one before.
pub(crate) fn replace_station(fresh: Station) {
    STATION.with(|station| station.replace(Some(fresh)));
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now() -> f64 {
    js_sys::Date::now()
}

/// Reads the variables and the policy. Returns where requests may go, as JSON.
///
/// # Errors
///
/// Which member is wrong, and why.
#[wasm_bindgen]
pub async fn configure(env: Env, bundled: String, crypto: NodeCrypto) -> Result<String, JsValue> {
    panic::set_hook(Box::new(|what| {
        // The place and not the message: that might quote a request.
        log::error("panic", &what.location().map(ToString::to_string).unwrap_or_default());
        failed();
    }));
    let begun = async {
        let settings = Settings::read(&env, bundled)?;
        let text = policy::read(&settings, &env).await?;
        // Another request of a young isolate may have been quicker.
        if let Some(origins) = origins_of(&text) {
            return Ok(origins);
        }
        let station = Station::new(settings, text, Some(crypto))?;
        let origins = station.origins().to_json();
        replace_station(station);
        Ok::<_, String>(origins)
    };
    begun.await.map_err(JsValue::from)
}

/// The origins of the gate in force, if this is its policy.
fn origins_of(text: &str) -> Option<String> {
    let origins = |station: &mut Station| station.is_of(text).then(|| station.origins().to_json());
    with_station(None, origins).flatten()
}

/// Decides on a request, at the time `now` in milliseconds since the Unix epoch.
///
/// The first line of what is to be done has one character of `+` (let it through, to the origin whose
/// number follows at the end of the line), `-` (answer) and `?` (keys are awaited), and then one of
/// `!` (call [`work`]) and `.`. Lines of `forward_text` and `answer_text` follow.
#[wasm_bindgen]
#[must_use]
pub fn decide(text: String, fields: usize, now: f64, may_wait: bool) -> String {
    let decided = with_station(None, |station| station.decide(text, fields, time(now), may_wait));
    decided.unwrap_or_else(crate::station::unavailable)
}

/// Does what is due; the promise ends when all of it has been done. Nothing where nothing is due.
#[wasm_bindgen]
#[must_use]
pub fn work(env: Env) -> Option<Promise> {
    let now = time(now())?;
    let (number, is_due, rereads) = with_station(None, |station| {
        let tallies = station.take_tallies(now);
        analytics::write(&env, station, &tallies);
        (station.number(), station.is_fetch_due(now), station.begins_to_reread(now))
    })?;
    if !is_due && !rereads {
        return None;
    }
    Some(wasm_bindgen_futures::future_to_promise(async move {
        let current = keys::Current { number };
        let fetches = keys::fetch_due(&current, keys::Stores::ReadFirst, &env);
        let rereading = async {
            if rereads {
                policy::reread(&env).await;
            }
        };
        futures_util::future::join(fetches, rereading).await;
        Ok(JsValue::UNDEFINED)
    }))
}

/// Takes what is at the place for an issuer's pushes, with the value of the field `Authorization`: whether
/// it is one. Then [`heed`] does what follows from it.
#[wasm_bindgen]
#[must_use]
pub fn push(authorization: &str) -> bool {
    let pushed = |station: &mut Station| Some(station.push(authorization, time(now())?));
    with_station(None, pushed).flatten().unwrap_or_default()
}

/// Fetches what an issuer has news of, and leaves it where all isolates find it. Of many pushes at once,
/// one does that.
#[wasm_bindgen]
pub async fn heed(env: Env) {
    let begin =
        |station: &mut Station| station.begins_to_fill(time(now())?).then(|| station.number());
    let Some(number) = with_station(None, begin).flatten() else { return };
    keys::fill(number, false, &env).await;
    with_station(Some(number), Station::ends_to_fill);
}

/// Fetches all key sets that the policy names and the status lists that are in use, and leaves them
/// where all isolates find them.
#[wasm_bindgen]
pub async fn refresh(env: Env) {
    let begin = |station: &mut Station| {
        station.refresh(time(now())?);
        Some(station.number())
    };
    let Some(number) = with_station(None, begin).flatten() else { return };
    keys::fill(number, true, &env).await;
}

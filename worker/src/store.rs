//! Copies of what the issuer answered, where other isolates find them: in the Cache API, which is near
//! and may forget, and in KV, which a scheduled event fills.

use std::time::Duration;

use js_sys::Promise;
use postern_verify::Fetch;
use serde::{Deserialize, Serialize};
use wasm_bindgen::{
    JsCast,
    prelude::{JsValue, wasm_bindgen},
};
use wasm_bindgen_futures::JsFuture;
use worker::{Env, Headers, Response};

use crate::{exports::now, network::within, settings};

/// A cache has names of its own for what it keeps: URLs, of a host that there is not.
const CACHE_KEYS: &str = "https://postern.invalid/keys?of=";
/// How long a copy may be kept, in seconds; the core knows for how long it may be used.
const KEPT_FOR: &str = "max-age=2592000";
/// What a key in KV begins with, and how long it may be there, in bytes.
const KV_KEYS: &str = "keys:";
const MAX_KV_KEY_BYTES: usize = 512;
/// How long a store may take: who waits for keys is better off with the issuer than with one that hangs.
const PATIENCE: Duration = Duration::from_millis(500);

/// The Cache API. The type of the `worker` crate takes it for granted that it is there and throws
/// nothing.
#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch, js_namespace = ["caches", "default"], js_name = "match")]
    fn look_up(key: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_namespace = ["caches", "default"], js_name = "put")]
    fn keep(key: &str, response: &worker::web_sys::Response) -> Result<JsValue, JsValue>;

    /// A `Response` of the cache.
    type Kept;

    #[wasm_bindgen(method, catch)]
    fn text(this: &Kept) -> Result<JsValue, JsValue>;
}

/// How far the clocks of isolates may differ, in milliseconds.
const LARGEST_SKEW: f64 = 60_000.0;

/// What an issuer answered.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Copy {
    /// When, in milliseconds since the Unix epoch.
    pub(crate) at: f64,
    /// The status; 0 where there was no answer.
    pub(crate) status: u16,
    pub(crate) etag: Option<String>,
    pub(crate) cache_control: Option<String>,
    pub(crate) age: Option<String>,
    pub(crate) body: String,
}

/// Where a fetch goes.
pub(crate) fn url(fetch: &Fetch) -> String {
    let source = &fetch.source;
    format!("{}://{}{}", source.scheme, source.authority, source.path)
}

/// The newest copy of what is to be fetched.
pub(crate) async fn read(fetch: &Fetch, env: &Env) -> Option<Copy> {
    // What may be secret was not put there, and who has put something else there is not believed.
    if fetch.may_hold_secrets {
        return None;
    }
    let url = url(fetch);
    let (cached, shared) = (within(PATIENCE, cached(&url)), within(PATIENCE, shared(&url, env)));
    let (cached, shared) = futures_util::future::join(cached, shared).await;
    // One that says it is from the future would be newer than whatever the issuer says.
    let is_from_now = |copy: &Copy| copy.status == 200 && copy.at <= now() + LARGEST_SKEW;
    let copies = [cached, shared].into_iter().flatten().flatten().filter(is_from_now);
    copies.max_by(|one, other| one.at.total_cmp(&other.at))
}

/// Keeps an answer that the core has taken. Where that was "not modified", the copy that there is
/// becomes as old as that.
pub(crate) async fn write(fetch: &Fetch, answer: Copy, to_kv: bool, env: &Env) {
    if fetch.may_hold_secrets {
        return;
    }
    let url = url(fetch);
    let copy = match answer.status {
        200 => answer,
        304 => match within(PATIENCE, cached(&url)).await.flatten() {
            Some(copy) if copy.etag == answer.etag => Copy { at: answer.at, ..copy },
            _ => return,
        },
        _ => return,
    };
    let Ok(text) = serde_json::to_string(&copy) else { return };
    // Who cannot keep it fetches it again.
    if to_kv
        && let (Some(kv), Some(key)) = (settings::kv(env), kv_key(&url))
        && let Ok(put) = kv.put(&key, text.as_str())
    {
        let _ = put.execute().await;
    }
    let headers = Headers::new();
    if headers.set("cache-control", KEPT_FOR).is_ok()
        && let Ok(response) = Response::ok(text)
    {
        let _ = outcome(keep(&cache_key(&url), &response.with_headers(headers).into())).await;
    }
}

async fn cached(url: &str) -> Option<Copy> {
    let kept = outcome(look_up(&cache_key(url))).await?;
    if kept.is_undefined() {
        return None;
    }
    let text = outcome(kept.unchecked_into::<Kept>().text()).await?;
    serde_json::from_str(&text.as_string()?).ok()
}

/// What a promise comes to, if all goes well.
async fn outcome(promise: Result<JsValue, JsValue>) -> Option<JsValue> {
    JsFuture::from(Promise::resolve(&promise.ok()?)).await.ok()
}

async fn shared(url: &str, env: &Env) -> Option<Copy> {
    let text = settings::kv(env)?.get(&kv_key(url)?).text().await.ok()??;
    serde_json::from_str(&text).ok()
}

fn cache_key(url: &str) -> String {
    let escaped = js_sys::encode_uri_component(url).as_string().unwrap_or_default();
    format!("{CACHE_KEYS}{escaped}")
}

fn kv_key(url: &str) -> Option<String> {
    let key = format!("{KV_KEYS}{url}");
    (key.len() <= MAX_KV_KEY_BYTES).then_some(key)
}

//! Copies of what the issuer answered, where other isolates find them: in the Cache API, which is near
//! and may forget, and in KV, which a scheduled event and the issuer's pushes fill.

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

use crate::{
    exports::now,
    lists::{self, ListInUse},
    network::within,
    settings,
};

/// A cache has names of its own for what it keeps: URLs, of a host that there is not.
const CACHE_KEYS: &str = "https://postern.invalid/keys?of=";
/// How long a copy may be kept, in seconds; the core knows for how long it may be used.
const KEPT_FOR: &str = "max-age=2592000";
/// What the name of a key set in KV begins with, and how long it may be there, in bytes.
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

/// How far the clocks of isolates may differ, in milliseconds: they are those of machines that keep time.
const LARGEST_SKEW: f64 = 2_000.0;

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
    /// Of a status list in KV: when it goes, in seconds since the Unix epoch.
    #[serde(default)]
    pub(crate) until: u64,
}

/// What copies of a document are kept under.
#[derive(Debug)]
pub(crate) struct Place {
    /// Its URL; of what is for one edge alone, also whose it is.
    name: String,
    /// Of a status list, whose it is.
    list: Option<ListInUse>,
    /// Whether it is one that may be secret as it comes: that is not put there, and who has put something
    /// else there is not believed.
    is_secret: bool,
    /// Whether the issuer signs it, and it is of use for seconds only: what KV has is older then, unless
    /// there is nothing else.
    pub(crate) is_signed: bool,
}

/// Where a fetch goes.
pub(crate) fn url(fetch: &Fetch) -> String {
    let source = &fetch.source;
    format!("{}://{}{}", source.scheme, source.authority, source.path)
}

impl Place {
    /// The place of what is to be fetched, for an edge of these ids and a provider of this name.
    pub(crate) fn of(fetch: &Fetch, edges: &str, provider: &str) -> Self {
        let is_for_edge = fetch.authorization.is_some();
        let mut name = url(fetch);
        if is_for_edge {
            // No URL that is fetched has a fragment.
            name.extend(["#", edges]);
        }
        let list = fetch.key_set.status_list.as_ref().map(|uri| ListInUse {
            uri: uri.to_string(),
            provider: provider.to_owned(),
            domain: fetch.key_set.domain.as_deref().map(str::to_owned),
        });
        let is_signed = is_for_edge || list.is_some();
        Self { name, list, is_secret: fetch.may_hold_secrets, is_signed }
    }

    fn cache_key(&self) -> String {
        let escaped = js_sys::encode_uri_component(&self.name).as_string().unwrap_or_default();
        format!("{CACHE_KEYS}{escaped}")
    }

    fn kv_key(&self) -> Option<String> {
        let prefix = if self.list.is_some() { lists::KV_LISTS } else { KV_KEYS };
        let key = format!("{prefix}{}", self.name);
        (key.len() <= MAX_KV_KEY_BYTES).then_some(key)
    }
}

/// The newest copy of a document.
pub(crate) async fn read(place: &Place, with_kv: bool, env: &Env) -> Option<Copy> {
    if place.is_secret {
        return None;
    }
    let cached = within(PATIENCE, cached(place));
    let shared = async {
        if !with_kv {
            return None;
        }
        within(PATIENCE, shared(place, env)).await.flatten()
    };
    let (cached, shared) = futures_util::future::join(cached, shared).await;
    if let (Some(list), Some(shared)) = (&place.list, &shared) {
        lists::note(&list.uri, shared.until);
    }
    // One that says it is from the future would be newer than whatever the issuer says.
    let is_from_now = |copy: &Copy| copy.status == 200 && copy.at <= now() + LARGEST_SKEW;
    let copies = [cached.flatten(), shared].into_iter().flatten().filter(is_from_now);
    copies.max_by(|one, other| one.at.total_cmp(&other.at))
}

/// Keeps an answer that the core has taken. Where that was "not modified", the copy that there is
/// becomes as old as that.
pub(crate) async fn write(place: &Place, answer: Copy, fills_kv: bool, env: &Env) {
    if place.is_secret {
        return;
    }
    let mut copy = match answer.status {
        200 => answer,
        304 => match within(PATIENCE, cached(place)).await.flatten() {
            Some(copy) if copy.etag == answer.etag => Copy { at: answer.at, ..copy },
            _ => return,
        },
        _ => return,
    };
    let to_kv = match &place.list {
        Some(list) => {
            let until = lists::until(&list.uri, fills_kv);
            copy.until = until.unwrap_or(copy.until);
            until.is_some()
        }
        None => fills_kv,
    };
    let Ok(text) = serde_json::to_string(&copy) else { return };
    // Who cannot keep it fetches it again.
    if to_kv {
        let _ = share(place, &text, copy.until, env).await;
    }
    let headers = Headers::new();
    if headers.set("cache-control", KEPT_FOR).is_ok()
        && let Ok(response) = Response::ok(text)
    {
        let _ = outcome(keep(&place.cache_key(), &response.with_headers(headers).into())).await;
    }
}

async fn cached(place: &Place) -> Option<Copy> {
    let kept = outcome(look_up(&place.cache_key())).await?;
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

async fn shared(place: &Place, env: &Env) -> Option<Copy> {
    let text = settings::kv(env)?.get(&place.kv_key()?).text().await.ok()??;
    serde_json::from_str(&text).ok()
}

async fn share(place: &Place, text: &str, until: u64, env: &Env) -> Option<()> {
    let mut put = settings::kv(env)?.put(&place.kv_key()?, text).ok()?;
    if let Some(list) = &place.list {
        put = put.expiration(until).metadata(list).ok()?;
    }
    put.execute().await.ok()
}

//! What the Worker's variables and bindings say. They are read here and nowhere else.

use js_sys::{Function, JSON, Reflect};
use postern_verify::EdgeCredential;
use wasm_bindgen::{JsCast, JsValue};
use worker::{AnalyticsEngineDataset, Env, kv::KvStore};
use zeroize::Zeroizing;

use crate::origins;

/// Where the policy is.
pub(crate) const POLICY_FROM: &str = "POSTERN_POLICY_FROM";
/// The policy itself, for `vars`.
pub(crate) const POLICY: &str = "POSTERN_POLICY";
/// The key of the policy, for `kv`.
const POLICY_KEY: &str = "POSTERN_POLICY_KEY";
const DEFAULT_POLICY_KEY: &str = "policy";
/// The KV namespace that isolates share.
pub(crate) const KV: &str = "POSTERN_KV";
/// What enrolments of this edge printed: a secret, `wrangler secret put POSTERN_EDGE`.
pub(crate) const EDGE: &str = "POSTERN_EDGE";
/// The Analytics Engine dataset that requests are counted in.
const ANALYTICS: &str = "POSTERN_ANALYTICS";

/// What the variables say.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) source: PolicySource,
    /// The text of `POSTERN_ORIGINS`.
    pub(crate) origins: String,
    /// The names of service bindings in it.
    pub(crate) services: Vec<String>,
    /// What the edge has from its enrolments.
    pub(crate) edges: Vec<EdgeCredential>,
}

/// Where the policy is.
#[derive(Debug, Clone)]
pub(crate) enum PolicySource {
    /// In the Worker's own variables or files: this is it.
    Text {
        /// What an error in it is named after.
        name: &'static str,
        text: String,
    },
    /// In KV, under this key.
    Kv(String),
}

impl Settings {
    /// Reads the variables. `bundled` is the text of the policy that was deployed with the Worker.
    pub(crate) fn read(env: &Env, bundled: String) -> Result<Self, String> {
        let source = match text(env, POLICY_FROM)?.as_deref() {
            Some("vars") => PolicySource::Text { name: POLICY, text: required(env, POLICY)? },
            Some("bundle") => PolicySource::Text { name: "policy.json", text: bundled },
            Some("kv") => {
                if kv(env).is_none() {
                    return Err(format!(
                        "{KV}: {POLICY_FROM} is `kv`, and there is no such binding"
                    ));
                }
                let key = text(env, POLICY_KEY)?;
                PolicySource::Kv(key.unwrap_or_else(|| DEFAULT_POLICY_KEY.to_owned()))
            }
            Some(_) => return Err(format!("{POLICY_FROM}: it is one of `vars`, `kv`, `bundle`")),
            None => return Err(format!("{POLICY_FROM}: it is missing: `vars`, `kv` or `bundle`")),
        };
        let origins = required(env, origins::MEMBER)?;
        let mut services = origins::services(&origins);
        services.retain(|name| is_service(env, name));
        Ok(Self { source, origins, services, edges: edges(env)? })
    }
}

/// The namespace that isolates share, if it is bound.
pub(crate) fn kv(env: &Env) -> Option<KvStore> {
    env.kv(KV).ok()
}

/// The dataset, if it is bound.
pub(crate) fn analytics(env: &Env) -> Option<AnalyticsEngineDataset> {
    env.analytics_engine(ANALYTICS).ok()
}

/// The credentials of this edge, if it has any. What is said of wrong ones quotes nothing.
fn edges(env: &Env) -> Result<Vec<EdgeCredential>, String> {
    let value = binding(env, EDGE);
    if value.is_undefined() {
        return Ok(Vec::new());
    }
    // Whoever can read `wrangler.toml` could read a table there.
    let text = value.as_string().map(Zeroizing::new);
    let text =
        text.ok_or_else(|| format!("{EDGE}: it is no secret (`wrangler secret put {EDGE}`)"))?;
    EdgeCredential::parse_all(text.as_bytes()).map_err(|error| format!("{EDGE}: {error}"))
}

fn required(env: &Env, name: &str) -> Result<String, String> {
    text(env, name)?.ok_or_else(|| format!("{name}: it is missing"))
}

/// A variable: a string as it is, and of anything else its JSON.
fn text(env: &Env, name: &str) -> Result<Option<String>, String> {
    let value = binding(env, name);
    if value.is_undefined() {
        return Ok(None);
    }
    if let Some(text) = value.as_string() {
        return Ok(Some(text));
    }
    let json = JSON::stringify(&value).ok().and_then(|json| json.as_string());
    json.map(Some).ok_or_else(|| format!("{name}: it is neither text nor JSON"))
}

fn is_service(env: &Env, name: &str) -> bool {
    Reflect::get(&binding(env, name), &"fetch".into())
        .is_ok_and(|fetch| fetch.is_instance_of::<Function>())
}

fn binding(env: &Env, name: &str) -> JsValue {
    Reflect::get(env, &name.into()).unwrap_or(JsValue::UNDEFINED)
}

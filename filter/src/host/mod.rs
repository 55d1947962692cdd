//! The calls to the proxy, in our terms.
//!
//! - [`abi`] is the proxy-wasm interface itself,
//! - [`environment`] what else the host has: the variables of the virtual machine.
//! - [`pairs`] is how it writes lists of fields,
//! - [`protobuf`] the messages that some of its functions take.

mod abi;
mod environment;
pub(crate) mod pairs;
mod protobuf;

use std::time::Duration;

use postern_verify::{Answer, Fetch, Forward, Request};
use serde_json::Value;
use zeroize::Zeroizing;

use self::abi::{BufferType, MapType, MetricType};
pub(crate) use self::{
    abi::{Bytes, LogLevel, Refused},
    environment::variable,
};

/// What properties of ours begin with; the host puts `wasm.` before it.
const PREFIX: &str = "postern.";
/// The most that a policy may have,
const MAX_POLICY_BYTES: usize = 64 << 20;
/// and the configuration of the virtual machine.
const MAX_VM_CONFIGURATION_BYTES: usize = 1 << 20;

/// Time since the Unix epoch; `None` where the clock cannot be read. There is no time to assume in
/// its stead: at any, some expired token would pass.
pub(crate) fn now() -> Option<Duration> {
    abi::current_time().ok().map(Duration::from_nanos)
}

/// Writes to Envoy's log. Callers pass codes and names, never a header or a token.
pub(crate) fn log(level: LogLevel, message: &str) {
    let _ = abi::log(level, message);
}

/// The policy.
pub(crate) fn plugin_configuration() -> Bytes {
    abi::buffer(BufferType::PluginConfiguration, MAX_POLICY_BYTES).unwrap_or_default()
}

/// The configuration of the virtual machine. It may be a secret.
pub(crate) fn vm_configuration() -> Zeroizing<Bytes> {
    let bytes = abi::buffer(BufferType::VmConfiguration, MAX_VM_CONFIGURATION_BYTES);
    Zeroizing::new(bytes.unwrap_or_default())
}

/// Whether `signature` is that of `message` by the key of this DER, as the proxy says; `None` where
/// it does not say.
pub(crate) fn verify_signature(
    hash: &str,
    key: &[u8],
    signature: &[u8],
    message: &[u8],
) -> Option<bool> {
    let arguments = protobuf::bytes_fields(&[hash.as_bytes(), key, signature, message]);
    let answer = abi::call_foreign_function("verify_signature", &arguments).ok()?;
    // Field 1, a boolean. A false one is not written at all, and what it says of the reason is not
    // of interest. Anything else is no answer.
    match answer.as_slice() {
        [0x08, 1, ..] => Some(true),
        [0x12, ..] | [0x08, 0, ..] => Some(false),
        _ => None,
    }
}

/// Header fields of a message, in their order, pseudo-headers first.
pub(crate) struct Fields(Bytes);

/// The header fields of the request at hand; `None` where the host does not give them.
pub(crate) fn request_fields() -> Option<Fields> {
    abi::map(MapType::RequestHeaders).ok().map(Fields)
}

/// The fields behind its body.
pub(crate) fn request_trailers() -> Option<Fields> {
    abi::map(MapType::RequestTrailers).ok().map(Fields)
}

/// The header fields of a fetch's response.
pub(crate) fn response_fields() -> Option<Fields> {
    abi::map(MapType::HttpCallResponseHeaders).ok().map(Fields)
}

impl Fields {
    /// The view of a request that the core decides on; `None` where the fields cannot be read.
    pub(crate) fn request(&self) -> Option<Request<'_>> {
        let (count, fields) = pairs::read(&self.0)?;
        let mut headers = Vec::with_capacity(count);
        let (mut method, mut scheme) = ("", "");
        let (mut target, mut authority) = (&b""[..], &b""[..]);
        for field in fields {
            let (name, value) = field?;
            if !name.starts_with(':') {
                headers.push((name, value));
                continue;
            }
            let text = || std::str::from_utf8(value).unwrap_or_default();
            match name {
                ":method" => method = text(),
                ":scheme" => scheme = text(),
                ":path" => target = value,
                ":authority" => authority = value,
                _ => {}
            }
        }
        let mut request = Request::new(method, target, headers);
        request.authority = authority;
        request.scheme = scheme;
        Some(request)
    }

    /// The names of the fields; `None` where they cannot be read.
    pub(crate) fn names(&self) -> Option<Vec<&str>> {
        let (_, mut fields) = pairs::read(&self.0)?;
        fields.try_fold(Vec::new(), |mut names, field| {
            names.push(field?.0);
            Some(names)
        })
    }

    /// The first value of a name in lower case.
    pub(crate) fn value(&self, name: &str) -> Option<&[u8]> {
        let (_, fields) = pairs::read(&self.0)?;
        fields.flatten().find(|field| field.0 == name).map(|field| field.1)
    }
}

/// Changes the request at hand as the verdict says.
///
/// # Errors
///
/// [`Refused`] where the host refused a change: the request must not go on then.
pub(crate) fn apply(forward: &Forward<'_>) -> Result<(), Refused> {
    let map = MapType::RequestHeaders;
    for name in forward.removed_headers() {
        abi::remove(map, name)?;
    }
    if let Some(target) = forward.target() {
        abi::replace(map, ":path", target)?;
    }
    for (name, value) in forward.set_headers() {
        // What the client sent under this name is gone by now, and to add costs half of replacing.
        abi::add(map, name, value)?;
    }
    if forward.clears_route_cache() {
        abi::call_foreign_function("clear_route_cache", &[])?;
    }
    Ok(())
}

/// Removes the trailer fields of a name.
pub(crate) fn remove_trailer(name: &str) -> Result<(), Refused> {
    abi::remove(MapType::RequestTrailers, name)
}

/// Answers the request at hand in the upstream's stead. The access log gets to know the code as
/// `%RESPONSE_CODE_DETAILS%`.
pub(crate) fn answer(answer: &Answer, code: &str) {
    let fields = answer.headers.iter().map(|(name, value)| (*name, value.as_bytes()));
    let fields = pairs::write(&fields.collect::<Vec<_>>());
    let details = format!("postern_denied{{{code}}}");
    let _ =
        abi::send_local_response(answer.status.into(), &details, answer.body.as_bytes(), &fields);
}

/// A property of the request at hand or of its route, by the segments of its path.
pub(crate) fn property(path: &[&str]) -> Option<Bytes> {
    abi::property(path.join("\0").as_bytes()).ok()
}

/// Declares what [`set_text`] and [`set_object`] of this name are to the rest of the proxy. To do so
/// twice is no harm.
pub(crate) fn declare(name: &str, is_object: bool) {
    let name = format!("{PREFIX}{name}");
    let arguments = protobuf::declare_property(&name, is_object);
    let _ = abi::call_foreign_function("declare_property", &arguments);
}

/// Sets the filter state `wasm.postern.NAME` of the request at hand to a text.
pub(crate) fn set_text(name: &str, text: &str) -> Result<(), Refused> {
    abi::set_property([PREFIX, name].concat().as_bytes(), text.as_bytes())
}

/// Sets it to an object: to the rest of the proxy, a `google.protobuf.Struct`.
pub(crate) fn set_object(name: &str, value: &Value) -> Result<(), Refused> {
    abi::set_property([PREFIX, name].concat().as_bytes(), &protobuf::structure(value))
}

/// A counter of this name among the host's metrics; `None` where the host has none for us.
pub(crate) fn counter(name: &str) -> Option<u32> {
    abi::define_metric(MetricType::Counter, name).ok()
}

/// A gauge, as [`counter`].
pub(crate) fn gauge(name: &str) -> Option<u32> {
    abi::define_metric(MetricType::Gauge, name).ok()
}

/// Adds to a counter.
pub(crate) fn count(counter: u32, more: u64) {
    if let Ok(more) = i64::try_from(more) {
        let _ = abi::increment_metric(counter, more);
    }
}

/// Sets a gauge.
pub(crate) fn record(gauge: u32, value: u64) {
    let _ = abi::record_metric(gauge, value);
}

/// Whether what is shared is shared with our own kind only. It is with all modules of one `vm_id`; who
/// has set none, as Istio does not, has not said that there are no others.
pub(crate) fn has_own_vm_id() -> bool {
    property(&["plugin_vm_id"]).is_some_and(|vm_id| !vm_id.is_empty())
}

/// What all threads of this proxy see under a key, and its version; `None` where there is nothing.
pub(crate) fn shared(key: &str) -> Option<(Bytes, u32)> {
    abi::shared_data(key.as_bytes()).ok()
}

/// Sets it, if its version is still this one; 0 is any. Whether that was so.
pub(crate) fn share(key: &str, value: &[u8], version: u32) -> bool {
    abi::set_shared_data(key.as_bytes(), value, version).is_ok()
}

/// Sends a fetch on its way; its end comes as `proxy_on_http_call_response` with this token.
///
/// # Errors
///
/// [`Refused`], such as for a cluster that does not exist.
pub(crate) fn dispatch(fetch: &Fetch, if_none_match: Option<&[u8]>) -> Result<u32, Refused> {
    let source = &fetch.source;
    let mut headers = vec![
        (":method", &b"GET"[..]),
        (":scheme", source.scheme.as_bytes()),
        (":authority", source.authority.as_bytes()),
        (":path", source.path.as_bytes()),
        ("accept", fetch.accept.as_bytes()),
    ];
    headers.extend(if_none_match.map(|etag| ("if-none-match", etag)));
    let authorization = fetch.authorization.as_ref().map(|words| words.as_bytes());
    headers.extend(authorization.map(|words| ("authorization", words)));
    let cluster = source.cluster.as_deref().unwrap_or_default();
    let timeout = u32::try_from(source.timeout.as_millis()).unwrap_or(u32::MAX);
    abi::http_call(cluster, &pairs::write(&headers), &pairs::write(&[]), timeout)
}

/// The body of a fetch's response, up to `max_bytes` of it.
pub(crate) fn response_body(max_bytes: usize) -> Bytes {
    abi::buffer(BufferType::HttpCallResponseBody, max_bytes).unwrap_or_default()
}

/// Makes the next calls speak of another request; false where it is gone.
pub(crate) fn enter(context_id: u32) -> bool {
    abi::set_effective_context(context_id).is_ok()
}

/// Lets a request go on that was held.
pub(crate) fn resume() {
    let _ = abi::continue_request();
}

/// Asks for a tick of the root context as soon as the host can give one.
pub(crate) fn tick_at_once() {
    tick_every(Duration::from_millis(1));
}

/// Asks for a tick of the root context every `period`, counted from now.
pub(crate) fn tick_every(period: Duration) {
    let _ = abi::set_tick_period(u32::try_from(period.as_millis()).unwrap_or(u32::MAX));
}

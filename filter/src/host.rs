//! The calls to the proxy. The SDK traps on most of the host's errors, which shuts the gate until
//! the host starts it anew; where a call here can fail, it is for the errors that it does return.
//! Headers are read as bytes and all at once: the SDK's string calls trap
//! on a value that is not UTF-8, and its single-value call shows the first of several fields only.

use std::time::{Duration, SystemTime};

use postern_verify::{Answer, Fetch, Forward, Request};
use proxy_wasm::{
    hostcalls,
    types::{BufferType, Bytes, LogLevel, MapType, MetricType, Status},
};

/// Header fields in their order, pseudo-headers first.
pub(crate) type Fields = Vec<(String, Bytes)>;

/// Time since the Unix epoch; `None` where the clock cannot be read. There is no time to assume in
/// its stead: at any, some expired token would pass.
pub(crate) fn now() -> Option<Duration> {
    hostcalls::get_current_time().ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()
}

/// Writes to Envoy's log. Callers pass codes and names, never a header or a token.
pub(crate) fn log(level: LogLevel, message: &str) {
    let _ = hostcalls::log(level, message);
}

/// Whether `signature` is that of `message` by the key of this DER, as the proxy says; `None` where
/// it does not say.
pub(crate) fn verify_signature(
    hash: &str,
    key: &[u8],
    signature: &[u8],
    message: &[u8],
) -> Option<bool> {
    let mut arguments = Vec::with_capacity(message.len() + key.len() + signature.len() + 32);
    let fields = [hash.as_bytes(), key, signature, message];
    for (number, field) in (1..).zip(fields) {
        // A length-delimited field of protobuf: number and wire type 2, length, bytes.
        arguments.push(number << 3 | 2);
        put_length(&mut arguments, field.len());
        arguments.extend_from_slice(field);
    }
    let answer = hostcalls::call_foreign_function("verify_signature", Some(&arguments)).ok()??;
    // Field 1, a boolean. A false one is not written at all, and what it says of the reason is not
    // of interest. Anything else is no answer.
    match answer.as_slice() {
        [0x08, 1, ..] => Some(true),
        [0x12, ..] | [0x08, 0, ..] => Some(false),
        _ => None,
    }
}

fn put_length(bytes: &mut Vec<u8>, mut length: usize) {
    loop {
        let low = u8::try_from(length & 0x7f).unwrap_or_default();
        length >>= 7;
        bytes.push(if length == 0 { low } else { low | 0x80 });
        if length == 0 {
            return;
        }
    }
}

/// The header fields of the request at hand; `None` where the host does not give them.
pub(crate) fn request_fields() -> Option<Fields> {
    hostcalls::get_map_bytes(MapType::HttpRequestHeaders).ok()
}

/// The view of a request that the core decides on.
pub(crate) fn request_view(fields: &Fields) -> Request<'_> {
    let pseudo = |name: &str| {
        let field = fields.iter().find(|field| field.0 == name);
        field.map_or(&[][..], |field| field.1.as_slice())
    };
    let text = |name: &str| std::str::from_utf8(pseudo(name)).unwrap_or_default();
    let plain = fields.iter().filter(|field| !field.0.starts_with(':'));
    let headers = plain.map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let mut request = Request::new(text(":method"), pseudo(":path"), headers);
    request.authority = pseudo(":authority");
    request.scheme = text(":scheme");
    request
}

/// Changes the request at hand as the verdict says; false where the host refused a change.
pub(crate) fn apply(forward: &Forward) -> bool {
    let set = |name: &str, value: Option<&[u8]>| {
        hostcalls::set_map_value_bytes(MapType::HttpRequestHeaders, name, value).is_ok()
    };
    let mut fields =
        forward.target().map(|target| (":path", target)).into_iter().chain(forward.set_headers());
    let mut removed = forward.removed_headers();
    removed.all(|name| set(name, None)) && fields.all(|(name, value)| set(name, Some(value)))
}

/// Answers the request at hand in the upstream's stead.
pub(crate) fn answer(answer: &Answer) {
    let headers = answer.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let body = answer.body.as_bytes();
    let _ = hostcalls::send_http_response(answer.status.into(), headers, Some(body));
}

/// A counter of this name among the host's metrics; `None` where the host has none for us.
pub(crate) fn counter(name: &str) -> Option<u32> {
    hostcalls::define_metric(MetricType::Counter, name).ok()
}

/// Counts one more.
pub(crate) fn increment(counter: Option<u32>) {
    if let Some(counter) = counter {
        let _ = hostcalls::increment_metric(counter, 1);
    }
}

/// Sends a fetch on its way; its end comes as `on_http_call_response` with this token.
pub(crate) fn dispatch(fetch: &Fetch) -> Result<u32, Status> {
    let source = &fetch.source;
    let mut headers = vec![
        (":method", "GET"),
        (":scheme", source.scheme.as_str()),
        (":authority", source.authority.as_str()),
        (":path", source.path.as_str()),
        ("accept", fetch.accept),
    ];
    let etag = fetch.if_none_match.as_deref().and_then(|etag| std::str::from_utf8(etag).ok());
    headers.extend(etag.map(|etag| ("if-none-match", etag)));
    let cluster = source.cluster.as_deref().unwrap_or_default();
    hostcalls::dispatch_http_call(cluster, headers, None, vec![], source.timeout)
}

/// The header fields of a fetch's response.
pub(crate) fn response_fields() -> Fields {
    hostcalls::get_map_bytes(MapType::HttpCallResponseHeaders).unwrap_or_default()
}

/// The body of a fetch's response, up to `max_bytes` of it.
pub(crate) fn response_body(max_bytes: usize) -> Bytes {
    let body = hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, max_bytes);
    body.ok().flatten().unwrap_or_default()
}

/// Makes the next calls speak of another request; false where it is gone.
pub(crate) fn enter(context_id: u32) -> bool {
    hostcalls::set_effective_context(context_id).is_ok()
}

/// Lets a request go on that was held.
pub(crate) fn resume() {
    let _ = hostcalls::resume_http_request();
}

/// Asks for a tick of the root context as soon as the host can give one.
pub(crate) fn tick_at_once() {
    tick_every(Duration::from_millis(1));
}

/// Asks for a tick of the root context every `period`, counted from now.
pub(crate) fn tick_every(period: Duration) {
    let _ = hostcalls::set_tick_period(period);
}

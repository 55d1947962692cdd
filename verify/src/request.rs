//! The view of a request that the core decides on.

use std::{borrow::Cow, cmp::Ordering, fmt, iter};

use crate::denial::Denial;

/// Longest path that rules are matched against, in bytes, as sent. Bounds the work of a regex.
const MAX_PATH_BYTES: usize = 8 * 1024;

/// A request as an adapter shows it to the core. It borrows everything.
///
/// # How a path is read
///
/// A gate that reads a path differently from the service behind it can be walked around:
/// `/public/..%2fadmin` is one path to the one and another to the other. The core percent-decodes
/// the path once (RFC 3986 §2.4), matches rules against the decoded text without the query, and
/// answers [`Denial::PathAmbiguous`] to what services are known to disagree on: `.` and `..`
/// segments; an empty segment (`//`); a `;`, which begins a parameter to some and is text to
/// others; a backslash; an encoded slash or `?`; a control character; a `%` that encodes nothing,
/// or that is itself encoded and would encode something if decoded twice; a `#`; text that is not
/// UTF-8. Each of these in its plain and in its encoded form.
#[derive(Clone)]
#[non_exhaustive]
pub struct Request<'a> {
    /// The method, as sent.
    pub method: &'a str,
    /// The target's path and query, as sent (`:path` of HTTP/2).
    pub target: &'a [u8],
    /// All header fields in their order, repeated ones too. Names are compared without case.
    pub headers: Vec<(&'a str, &'a [u8])>,
    /// The host and port that the client asks for (`:authority` of HTTP/2, `Host` of HTTP/1.1).
    pub authority: &'a [u8],
    /// `https` or `http`.
    pub scheme: &'a str,
    /// What the host's own configuration says of the route.
    pub route: Route<'a>,
    /// The value of the filter state that [`crate::Policy::filter_state_name`] names.
    pub filter_state: Option<&'a str>,
}

/// What a host's configuration says of the route of a request (Envoy's `PerRouteConfig`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Route<'a> {
    /// Nothing: the policy's rules decide.
    #[default]
    Rules,
    /// `disabled`: no token is needed.
    Disabled,
    /// `requirement_name`: an entry of the policy's `requirement_map`.
    Requirement(&'a str),
}

impl<'a> Request<'a> {
    /// A request over `https` whose authority is its one `Host` field, and of whose route the host says
    /// nothing.
    #[must_use]
    pub fn new(method: &'a str, target: &'a [u8], headers: Vec<(&'a str, &'a [u8])>) -> Self {
        let is_host = |field: &&(&str, &[u8])| field.0.eq_ignore_ascii_case("host");
        let mut hosts = headers.iter().filter(is_host);
        let authority = match (hosts.next(), hosts.next()) {
            (Some((_, host)), None) => host,
            // Which of two counts is what two readers could disagree on (RFC 9112 §3.2).
            _ => &b""[..],
        };
        let (scheme, route, filter_state) = ("https", Route::Rules, None);
        Self { method, target, headers, authority, scheme, route, filter_state }
    }

    /// Whether its content is that of a gRPC call (Envoy's `grpc` matcher).
    pub(crate) fn is_grpc(&self) -> bool {
        self.values("content-type").any(|value| {
            value
                .strip_prefix(b"application/grpc")
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"+"))
        })
    }

    /// Whether a browser asks what it may ask (Fetch §3.2.2, CORS-preflight request).
    pub(crate) fn is_cors_preflight(&self) -> bool {
        let says = |name| self.values(name).any(|value| !value.is_empty());
        self.method == "OPTIONS" && says("origin") && says("access-control-request-method")
    }

    /// All values of a header field, in their order.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let same = move |field: &&(&'a str, &'a [u8])| field.0.eq_ignore_ascii_case(name);
        self.headers.iter().filter(same).map(|field| field.1)
    }

    /// All values of a header field and of its copies (see [`is_copy`]), in their order.
    pub(crate) fn values_of_copies(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let copies = move |field: &&(&'a str, &'a [u8])| is_copy(field.0.as_bytes(), name);
        self.headers.iter().filter(copies).map(|field| field.1)
    }

    /// The target before the `?`.
    pub(crate) fn raw_path(&self) -> &'a [u8] {
        self.target.split(|byte| *byte == b'?').next().unwrap_or_default()
    }

    /// The target behind the first `?`, if there is one.
    pub(crate) fn query(&self) -> Option<&'a [u8]> {
        let mark = self.target.iter().position(|byte| *byte == b'?')?;
        self.target.get(mark + 1..)
    }

    /// The method that rules are matched against: upper-case letters and hyphens, as all registered
    /// ones are (RFC 9110 §16.1). Some services read `get` as `GET`, and a rule would not.
    pub(crate) fn method(&self) -> Result<&'a str, Denial> {
        let is_plain = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
        if self.method.is_empty() || !self.method.bytes().all(is_plain) {
            return Err(Denial::MethodAmbiguous);
        }
        Ok(self.method)
    }

    /// The decoded path that rules are matched against.
    pub(crate) fn path(&self) -> Result<Cow<'a, str>, Denial> {
        let raw = self.raw_path();
        if raw.len() > MAX_PATH_BYTES {
            return Err(Denial::PathTooLong { bytes: raw.len(), limit: MAX_PATH_BYTES });
        }
        decode_path(raw).ok_or(Denial::PathAmbiguous)
    }
}

/// Header values and targets can hold tokens, and debug output ends up in logs.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|field| field.0).collect();
        formatter
            .debug_struct("Request")
            .field("method", &self.method)
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

/// The one reading of a path; `None` where there is more than one.
pub(crate) fn decode_path(raw: &[u8]) -> Option<Cow<'_, str>> {
    let decoded = percent_decode(raw)?;
    let ambiguous = slashes(&decoded) != slashes(raw)
        || decoded.iter().any(|byte| b"\\;#?".contains(byte) || byte.is_ascii_control())
        || (matches!(decoded, Cow::Owned(_)) && has_escape(&decoded))
        || has_ambiguous_segment(&decoded);
    match decoded {
        _ if ambiguous => None,
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    }
}

/// Whether some service would read `sent` as `name`: upstreams in the CGI tradition read `X_User` as
/// `X-User`, and some fold every sign and ignore case.
pub(crate) fn is_copy(sent: &[u8], name: &str) -> bool {
    sent.len() == name.len()
        && (sent == name.as_bytes() || cmp_folded(sent, name.as_bytes()).is_eq())
}

/// The order in which copies of one name are equal.
pub(crate) fn cmp_folded(one: &[u8], other: &[u8]) -> Ordering {
    // A loop, since it runs for every header: built for size, adaptors are calls for each byte.
    for (one, other) in iter::zip(one, other) {
        let order = fold(*one).cmp(&fold(*other));
        if order.is_ne() {
            return order;
        }
    }
    one.len().cmp(&other.len())
}

/// A byte of a name as its most forgetful reader takes it.
#[expect(clippy::inline_always, reason = "built for size, it is a call for each byte of a name")]
#[inline(always)]
pub(crate) fn fold(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
}

/// Decodes `%XX` once; `None` where a `%` encodes nothing.
fn percent_decode(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !text.contains(&b'%') {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hex_digit(*bytes.next()?)? * 16 + hex_digit(*bytes.next()?)?,
            other => *other,
        });
    }
    Some(Cow::Owned(decoded))
}

/// Decodes a part of a query: `%XX`, and `+` as a space.
pub(crate) fn decode_form(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let spaced: Vec<u8> =
        text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    Cow::Owned(decode_leniently(&spaced))
}

/// Decodes `%XX` once, and `%u00XX` as some do, and leaves a `%` that encodes nothing as it is, as
/// many services do.
pub(crate) fn decode_leniently(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, behind)) = rest.split_first() {
        let (digits, length) = match behind {
            [b'u' | b'U', b'0', b'0', high, low, ..] if *byte == b'%' => (Some((high, low)), 5),
            [high, low, ..] if *byte == b'%' => (Some((high, low)), 2),
            _ => (None, 0),
        };
        let escaped = digits.and_then(|(high, low)| hex_digit(*high).zip(hex_digit(*low)));
        decoded.push(escaped.map_or(*byte, |(high, low)| high * 16 + low));
        rest = if escaped.is_some() { behind.get(length..).unwrap_or_default() } else { behind };
    }
    decoded
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn slashes(text: &[u8]) -> usize {
    text.split(|byte| *byte == b'/').count() - 1
}

/// Whether a second decoding would change the text.
fn has_escape(text: &[u8]) -> bool {
    let is_escape = |window: &[u8]| match window {
        [b'%', high, low] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
        _ => false,
    };
    text.windows(3).any(is_escape)
}

/// Dot segments, and empty segments between slashes.
fn has_ambiguous_segment(path: &[u8]) -> bool {
    let mut segments = path.split(|byte| *byte == b'/').peekable();
    let mut is_first = true;
    while let Some(segment) = segments.next() {
        let is_inner = !is_first && segments.peek().is_some();
        if matches!(segment, b"." | b"..") || (is_inner && segment.is_empty()) {
            return true;
        }
        is_first = false;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(target: &str) -> Option<String> {
        let request = Request::new("GET", target.as_bytes(), Vec::new());
        request.path().ok().map(Cow::into_owned)
    }

    #[test]
    fn decodes_the_path_and_leaves_the_query() {
        assert_eq!(path("/a/b?c=/../d").as_deref(), Some("/a/b"));
        assert_eq!(path("/%61dmin/").as_deref(), Some("/admin/"));
        assert_eq!(path("/a%25b%20/.hidden/...").as_deref(), Some("/a%b /.hidden/..."));
        assert_eq!(path("/caf%C3%A9").as_deref(), Some("/café"));
        assert_eq!(path("/").as_deref(), Some("/"));
        assert_eq!(path("").as_deref(), Some(""));
    }

    #[test]
    fn refuses_what_a_service_may_read_differently() {
        for target in [
            "/a/../b",
            "/a/..",
            "/./a",
            "/a/%2e%2e/b",
            "/a/.%2E",
            "/a/..;x=1/b",
            "/a//b",
            "//",
            "/a\\b",
            "/a%5cb",
            "/a%2fb",
            "/a%2Fb",
            "/a%00",
            "/a%0a",
            "/a%",
            "/a%4",
            "/a%zz",
            "/a#b",
            "/%ff",
            "/a/..%2fb",
            "//a",
            "/a;v=1/b",
            "/a%3bv=1",
            "/%2561dmin",
            "/a%23",
            "/a%3fx",
        ] {
            assert_eq!(path(target), None, "{target}");
        }
    }

    #[test]
    fn a_method_is_spelled_in_one_way() {
        let method = |method| Request::new(method, b"/", vec![]).method().is_ok();
        assert!(method("GET") && method("VERSION-CONTROL"));
        assert!(!["", "get", "Get", "GET ", "G\u{c9}T", "X1"].into_iter().any(method));
    }

    #[test]
    fn copies_are_what_a_lenient_reader_takes_for_the_name() {
        for copy in ["x-user-id", "X_User_Id", "x.user.id", "x!user~id"] {
            assert!(is_copy(copy.as_bytes(), "x-user-id"), "{copy}");
        }
        for other in ["x-user-i", "x-user-idd", "xuser-id", "x-user-1d"] {
            assert!(!is_copy(other.as_bytes(), "x-user-id"), "{other}");
        }
    }

    #[test]
    fn debug_output_hides_values() {
        let headers = vec![("authorization", &b"Bearer abc"[..])];
        let request = Request::new("GET", b"/?t=abc", headers);
        let text = format!("{request:?}");
        assert!(text.contains("authorization") && !text.contains("abc"), "{text}");
    }

    #[test]
    fn a_path_has_its_bound() {
        let code = |length| {
            let target = "/".to_owned() + &"a".repeat(length - 1);
            let request = Request::new("GET", target.as_bytes(), vec![]);
            request.path().err().map(|denial| denial.code())
        };
        assert_eq!(code(MAX_PATH_BYTES), None);
        assert_eq!(code(MAX_PATH_BYTES + 1), Some("path_too_long"));
    }

    #[test]
    fn finds_all_values_of_a_field_whatever_its_case() {
        let headers = vec![("a", &b"1"[..]), ("B", &b"2"[..]), ("A", &b"3"[..])];
        let request = Request::new("GET", b"/?x=1?y", headers);
        assert_eq!(request.values("A").collect::<Vec<_>>(), [b"1", b"3"]);
        assert_eq!(request.query(), Some(&b"x=1?y"[..]));
    }
}

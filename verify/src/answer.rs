//! What an adapter answers to a refused request.

use serde_json::json;

use crate::{
    denial::{BARE_CHALLENGE, Denial},
    location,
    policy::{DenyResponse, Location, Redirect},
    request::Request,
};

/// A whole HTTP response. It tells the client no more than the denial's code.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// HTTP status code.
    pub status: u16,
    /// Header fields, `content-type` and `cache-control` among them. Lower case.
    pub headers: Vec<(&'static str, String)>,
    /// A problem (RFC 9457) with the extension member `code`, or nothing.
    pub body: String,
}

/// How a request's denial is to be answered.
pub(crate) struct Style<'p, L> {
    pub(crate) deny_response: &'p DenyResponse,
    /// `strip_failure_response`
    pub(crate) bare: bool,
    /// All places where a token may stand, of whichever provider: what stands there does not go
    /// into a redirect.
    pub(crate) locations: L,
}

/// The longest `Location` that is sent. What comes of a longer target may be too much for a browser,
/// and is more than a stranger should get for it.
const MAX_LOCATION_BYTES: usize = 4 * 1024;

impl Denial {
    /// The answer where no rule says otherwise.
    #[must_use]
    pub fn answer(&self) -> Answer {
        problem(self, self.status(), false)
    }
}

/// The answer to `request`. What the client speaks comes first: gRPC has its own words, and a
/// browser without a valid token is sent to where it gets one.
pub(crate) fn answer<'p>(
    denial: &Denial,
    request: &Request<'_>,
    style: Style<'p, impl Iterator<Item = &'p Location>>,
) -> Answer {
    // A gRPC call is a POST. Of others, this would be a stranger's way to a status of 200.
    if request.method == "POST" && request.is_grpc() {
        return grpc(denial, style.bare);
    }
    if let Some(redirect) = &style.deny_response.redirect
        && denial.status() == 401
        && is_browser_navigation(request)
        && let Some(answer) = redirected(redirect, request, style.locations)
    {
        return answer;
    }
    let replaced = style.deny_response.status.filter(|_| matches!(denial.status(), 401 | 403));
    problem(denial, replaced.unwrap_or(denial.status()), style.bare)
}

fn problem(denial: &Denial, status: u16, bare: bool) -> Answer {
    let mut headers = vec![("cache-control", "no-store".to_owned())];
    // A challenge belongs to a refusal for want of credentials or rights (RFC 6750 §3).
    if denial.status() == status || matches!(status, 401 | 403) {
        headers.extend(challenge(denial, bare));
    }
    headers.extend(retry_after(denial));
    if bare {
        return Answer { status, headers, body: String::new() };
    }
    headers.push(("content-type", "application/problem+json".to_owned()));
    let body = json!({
        "type": "about:blank",
        "title": phrase(status),
        "status": status,
        "detail": denial.message(),
        "code": denial.code(),
    });
    Answer { status, headers, body: body.to_string() }
}

fn challenge(denial: &Denial, bare: bool) -> Option<(&'static str, String)> {
    let challenge = denial.challenge()?;
    Some(("www-authenticate", if bare { BARE_CHALLENGE.to_owned() } else { challenge }))
}

fn retry_after(denial: &Denial) -> Option<(&'static str, String)> {
    denial.retry_after_seconds().map(|seconds| ("retry-after", seconds.to_string()))
}

/// A "trailers-only" response of gRPC over HTTP/2, whose HTTP status is 200.
fn grpc(denial: &Denial, bare: bool) -> Answer {
    let status = match denial.status() {
        401 => "16", // UNAUTHENTICATED
        403 => "7",  // PERMISSION_DENIED
        503 => "14", // UNAVAILABLE
        _ => "3",    // INVALID_ARGUMENT
    };
    let mut headers = vec![
        ("content-type", "application/grpc".to_owned()),
        ("cache-control", "no-store".to_owned()),
        ("grpc-status", status.to_owned()),
    ];
    if !bare {
        // Codes and messages are ASCII without `%`: there is nothing to percent-encode.
        headers.push(("grpc-message", format!("{}: {}", denial.code(), denial.message())));
    }
    headers.extend(challenge(denial, bare));
    headers.extend(retry_after(denial));
    Answer { status: 200, headers, body: String::new() }
}

fn is_browser_navigation(request: &Request<'_>) -> bool {
    let wants_html = |value: &[u8]| {
        value.split(|byte| *byte == b',').any(|range| {
            let media_type = range.split(|byte| *byte == b';').next().unwrap_or_default();
            media_type.trim_ascii().eq_ignore_ascii_case(b"text/html")
        })
    };
    matches!(request.method, "GET" | "HEAD") && request.values("accept").any(wants_html)
}

fn redirected<'p>(
    redirect: &Redirect,
    request: &Request<'_>,
    locations: impl Iterator<Item = &'p Location>,
) -> Option<Answer> {
    let locations: Vec<&Location> = locations.collect();
    let target = location::without_tokens(request, &locations);
    let target = String::from_utf8_lossy(&target);
    let authority = String::from_utf8_lossy(request.authority);
    let url = format!("{}://{authority}{target}", request.scheme);
    let location = redirect
        .location
        .replace("{original_url}", &percent_encode(&url))
        .replace("{original_path}", &percent_encode(&target));
    if location.len() > MAX_LOCATION_BYTES {
        return None;
    }
    let headers = vec![
        ("cache-control", "no-store".to_owned()),
        ("location", location),
        ("vary", "accept".to_owned()),
    ];
    Some(Answer { status: redirect.status, headers, body: String::new() })
}

/// All but the unreserved characters (RFC 3986 §2.3), so that the text is one value of a query.
fn percent_encode(text: &str) -> String {
    let hex =
        |half: u8| char::from(b"0123456789ABCDEF".get(usize::from(half)).copied().unwrap_or(b'0'));
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.extend(['%', hex(byte >> 4), hex(byte & 15)]);
        }
    }
    encoded
}

/// The reason phrases (RFC 9110 §15) of statuses that a gate answers.
fn phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        410 => "Gone",
        414 => "URI Too Long",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        other if other < 500 => "Client Error",
        _ => "Server Error",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
        answer.headers.iter().find(|field| field.0 == name).map(|field| field.1.as_str())
    }

    fn style(deny_response: &DenyResponse) -> Style<'_, std::iter::Empty<&Location>> {
        Style { deny_response, bare: false, locations: std::iter::empty() }
    }

    fn request<'a>(method: &'a str, headers: &[(&'a str, &'a str)]) -> Request<'a> {
        let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        Request::new(method, b"/a?x=1&t=secret", headers)
    }

    #[test]
    fn a_denial_is_a_problem() {
        let answer = Denial::AudienceMismatch.answer();
        assert_eq!(
            answer.body,
            r#"{"code":"audience_mismatch","detail":"the token is meant for another audience","status":401,"title":"Unauthorized","type":"about:blank"}"#
        );
        assert_eq!(header(&answer, "content-type"), Some("application/problem+json"));
        let scope = "a b".to_owned();
        let answer = Denial::InsufficientScope { scope }.answer();
        let challenge = header(&answer, "www-authenticate").unwrap();
        assert!(challenge.contains(r#"error="insufficient_scope""#), "{challenge}");
        assert!(challenge.ends_with(r#", scope="a b""#), "{challenge}");
        let retry_after = Duration::from_millis(1_001);
        let answer = Denial::KeysUnavailable { retry_after }.answer();
        assert_eq!((answer.status, header(&answer, "retry-after")), (503, Some("2")));
    }

    #[test]
    fn a_rule_may_say_another_status() {
        let hidden = DenyResponse { status: Some(404), redirect: None };
        let answer = |denial: Denial| super::answer(&denial, &request("GET", &[]), style(&hidden));
        let missing = answer(Denial::TokenMissing);
        assert_eq!((missing.status, header(&missing, "www-authenticate")), (404, None));
        assert_eq!(answer(Denial::NoMatchingRule).status, 404);
        assert_eq!(answer(Denial::MultipleTokens).status, 400);
        let retry_after = Duration::from_secs(1);
        assert_eq!(answer(Denial::KeysUnavailable { retry_after }).status, 503);
        let forbidden = DenyResponse { status: Some(403), redirect: None };
        let missing = super::answer(&Denial::TokenMissing, &request("GET", &[]), style(&forbidden));
        assert_eq!(header(&missing, "www-authenticate"), Some(BARE_CHALLENGE));
    }

    #[test]
    fn a_browser_is_sent_to_where_it_gets_a_token() {
        let location = "https://login.example.com/?to={original_url}&path={original_path}";
        let redirect = Redirect { status: 303, location: location.to_owned() };
        let deny_response = DenyResponse { status: Some(404), redirect: Some(redirect) };
        let token = Location::Param("t".to_owned());
        let style = || Style {
            deny_response: &deny_response,
            bare: false,
            locations: std::iter::once(&token),
        };
        let headers = [("accept", "text/plain, Text/HTML;q=0.9"), ("host", "shop.example.com")];
        let sent = super::answer(&Denial::TokenMissing, &request("GET", &headers), style());
        assert_eq!((sent.status, sent.body.as_str()), (303, ""));
        assert_eq!(
            header(&sent, "location"),
            Some(
                "https://login.example.com/?to=https%3A%2F%2Fshop.example.com%2Fa%3Fx%3D1\
                 &path=%2Fa%3Fx%3D1"
            )
        );
        for (denial, request) in [
            (Denial::TokenMissing, request("POST", &headers)),
            (Denial::TokenMissing, request("GET", &[("accept", "text/htmlx, */*")])),
            (Denial::NoMatchingRule, request("GET", &headers)),
        ] {
            assert_eq!(super::answer(&denial, &request, style()).status, 404, "{denial}");
        }
    }

    #[test]
    fn a_location_has_its_bound() {
        let redirect = Redirect { status: 302, location: "/login?to={original_path}".to_owned() };
        let deny_response = DenyResponse { status: None, redirect: Some(redirect) };
        let status = |length: usize| {
            let target = format!("/{}", "a".repeat(length));
            let headers = vec![("accept", &b"text/html"[..])];
            let request = Request::new("GET", target.as_bytes(), headers);
            super::answer(&Denial::TokenMissing, &request, style(&deny_response)).status
        };
        assert_eq!((status(4_000), status(4_100)), (302, 401));
    }

    #[test]
    fn grpc_is_answered_in_its_own_words() {
        let plain = DenyResponse { status: Some(404), redirect: None };
        for (denial, status) in [
            (Denial::TokenMissing, "16"),
            (Denial::NoMatchingRule, "7"),
            (Denial::MultipleTokens, "3"),
            (Denial::KeysUnavailable { retry_after: Duration::ZERO }, "14"),
        ] {
            let request = request("POST", &[("content-type", "application/grpc+proto")]);
            let answer = super::answer(&denial, &request, style(&plain));
            assert_eq!((answer.status, header(&answer, "grpc-status")), (200, Some(status)));
            let message = header(&answer, "grpc-message").unwrap();
            assert!(message.starts_with(denial.code()), "{message}");
        }
    }

    #[test]
    fn a_stripped_answer_says_nothing_but_its_status() {
        let plain = DenyResponse::default();
        let style = || Style { bare: true, ..style(&plain) };
        let answer = super::answer(&Denial::AudienceMismatch, &request("GET", &[]), style());
        assert_eq!((answer.status, answer.body.as_str()), (401, ""));
        assert_eq!(header(&answer, "www-authenticate"), Some(BARE_CHALLENGE));
        assert_eq!(header(&answer, "content-type"), None);
        let grpc_request = request("POST", &[("content-type", "application/grpc")]);
        let answer = super::answer(&Denial::AudienceMismatch, &grpc_request, style());
        assert_eq!(header(&answer, "grpc-message"), None);
    }
}

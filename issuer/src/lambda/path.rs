//! The path and the query of a request, as the several services of AWS write them.

use std::fmt::Write;

use serde_json::Value;

use super::event::text;

/// The stage that is no part of any path.
const DEFAULT_STAGE: &str = "$default";

/// A path of an HTTP API, as it was sent.
///
/// HTTP APIs decode the path, in format 1.0 and 2.0 alike. Where they are called by the name that
/// they have from AWS, it begins with the stage, unless that is `$default`; behind a name of one's
/// own it does not, and `/prod/…` is the caller's own path there.
pub(crate) fn of_http_api(event: &Value, path: &str) -> String {
    match behind_stage(event, path) {
        Some(rest) if is_called_by_its_own_name(event) => {
            encoded(if rest.is_empty() { "/" } else { rest })
        }
        _ => encoded(path),
    }
}

/// Whether a path begins with the stage's name, and the name that the API is called by does not say
/// whether the caller or AWS has put it there.
pub(crate) fn may_begin_with_stage(event: &Value, path: &str) -> bool {
    behind_stage(event, path).is_some() && !is_called_by_its_own_name(event)
}

/// What follows the stage that a path begins with.
fn behind_stage<'e>(event: &Value, path: &'e str) -> Option<&'e str> {
    let stage =
        text(event, &["requestContext", "stage"]).filter(|stage| *stage != DEFAULT_STAGE)?;
    let rest = path.strip_prefix('/')?.strip_prefix(stage)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

fn is_called_by_its_own_name(event: &Value) -> bool {
    let id = text(event, &["requestContext", "apiId"]).filter(|id| !id.is_empty());
    let name = text(event, &["requestContext", "domainName"]);
    let rest = id.zip(name).and_then(|(id, name)| name.strip_prefix(id));
    rest.is_some_and(|rest| rest.starts_with(".execute-api."))
}

/// A decoded path, encoded so that decoding it once gives it back.
pub(crate) fn encoded(path: &str) -> String {
    escape(path, |byte| byte.is_ascii_graphic() && !b"%?#\"<>\\^`{|}".contains(&byte))
}

/// A path that is as it was sent, but for what could not have been sent: it is no URI's.
pub(crate) fn as_sent(path: &str) -> String {
    escape(path, |byte| byte.is_ascii_graphic() && !b"?#\"<>\\^`{|}".contains(&byte))
}

/// A path and a query, if there is any.
pub(crate) fn target(path: String, query: &str) -> String {
    if query.is_empty() { path } else { format!("{path}?{query}") }
}

/// The query of decoded parameters: those of each name in their order, which is all that the event
/// says of their order.
///
/// What some services would read on as another parameter stays as it is, so that the core sees it,
/// too: `;` and `=`, and in a name `%`.
pub(crate) fn query(pairs: &[(&str, &str)]) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~;=".contains(&byte);
    let pairs = pairs.iter().map(|(name, value)| {
        let name = escape(name, |byte| is_plain(byte) || byte == b'%');
        format!("{name}={}", escape(value, is_plain))
    });
    pairs.collect::<Vec<String>>().join("&")
}

fn escape(text: &str, is_plain: impl Fn(u8) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            escaped.push(char::from(byte));
        } else {
            // A string takes all that is written to it.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(stage: &str, name: &str) -> Value {
        json!({"requestContext": {"stage": stage, "apiId": "a1b2", "domainName": name}})
    }

    #[test]
    fn a_stage_is_no_part_of_the_path_where_aws_puts_it_in_front() {
        let own = "a1b2.execute-api.eu-central-1.amazonaws.com";
        for (stage, name, path, expected) in [
            ("prod", own, "/prod/login", "/login"),
            ("prod", own, "/prod", "/"),
            ("prod", own, "/production/login", "/production/login"),
            ("prod", own, "/login", "/login"),
            ("$default", own, "/$default/login", "/$default/login"),
            // A name of one's own leads to a stage without naming it.
            ("prod", "api.example.com", "/prod/login", "/prod/login"),
            ("prod", "a1b2.example.com", "/prod/login", "/prod/login"),
        ] {
            assert_eq!(of_http_api(&event(stage, name), path), expected, "{stage} {name} {path}");
        }
    }

    #[test]
    fn what_an_http_api_has_decoded_is_encoded_again() {
        let event = event("$default", "api.example.com");
        for (path, expected) in [
            ("/a b", "/a%20b"),
            ("/%41", "/%2541"),
            ("/a?b", "/a%3Fb"),
            ("/a#b", "/a%23b"),
            ("/ä", "/%C3%A4"),
            ("/a;b=c,d", "/a;b=c,d"),
        ] {
            assert_eq!(of_http_api(&event, path), expected);
        }
    }

    #[test]
    fn a_path_that_was_not_decoded_stays() {
        assert_eq!(as_sent("/a%20b%2Fc"), "/a%20b%2Fc");
        assert_eq!(as_sent("/a b?"), "/a%20b%3F");
    }

    #[test]
    fn a_query_is_encoded_and_keeps_what_is_repeated() {
        assert_eq!(query(&[("a", "1&b=2"), ("a", "3"), ("ä", "")]), "a=1%26b=2&a=3&%C3%A4=");
        assert_eq!(query(&[("%61", "%61;b=c")]), "%61=%2561;b=c");
        assert_eq!(target("/x".to_owned(), ""), "/x");
    }
}

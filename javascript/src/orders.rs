//! What JavaScript is to do, in one string: lines with a line feed between them.

use std::borrow::Cow;

use postern_verify::{Answer, Forward};

use crate::text::FieldCoding;

/// The changes to a request that is let through: a line with the target, empty where that stays as
/// it is; a line with the number of header fields to remove, and their names; then name and value of
/// each field to set.
///
/// `None` where the host has no string for a value, or one holds a line feed: such a request cannot
/// be let through.
#[must_use]
pub fn forward_text(forward: &Forward<'_>, coding: FieldCoding) -> Option<String> {
    let mut text = String::with_capacity(128);
    push(&mut text, &decode(forward.target().unwrap_or_default(), coding)?)?;
    text.push('\n');
    push(&mut text, &forward.removed_headers().count().to_string())?;
    for name in forward.removed_headers() {
        text.push('\n');
        push(&mut text, name)?;
    }
    for (name, value) in forward.set_headers() {
        text.push('\n');
        push(&mut text, name)?;
        text.push('\n');
        push(&mut text, &decode(value, coding)?)?;
    }
    Some(text)
}

/// An answer: a line with the status; a line with the number of header fields; name and value of
/// each of them; and all that follows is the body.
#[must_use]
pub fn answer_text(answer: &Answer) -> String {
    let mut text = format!("{}\n{}", answer.status, answer.headers.len());
    for (name, value) in &answer.headers {
        text.push('\n');
        text.push_str(name);
        text.push('\n');
        // A space for what would be a line of its own.
        text.extend(value.chars().map(|character| if character == '\n' { ' ' } else { character }));
    }
    text.push('\n');
    text.push_str(&answer.body);
    text
}

fn push(text: &mut String, line: &str) -> Option<()> {
    if line.contains('\n') {
        return None;
    }
    text.push_str(line);
    Some(())
}

fn decode(bytes: &[u8], coding: FieldCoding) -> Option<Cow<'_, str>> {
    match coding {
        FieldCoding::Bytes if !bytes.is_ascii() => {
            Some(bytes.iter().copied().map(char::from).collect::<String>().into())
        }
        FieldCoding::Bytes | FieldCoding::Utf8 => {
            std::str::from_utf8(bytes).ok().map(Cow::Borrowed)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use postern_verify::{Decision, Denial, Gate, Policy, Request};

    use super::*;

    fn forwarded(headers: Vec<(&str, &[u8])>, coding: FieldCoding) -> Option<String> {
        let policy = br#"{"providers": {"p": {
            "issuer": "i",
            "remote_jwks": {"http_uri": {"uri": "https://i.example.com/keys"}},
            "from_params": ["t"],
            "from_cookies": ["c"],
            "claim_to_headers": [{"header_name": "x-user-id", "claim_name": "sub"}]
        }}, "rules": [{"match": {"prefix": "/"}, "requires": {"allow_missing_or_failed": {}}}]}"#;
        let mut gate = Gate::new(Policy::parse(policy).unwrap());
        let request = Request::new("GET", b"/?t=no&x=1", headers);
        match gate.decide(&request, Duration::from_secs(1_800_000_000)) {
            Decision::Allow(forward) => forward_text(&forward, coding),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_changes_to_a_request_are_lines() {
        let headers: Vec<(&str, &[u8])> =
            vec![("X-User-Id", b"spoofed"), ("cookie", b"c=no; d=\xc3\xa9")];
        let expected = |cookie| format!("/?x=1\n2\nX-User-Id\ncookie\ncookie\nd={cookie}");
        let text = forwarded(headers.clone(), FieldCoding::Utf8);
        assert_eq!(text, Some(expected("\u{e9}")));
        assert_eq!(forwarded(headers, FieldCoding::Bytes), Some(expected("\u{c3}\u{a9}")));
    }

    #[test]
    fn what_the_host_has_no_string_for_goes_nowhere() {
        let bytes: Vec<(&str, &[u8])> = vec![("cookie", b"c=no; d=\xe9")];
        assert_eq!(forwarded(bytes.clone(), FieldCoding::Utf8), None);
        assert!(forwarded(bytes, FieldCoding::Bytes).is_some());
        let lines: Vec<(&str, &[u8])> = vec![("cookie", b"c=no; d=1\nx: y")];
        assert_eq!(forwarded(lines, FieldCoding::Bytes), None);
    }

    #[test]
    fn an_answer_is_lines_and_a_body() {
        let text = answer_text(&Denial::NoMatchingRule.answer());
        let lines: Vec<&str> = text.split('\n').collect();
        let [status, fields, name, value, ..] = lines[..] else { panic!("{text}") };
        assert_eq!((status, fields), ("403", "2"));
        assert_eq!((name, value), ("cache-control", "no-store"));
        assert!(lines[6].starts_with(r#"{"code":"no_matching_rule""#), "{text}");
    }
}

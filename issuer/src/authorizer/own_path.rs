//! The API's own part of a path.
//!
//! Called by a name of one's own, an API may stand behind a base path (`/v1`), and its stage may stand
//! in front. Events tell of both as a part of the path, and ARNs, by which API Gateway picks the route,
//! of neither. Whoever matched rules against `/v1/admin/x` would take it for none of `/admin/`.

/// The part of an event's path that the ARN tells of: all of it, or what stands behind a base path.
/// `None` where the two do not go together, so that nobody can tell.
pub(super) fn own_path<'p>(path: &'p str, routed: &str) -> Option<&'p str> {
    // An ARN may come without the slash at the end.
    let without_slash = |text: &'p str| text.strip_suffix('/').unwrap_or(text);
    let (sent, routed) = (without_slash(path), routed.strip_suffix('/').unwrap_or(routed));
    // Either of them may have been decoded.
    if sent == routed || decoded(sent) == routed.as_bytes() || decoded(routed) == sent.as_bytes() {
        return Some(path);
    }
    // The route of the root would be the end of every path, and a template is nobody's path.
    if routed.is_empty() || routed.contains('{') {
        return None;
    }
    let routed_decoded = String::from_utf8(decoded(routed)).ok();
    let base =
        sent.strip_suffix(routed).or_else(|| sent.strip_suffix(routed_decoded.as_deref()?))?;
    is_base_path(base).then(|| path.get(base.len()..)).flatten()
}

/// What API Gateway takes for the key of a mapping, and for the name of a stage.
fn is_base_path(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"$-_.+!*'(),".contains(&byte);
    let is_good =
        |part: &str| !part.is_empty() && part.bytes().all(is_plain) && !matches!(part, "." | "..");
    text.strip_prefix('/').is_some_and(|parts| parts.split('/').all(is_good))
}

/// Percent-decoded once; a `%` that encodes nothing stays.
fn decoded(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, behind @ ..] = rest {
        rest = behind;
        let escaped = match (byte, behind) {
            (b'%', [high, low, ..]) => digit(*high).zip(digit(*low)),
            _ => None,
        };
        if escaped.is_some() {
            rest = behind.get(2..).unwrap_or_default();
        }
        decoded.push(escaped.map_or(*byte, |(high, low)| high * 16 + low));
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_path_is_no_part_of_the_apis_own_path() {
        for (path, routed, expected) in [
            ("/admin/x", "/admin/x", Some("/admin/x")),
            ("/admin/x/", "/admin/x", Some("/admin/x/")),
            ("/v1/admin/x", "/admin/x", Some("/admin/x")),
            ("/v1/admin/", "/admin", Some("/admin/")),
            ("/a/b_c/prod/admin/x", "/admin/x", Some("/admin/x")),
            // Decoded in the one place, and not in the other.
            ("/a%20b", "/a b", Some("/a%20b")),
            ("/a b", "/a%20b", Some("/a b")),
            ("/v1/a b", "/a%20b", Some("/a b")),
            ("/v1/a%20b", "/a b", None),
            ("/", "/", Some("/")),
        ] {
            assert_eq!(own_path(path, routed), expected, "{path} {routed}");
        }
    }

    #[test]
    fn what_is_no_base_path_stays_unclear() {
        for (path, routed) in [
            ("//admin/x", "/admin/x"),
            ("/v1//admin/x", "/admin/x"),
            ("/../admin/x", "/admin/x"),
            ("/a;b/admin/x", "/admin/x"),
            ("/%61/admin/x", "/admin/x"),
            ("/admin/x", "/"),
            ("/admin/{x}", "/{x}"),
            ("/orders", "/admin"),
        ] {
            assert_eq!(own_path(path, routed), None, "{path} {routed}");
        }
    }
}

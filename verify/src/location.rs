//! The places where a token may stand: finding it there, and taking it away.

use crate::{
    denial::Denial,
    policy::Location,
    request::{Request, decode_leniently, is_copy},
};

/// Finds the one token that stands in `locations`, and where.
///
/// # Errors
///
/// [`Denial::MultipleTokens`] where there is more than one, in one place or in several.
pub(crate) fn find<'r, 'l>(
    request: &Request<'r>,
    locations: &'l [Location],
) -> Result<Option<(&'r [u8], &'l Location)>, Denial> {
    let mut found = None;
    for location in locations {
        let Some(token) = location.find(request)? else { continue };
        match found {
            None => found = Some((token, location)),
            // Two names of one place.
            Some((earlier, _)) if std::ptr::eq::<[u8]>(earlier, token) => {}
            Some(_) => return Err(Denial::MultipleTokens),
        }
    }
    Ok(found)
}

impl Location {
    /// The cookie's name, if it is one.
    pub(crate) fn cookie(&self) -> Option<&str> {
        match self {
            Self::Cookie(name) => Some(name),
            _ => None,
        }
    }

    /// The query parameter's name, if it is one.
    pub(crate) fn param(&self) -> Option<&str> {
        match self {
            Self::Param(name) => Some(name),
            _ => None,
        }
    }

    fn find<'r>(&self, request: &Request<'r>) -> Result<Option<&'r [u8]>, Denial> {
        match self {
            Self::Header { name, value_prefix } => find_in_header(request, name, value_prefix),
            Self::Cookie(name) => find_in_cookies(request, name),
            Self::Param(name) => only(params(request).filter_map(|pair| named_param(pair, name))),
        }
    }
}

/// Several fields of the name or of its copies, or several values in one field, are refused as soon
/// as one of them carries the prefix: which of them counts is what two readers could disagree on.
fn find_in_header<'r>(
    request: &Request<'r>,
    name: &str,
    prefix: &str,
) -> Result<Option<&'r [u8]>, Denial> {
    let mut count = 0;
    let mut token = None;
    let mut look_at = |value: &'r [u8]| {
        count += 1;
        token = token.or(token_behind(value.trim_ascii_start(), prefix.as_bytes()));
    };
    for field in request.values_of_copies(name) {
        // To find that there is no comma is many times faster than to split byte by byte.
        if field.contains(&b',') {
            field.split(|byte| *byte == b',').for_each(&mut look_at);
        } else {
            look_at(field);
        }
    }
    match token {
        Some(_) if count > 1 => Err(Denial::MultipleTokens),
        other => Ok(other),
    }
}

/// The token behind the prefix. What some readers would skip before the prefix is left in the
/// token, which is a bad one then.
fn token_behind<'r>(value: &'r [u8], prefix: &[u8]) -> Option<&'r [u8]> {
    let start = value.iter().position(|byte| !is_space_to_some(*byte))?;
    let token = strip_prefix(value.get(start..)?, prefix)?;
    Some(if start == 0 { token } else { value })
}

/// What one or another language takes for white space, in Latin-1 or as the first byte of UTF-8.
fn is_space_to_some(byte: u8) -> bool {
    byte <= b' ' || byte >= 0x7f
}

/// Schemes ignore case and are followed by one or more spaces (RFC 9110 §11.1, §11.4). A lenient
/// reader takes other signs for a space too: what stands behind them is a token, a bad one.
fn strip_prefix<'r>(value: &'r [u8], prefix: &[u8]) -> Option<&'r [u8]> {
    let scheme = prefix.strip_suffix(b" ");
    let (start, mut token) = value.split_at_checked(scheme.unwrap_or(prefix).len())?;
    if !start.eq_ignore_ascii_case(scheme.unwrap_or(prefix)) {
        return None;
    }
    if scheme.is_some() {
        token.first().filter(|byte| is_space_to_some(**byte))?;
        while let Some(rest) = token.strip_prefix(b" ") {
            token = rest;
        }
    }
    (!token.is_empty()).then_some(token)
}

/// A cookie that only some readers see is as good as a second token.
fn find_in_cookies<'r>(request: &Request<'r>, name: &str) -> Result<Option<&'r [u8]>, Denial> {
    let mut readings = 0;
    for pair in cookies(request) {
        let seen_by_all = named(pair, name).is_some();
        let seen_by_some = pairs_within(pair).filter(|part| named(part, name).is_some()).count();
        readings += seen_by_some.max(usize::from(seen_by_all));
        if readings > 1 || (seen_by_some > 0 && !seen_by_all) {
            return Err(Denial::MultipleTokens);
        }
    }
    only(cookies(request).filter_map(|pair| named(pair, name)))
}

fn only<'r>(mut tokens: impl Iterator<Item = &'r [u8]>) -> Result<Option<&'r [u8]>, Denial> {
    let first = tokens.next();
    if tokens.next().is_some() { Err(Denial::MultipleTokens) } else { Ok(first) }
}

/// The `name=value` pairs of all `Cookie` fields (RFC 6265 §4.2.1; HTTP/2 may split them).
fn cookies<'r>(request: &Request<'r>) -> impl Iterator<Item = &'r [u8]> {
    request.values("cookie").flat_map(cookie_pairs)
}

/// The pairs that some reader sees within one: several languages' parsers end a value at white
/// space too, and the oldest at a comma (RFC 2109 §4.2.2).
fn pairs_within(pair: &[u8]) -> impl Iterator<Item = &[u8]> {
    pair.split(|byte| *byte <= b' ' || *byte == b',').filter(|part| !part.is_empty())
}

/// Whether some service would read a cookie of this name in the pair.
fn holds_cookie(pair: &[u8], name: &str) -> bool {
    let is_it = |part: &[u8]| {
        let found = part.split(|byte| *byte == b'=').next().unwrap_or_default();
        is_named(found, name)
    };
    // With blanks around its name, it is one pair to most.
    is_it(pair) || pairs_within(pair).any(is_it)
}

fn cookie_pairs(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    field.split(|byte| *byte == b';').map(<[u8]>::trim_ascii)
}

/// The parameters of the query, each with its separator behind it. Some services separate by `;`.
fn params<'r>(request: &Request<'r>) -> impl Iterator<Item = &'r [u8]> {
    let is_separator = |byte: &u8| matches!(byte, b'&' | b';');
    request.query().into_iter().flat_map(move |query| query.split_inclusive(is_separator))
}

/// The parameters that some service would read under this name, without their separators.
pub(crate) fn params_named<'r>(
    request: &Request<'r>,
    name: &str,
) -> impl Iterator<Item = &'r [u8]> {
    params(request).map(without_separator).filter(move |param| {
        let found = param.split(|byte| *byte == b'=').next().unwrap_or_default();
        is_named(found, name)
    })
}

fn without_separator(param: &[u8]) -> &[u8] {
    param.strip_suffix(b"&").or(param.strip_suffix(b";")).unwrap_or(param)
}

/// The value of a pair of this name; an empty one is as good as none.
fn named<'r>(pair: &'r [u8], name: &str) -> Option<&'r [u8]> {
    value_of(pair, |found| is_named(found, name))
}

fn named_param<'r>(param: &'r [u8], name: &str) -> Option<&'r [u8]> {
    named(without_separator(param), name)
}

fn value_of(pair: &[u8], is_named: impl Fn(&[u8]) -> bool) -> Option<&[u8]> {
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    let (found, value) = pair.split_at_checked(equals)?;
    let value = value.get(1..)?;
    (is_named(found) && !value.is_empty()).then_some(value)
}

/// Whether some service would read the name of a cookie or parameter as `name`. They decode it, so
/// `%61ccess_token` is `access_token` too; some fold it as they do the names of headers, end it at
/// a NUL, drop blanks around it, drop an index (`access_token[]`), or take it out of brackets.
pub(crate) fn is_named(found: &[u8], name: &str) -> bool {
    // As short as this and without a sign to decode or to drop, it is the name or it is not.
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if found.iter().all(is_plain) {
        return is_copy(found, name);
    }
    let decoded = decode_leniently(found);
    let text = decoded.split(|byte| *byte == 0).next().unwrap_or_default();
    let first = text.split(|byte| matches!(byte, b'[' | b']')).find(|part| !part.is_empty());
    is_copy(trim_blanks(text), name) || is_copy(trim_blanks(first.unwrap_or_default()), name)
}

fn trim_blanks(text: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| *byte <= b' ' || *byte == b'+';
    let start = text.iter().position(|byte| !is_blank(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
    text.get(start..end).unwrap_or_default()
}

/// Whether there is a cookie of one of these names.
pub(crate) fn has_cookie(request: &Request<'_>, names: &[&str]) -> bool {
    cookies(request).any(|pair| names.iter().any(|name| holds_cookie(pair, name)))
}

/// The `Cookie` field that is left when the cookies of these names are taken away; `None` where
/// nothing is left of it.
pub(crate) fn without_cookies(request: &Request<'_>, names: &[&str]) -> Option<Vec<u8>> {
    let keep =
        |pair: &&[u8]| !pair.is_empty() && !names.iter().any(|name| holds_cookie(pair, name));
    let kept: Vec<&[u8]> = cookies(request).filter(keep).collect();
    (!kept.is_empty()).then(|| kept.join(&b"; "[..]))
}

/// The target that is left when every parameter is taken away that may hold a token.
pub(crate) fn without_tokens(request: &Request<'_>, locations: &[&Location]) -> Vec<u8> {
    let names: Vec<&str> = locations.iter().filter_map(|location| location.param()).collect();
    without_params(request, &names)
}

/// The target that is left when the parameters of these names are taken away.
pub(crate) fn without_params(request: &Request<'_>, names: &[&str]) -> Vec<u8> {
    let keep = |param: &&[u8]| {
        let pair = without_separator(param);
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        !names.iter().any(|taken| is_named(name, taken))
    };
    let kept: Vec<&[u8]> = params(request).filter(keep).collect();
    if kept.len() == params(request).count() {
        return request.target.to_vec();
    }
    let query = kept.concat();
    let mark = if query.is_empty() { &b""[..] } else { b"?" };
    [request.raw_path(), mark, without_separator(&query)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request<'a>(target: &'a str, headers: &[(&'a str, &'a str)]) -> Request<'a> {
        let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        Request::new("GET", target.as_bytes(), headers)
    }

    fn bearer() -> Vec<Location> {
        let name = "authorization".to_owned();
        vec![Location::Header { name, value_prefix: "Bearer ".to_owned() }]
    }

    fn find_text(request: &Request<'_>, locations: &[Location]) -> Result<Option<String>, Denial> {
        let found = find(request, locations)?;
        Ok(found.map(|(token, _)| String::from_utf8(token.to_vec()).unwrap()))
    }

    #[test]
    fn finds_a_bearer_token() {
        for (value, token) in [
            ("Bearer a.b.c", Some("a.b.c")),
            ("bearer   a.b.c", Some("a.b.c")),
            ("Bearer\ta.b.c", Some("\ta.b.c")),
            ("Bearer \ta.b.c", Some("\ta.b.c")),
            ("Bearer\u{a0}a.b.c", Some("\u{a0}a.b.c")),
            ("\u{b}Bearer a.b.c", Some("\u{b}Bearer a.b.c")),
            ("  ", None),
            ("Basic eA==", None),
            ("Digest realm=\"x\", nonce=\"y\"", None),
            ("Bearer", None),
            ("Bearer ", None),
            ("Bearera.b.c", None),
            ("", None),
        ] {
            let request = request("/", &[("Authorization", value)]);
            assert_eq!(find_text(&request, &bearer()), Ok(token.map(str::to_owned)), "{value}");
        }
    }

    #[test]
    fn refuses_several_values() {
        for headers in [
            &[("authorization", "Bearer a"), ("authorization", "Bearer b")][..],
            &[("authorization", "Basic a"), ("Authorization", "Bearer b")],
            &[("authorization", "Bearer a, Bearer b")],
            &[("authorization", "Bearer a,")],
            &[("authorization", "Basic a,bearer b")],
            &[("authorization", "Bearer a"), ("AUTHORIZATION", "")],
        ] {
            let found = find_text(&request("/", headers), &bearer());
            assert_eq!(found, Err(Denial::MultipleTokens), "{headers:?}");
        }
    }

    #[test]
    fn finds_cookies_and_parameters() {
        let locations =
            [Location::Cookie("token".to_owned()), Location::Param("access_token".to_owned())];
        let find = |target, cookie| find_text(&request(target, &[("cookie", cookie)]), &locations);
        assert_eq!(find("/?a=1", "a=b; token=x=1"), Ok(Some("x=1".to_owned())));
        assert_eq!(find("/?%61ccess_token=x", "token2=y"), Ok(Some("x".to_owned())));
        assert_eq!(find("/?a=1;access_token=x;b", ""), Ok(Some("x".to_owned())));
        assert_eq!(find("/?access_token=", "token="), Ok(None));
        assert_eq!(find("/?access_token", "token"), Ok(None));
        for (target, cookie) in [
            ("/?access_token=x", "token=x"),
            ("/", "token=x; token=x"),
            ("/?access_token=x&access_token=y", ""),
            ("/?access_token=x&Access.Token=y", ""),
            ("/?access_token=x&%20access_token[]=y", ""),
            ("/?access_token=x&access[token=y", ""),
            ("/?access_token=x&access_token%00z=y", ""),
            ("/?access_token=x&%61ccess_token[%]=y", ""),
            ("/", "token=x; To%6ben=y"),
            ("/", "token =x; token=y"),
            ("/?access_token=x&[access_token]=y", ""),
            ("/?access_token=x&%5Baccess_token%5D=y", ""),
            ("/?access_token=x&%u0061ccess_token=y", ""),
            ("/", "token=x; a=1 token=y"),
            ("/", "a=1 token=y"),
            ("/", "a=1,token=y"),
            ("/", "token=x token=y"),
            ("/", "token=x\ttoken=y"),
        ] {
            assert_eq!(find(target, cookie), Err(Denial::MultipleTokens), "{target} {cookie}");
        }
    }

    #[test]
    fn takes_away_what_only_some_readers_see() {
        let request = request(
            "/?[t]=1&t[]=2&%u0074=3&x=4&tt=5",
            &[("cookie", "a=1 t=x; b=2; c=3,t=y; d=t e")],
        );
        assert_eq!(without_params(&request, &["t"]), b"/?x=4&tt=5");
        assert_eq!(without_cookies(&request, &["t"]).as_deref(), Some(&b"b=2; d=t e"[..]));
        assert!(has_cookie(&request, &["t"]) && !has_cookie(&request, &["z"]));
    }

    #[test]
    fn takes_cookies_and_parameters_away_and_leaves_the_rest() {
        let request = request(
            "/p%61th?x=1&%61ccess_token=t&access_token&y=a=b;access_token=u",
            &[("cookie", "a=1; token=t;b=2"), ("cookie", " token=u ; c=3")],
        );
        assert_eq!(without_cookies(&request, &["token"]).as_deref(), Some(&b"a=1; b=2; c=3"[..]));
        assert_eq!(without_cookies(&request, &["a", "token", "b", "c"]), None);
        assert_eq!(without_params(&request, &["access_token"]), b"/p%61th?x=1&y=a=b");
        assert_eq!(without_params(&request, &["x", "y", "access_token"]), b"/p%61th");
    }
}

//! Where a request carries its token.

use axum::http::{HeaderMap, HeaderName, header::AUTHORIZATION};

const SCHEME: &str = "Bearer";

/// Why a request has no token to look at.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TokenHeaderError {
    /// The header is missing, or has credentials of another kind.
    Missing,
    /// The header cannot hold one token: it is repeated, joined or not text.
    Invalid,
}

/// Whether a token may stand alone in the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `Bearer` and the token (RFC 6750, section 2.1).
    Bearer,
    /// That, or the token alone.
    BearerOrBare,
}

/// The one token of a request.
pub(super) fn token<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
    form: Form,
) -> Result<&'h [u8], TokenHeaderError> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or(TokenHeaderError::Missing)?;
    let text = value.to_str().map_err(|_| TokenHeaderError::Invalid)?;
    // Two tokens are one too many: which of them a proxy in between looked at is unknown.
    if values.next().is_some() || text.contains(',') {
        return Err(TokenHeaderError::Invalid);
    }
    // A header of one's own has no other schemes to be told apart from.
    let bare_allowed = form == Form::BearerOrBare || *name != AUTHORIZATION;
    let token = match text.trim().split_once([' ', '\t']) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(SCHEME) => token.trim(),
        None if bare_allowed && !text.trim().eq_ignore_ascii_case(SCHEME) => text.trim(),
        _ => "",
    };
    if token.is_empty() { Err(TokenHeaderError::Missing) } else { Ok(token.as_bytes()) }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn read(values: &[&[u8]], name: &HeaderName, form: Form) -> Result<String, TokenHeaderError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        token(&headers, name, form).map(|token| String::from_utf8(token.to_vec()).unwrap())
    }

    #[test]
    fn authorization_is_bearer_and_bare_only_where_asked_for() {
        let read = |value: &str, form| read(&[value.as_bytes()], &AUTHORIZATION, form);
        for form in [Form::Bearer, Form::BearerOrBare] {
            for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER  a.b.c", "Bearer\ta.b.c"] {
                assert_eq!(read(value, form).as_deref(), Ok("a.b.c"), "{value}");
            }
            for value in ["", "Bearer", "Bearer ", "Basic YTpi", "DPoP a.b.c"] {
                assert_eq!(read(value, form), Err(TokenHeaderError::Missing), "{value}");
            }
        }
        assert_eq!(read("a.b.c", Form::BearerOrBare).as_deref(), Ok("a.b.c"));
        assert_eq!(read("a.b.c", Form::Bearer), Err(TokenHeaderError::Missing));
    }

    #[test]
    fn a_header_of_ones_own_takes_both_forms() {
        let name = HeaderName::from_static("x-token");
        for value in ["a.b.c", "Bearer a.b.c"] {
            let token = read(&[value.as_bytes()], &name, Form::Bearer);
            assert_eq!(token.as_deref(), Ok("a.b.c"));
        }
    }

    #[test]
    fn more_than_one_token_is_none() {
        let read = |values: &[&[u8]]| read(values, &AUTHORIZATION, Form::BearerOrBare);
        assert_eq!(read(&[b"Bearer a", b"Bearer a"]), Err(TokenHeaderError::Invalid));
        assert_eq!(read(&[b"Bearer a, Bearer a"]), Err(TokenHeaderError::Invalid));
        assert_eq!(read(&[b"Bearer a", b""]), Err(TokenHeaderError::Invalid));
        assert_eq!(read(&[b"Bearer \xff"]), Err(TokenHeaderError::Invalid));
        assert_eq!(read(&[]), Err(TokenHeaderError::Missing));
    }
}

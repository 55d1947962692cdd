//! `POST /login`.

use std::{collections::HashSet, fmt};

use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::StatusCode,
    response::Response,
};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::{json, value::RawValue};
use zeroize::Zeroize;

use super::{
    Service,
    answer::{json, message},
    unavailable,
};
use crate::{secret::SecretText, token::IssuedToken};

const INVALID_JSON: &str = "Invalid JSON body";
const MISSING_MEMBERS: &str = "Missing domain, username or password";

struct Credentials {
    domain: String,
    username: String,
    password: SecretText,
}

pub(super) async fn login(
    State(service): State<Service>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let credentials = match body {
        Ok(body) => Credentials::parse_and_erase(body),
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            return message(StatusCode::PAYLOAD_TOO_LARGE, "Body too large");
        }
        Err(_) => Err(INVALID_JSON),
    };
    let Credentials { domain, username, password } = match credentials {
        Ok(credentials) => credentials,
        Err(text) => return message(StatusCode::BAD_REQUEST, text),
    };
    match service.issuer.login(&domain, &username, password).await {
        Ok(issued) => token(&issued),
        Err(refusal) => unavailable(&refusal)
            .unwrap_or_else(|| message(StatusCode::BAD_REQUEST, &refusal.to_string())),
    }
}

/// 200 with a token, as RFC 6749, section 5.1, names its members but for `token`.
pub(super) fn token(issued: &IssuedToken) -> Response {
    let IssuedToken { token, expires_in } = issued;
    let body = json!({
        "token": token.expose(), "token_type": "Bearer", "expires_in": expires_in
    });
    json(StatusCode::OK, &body)
}

impl Credentials {
    /// Overwrites the body, if nobody else holds it: it has the password in clear.
    fn parse_and_erase(body: Bytes) -> Result<Self, &'static str> {
        let credentials = Self::parse(&body);
        if let Ok(mut body) = body.try_into_mut() {
            body.as_mut().zeroize();
        }
        credentials
    }

    fn parse(body: &[u8]) -> Result<Self, &'static str> {
        let body: &RawValue = serde_json::from_slice(body).map_err(|_| INVALID_JSON)?;
        if !body.get().starts_with('{') {
            return Err(MISSING_MEMBERS);
        }
        let members: Members<'_> = serde_json::from_str(body.get()).map_err(|_| INVALID_JSON)?;
        let password = SecretText::new(text(members.password)?);
        Ok(Self { domain: text(members.domain)?, username: text(members.username)?, password })
    }
}

fn text(member: Option<&RawValue>) -> Result<String, &'static str> {
    let member = member.filter(|member| member.get().starts_with('"')).ok_or(MISSING_MEMBERS)?;
    serde_json::from_str(member.get()).map_err(|_| INVALID_JSON)
}

/// The members of a login, as they stand in the body. Others are ignored, but none may come
/// twice: what checks a body on its way here may see the other one of the two.
#[derive(Default)]
struct Members<'b> {
    domain: Option<&'b RawValue>,
    username: Option<&'b RawValue>,
    password: Option<&'b RawValue>,
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let (mut members, mut seen) = (Members::default(), HashSet::new());
        while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
            match name.as_str() {
                "domain" => members.domain = Some(value),
                "username" => members.username = Some(value),
                "password" => members.password = Some(value),
                _ => {}
            }
            if !seen.insert(name) {
                return Err(A::Error::custom("a member comes twice"));
            }
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_and_other_members_ignored() {
        let body = br#" {"remember": {"a": [1]}, "domain": "shop", "username": "\u0061da",
            "pass\u0077ord": "\"\u00fc\ud83d\ude00"} "#;
        let Ok(Credentials { domain, username, password }) = Credentials::parse(body) else {
            panic!("refused");
        };
        assert_eq!((domain.as_str(), username.as_str()), ("shop", "ada"));
        assert_eq!(password.expose(), "\"\u{fc}\u{1f600}");
    }

    #[test]
    fn duplicate_members_are_refused_however_they_are_spelled() {
        for twice in [
            r#"{"domain":"a","domain":"b","username":"c","password":"d"}"#,
            r#"{"domain":"a","username":"c","password":"d","pass\u0077ord":"d"}"#,
            r#"{"domain":"a","username":"c","password":"d","x":1,"x":2}"#,
            r#"{"domain":"a","username":"c","password":"\ud800"}"#,
        ] {
            assert_eq!(Credentials::parse(twice.as_bytes()).err(), Some(INVALID_JSON), "{twice}");
        }
    }
}

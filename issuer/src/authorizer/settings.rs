//! What the authorizer is set up with.

use axum::http::HeaderName;
use postern_verify::{CredentialError, EdgeCredential, Policy, PolicyError};
use serde_json::{Value, json};

use crate::{
    domain::{DomainError, DomainName},
    issuer_url::{IssuerUrl, IssuerUrlError},
};

const POLICY: &str = "POSTERN_POLICY";
const ISSUER_URL: &str = "POSTERN_ISSUER_URL";
const DOMAIN: &str = "POSTERN_DOMAIN";
const AUDIENCE: &str = "POSTERN_AUDIENCE";
const TOKEN_HEADER: &str = "POSTERN_TOKEN_HEADER";
const EDGE: &str = "POSTERN_EDGE";
const RESPONSE: &str = "POSTERN_RESPONSE";

/// The policy, and how events are read and answered.
#[derive(Debug)]
pub struct Settings {
    pub(super) policy: Policy,
    /// What the edge has from its enrolments.
    pub(super) edges: Vec<EdgeCredential>,
    /// The header whose value a `TOKEN` event has.
    pub(super) token_header: String,
    pub(super) response: Option<ResponseKind>,
    pub(super) domain: Option<String>,
}

/// How events of format 2.0 are answered. Where nothing is said, `Simple` if the token alone decides,
/// and `Iam` if not: a simple response says nothing of the request that it is for, so API Gateway, which
/// remembers it, would give it to every other request with the same token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseKind {
    /// With `isAuthorized`.
    Simple,
    /// With an IAM policy.
    Iam,
}

/// Why there is no authorizer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// Nothing says whose tokens are taken.
    #[error("`{0}` is not set: set `POSTERN_POLICY`, or `POSTERN_ISSUER_URL` and `POSTERN_DOMAIN`")]
    Missing(&'static str),
    /// Two things say whose tokens are taken.
    #[error("`{0}` has no effect beside `POSTERN_POLICY`: unset one of them")]
    BesidePolicy(&'static str),
    /// The policy is refused.
    #[error("`POSTERN_POLICY`: {0}")]
    Policy(PolicyError),
    /// What is to be from an enrolment is not.
    #[error("`POSTERN_EDGE`: {0}")]
    Edge(CredentialError),
    /// The URL of the issuer is refused.
    #[error("`POSTERN_ISSUER_URL`: {0}")]
    IssuerUrl(IssuerUrlError),
    /// The domain's name is refused.
    #[error("`POSTERN_DOMAIN`: {0}")]
    Domain(DomainError),
    /// The name of the header is refused.
    #[error("`POSTERN_TOKEN_HEADER`: it is not the name of a header")]
    TokenHeader,
    /// There is no such answer.
    #[error("`POSTERN_RESPONSE`: it is `simple` or `iam`")]
    Response,
    /// Whoever is on the way could put keys of their own in.
    #[error("{member}: keys are fetched over `https`, or from this machine")]
    KeysInClear {
        /// What of the policy, or of the one that was made, names them.
        member: String,
    },
    /// Issuers could not be told from others.
    #[error("there are no certificates to know issuers by: {0}")]
    Certificates(String),
}

impl Settings {
    /// Reads the settings from where the process has its variables; an empty one is as good as none.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] names the variable, and within a policy the member.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let token_header = variable(TOKEN_HEADER).unwrap_or_else(|| "authorization".to_owned());
        let token_header =
            token_header.parse::<HeaderName>().map_err(|_| SettingsError::TokenHeader)?.to_string();
        let response = match variable(RESPONSE).as_deref() {
            None => None,
            Some("simple") => Some(ResponseKind::Simple),
            Some("iam") => Some(ResponseKind::Iam),
            Some(_) => return Err(SettingsError::Response),
        };
        let edges = variable(EDGE).map(zeroize::Zeroizing::new);
        let edges = edges.map(|text| EdgeCredential::parse_all(text.as_bytes())).transpose();
        let edges = edges.map_err(SettingsError::Edge)?.unwrap_or_default();
        if let Some(document) = variable(POLICY) {
            if let Some(name) =
                [ISSUER_URL, DOMAIN, AUDIENCE].into_iter().find(|name| variable(name).is_some())
            {
                return Err(SettingsError::BesidePolicy(name));
            }
            let policy = Policy::parse(document.as_bytes()).map_err(SettingsError::Policy)?;
            return Ok(Self { policy, edges, token_header, response, domain: None });
        }
        let needed = |name| variable(name).ok_or(SettingsError::Missing(name));
        let url: IssuerUrl = needed(ISSUER_URL)?.parse().map_err(SettingsError::IssuerUrl)?;
        let domain: DomainName = needed(DOMAIN)?.parse().map_err(SettingsError::Domain)?;
        // What the issuer puts in where nobody says otherwise.
        let audience = variable(AUDIENCE).unwrap_or_else(|| domain.to_string());
        let document = policy(&url, &domain, &audience, &token_header).to_string();
        let policy = Policy::parse(document.as_bytes()).map_err(SettingsError::Policy)?;
        Ok(Self { policy, edges, token_header, response, domain: Some(domain.to_string()) })
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }
}

/// Every request needs a token of the domain.
fn policy(url: &IssuerUrl, domain: &DomainName, audience: &str, token_header: &str) -> Value {
    let issuer = url.of_domain(domain);
    // A header of one's own has no other schemes to be told apart from.
    let place = if token_header == "authorization" {
        json!({ "name": token_header, "value_prefix": "Bearer " })
    } else {
        json!({ "name": token_header })
    };
    json!({
        "providers": {
            "postern": {
                "issuer": issuer,
                "audiences": [audience],
                "from_headers": [place],
                "remote_jwks": {
                    "http_uri": {
                        "uri": format!("{issuer}/.well-known/jwks.json"),
                        "timeout": "2s",
                    },
                },
            },
        },
        "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "postern" } }],
    })
}

//! What an edge is given once, and nobody keeps: its private keys.

use serde::Serialize;

use super::{EdgeId, EdgeName};
use crate::{
    domain::DomainName,
    issuer_url::IssuerUrl,
    key::{Key, PublicKey},
    key_set::KeySet,
    secret::SecretBytes,
};

#[derive(Serialize)]
struct Credential<'c> {
    edge: &'c str,
    name: &'c str,
    keys: [PrivateJwk<'c>; 2],
    issuer_keys: IssuerKeys<'c>,
    issuers: Vec<NamedIssuer>,
}

/// RFC 7517, section 4; RFC 7518, section 6.2.2.
#[derive(Serialize)]
struct PrivateJwk<'c> {
    #[serde(flatten)]
    public: Option<&'c PublicKey>,
    r#use: &'static str,
    alg: &'static str,
    kid: &'c str,
    d: Option<&'c SecretBytes>,
}

#[derive(Serialize)]
struct IssuerKeys<'c> {
    keys: Vec<PublicJwk<'c>>,
}

#[derive(Serialize)]
struct PublicJwk<'c> {
    #[serde(flatten)]
    public: Option<&'c PublicKey>,
    r#use: &'static str,
    alg: &'static str,
    kid: &'c str,
}

#[derive(Serialize)]
struct NamedIssuer {
    issuer: String,
    keys_uri: String,
}

/// The document, as JSON: who has it is the edge.
pub(crate) fn credential(
    (id, name): (&EdgeId, &EdgeName),
    domains: &[DomainName],
    [signing, encryption]: [&Key; 2],
    bundle_keys: &KeySet,
    url: &IssuerUrl,
) -> Result<SecretBytes, serde_json::Error> {
    let issuers = domains.iter().map(|domain| url.of_domain(domain));
    let issuers =
        issuers.map(|issuer| NamedIssuer { keys_uri: format!("{issuer}/edge/keys"), issuer });
    let document = Credential {
        edge: id.as_str(),
        name: name.as_str(),
        keys: [
            private_jwk(signing, "sig", "ES256"),
            private_jwk(encryption, "enc", "ECDH-ES+A256KW"),
        ],
        issuer_keys: IssuerKeys {
            keys: [&bundle_keys.current, &bundle_keys.next].map(public_jwk).into(),
        },
        issuers: issuers.collect(),
    };
    serde_json::to_vec(&document).map(SecretBytes::new)
}

fn private_jwk<'c>(key: &'c Key, r#use: &'static str, alg: &'static str) -> PrivateJwk<'c> {
    let d = key.secret.as_ref();
    PrivateJwk { public: key.public.as_ref(), r#use, alg, kid: &key.id, d }
}

fn public_jwk(key: &Key) -> PublicJwk<'_> {
    let alg = key.algorithm.as_str();
    PublicJwk { public: key.public.as_ref(), r#use: "sig", alg, kid: &key.id }
}

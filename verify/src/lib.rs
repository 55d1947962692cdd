//! Postern's verify core: a request, a policy and the keys at hand give one verdict.
//!
//! The core does no I/O, has no clock and no randomness: an adapter shows it a [`Request`], tells
//! it the time, and fetches what its [`KeyRing`] asks for. It is total: [`Gate::decide`] never
//! panics and never fails, and what is not allowed is denied.
//!
//! ```
//! use std::time::Duration;
//! use postern_verify::{Decision, Gate, Policy, Request};
//!
//! let policy = Policy::parse(br#"{
//!     "providers": {"shop": {
//!         "issuer": "https://auth.example.com/shop",
//!         "remote_jwks": {"http_uri": {
//!             "uri": "https://auth.example.com/shop/.well-known/jwks.json"
//!         }}
//!     }},
//!     "rules": [
//!         {"match": {"path": "/healthz"}},
//!         {"match": {"prefix": "/api/"}, "requires": {"provider_name": "shop"}}
//!     ]
//! }"#)?;
//! let mut gate = Gate::new(policy);
//! let now = Duration::from_secs(1_800_000_000);
//! let mut code = |target: &'static str| {
//!     let request = Request::new("GET", target.as_bytes(), vec![]);
//!     match gate.decide(&request, now) {
//!         Decision::Deny(denied) => denied.denial.code(),
//!         Decision::Allow(_) => "allowed",
//!         Decision::AwaitKeys(_) => "waiting",
//!     }
//! };
//! assert_eq!(code("/healthz"), "allowed");
//! assert_eq!(code("/api/orders"), "token_missing");
//! assert_eq!(code("/elsewhere"), "no_matching_rule");
//! assert_eq!(code("/healthz/../api/orders"), "path_ambiguous");
//! # Ok::<(), postern_verify::PolicyError>(())
//! ```
#![doc = include_str!("../strictness.md")]

mod algorithm;
mod answer;
mod base64url;
mod claims;
mod decide;
mod denial;
mod edge;
mod explain;
mod forward;
mod gate;
mod identity;
mod inspection;
mod json;
mod jwk;
mod jwk_set;
mod jws;
mod key_ring;
mod location;
mod policy;
mod read;
mod request;
mod revoked;
mod signature;
mod status_list;
mod tally;
mod token;
mod verification;
mod verified_tokens;

pub use crate::{
    algorithm::Algorithm,
    answer::Answer,
    claims::{ClaimRules, Claims},
    denial::Denial,
    edge::{BundleError, CredentialError, EdgeCredential},
    explain::{End, Step},
    forward::{Bearer, Forward, Report},
    gate::{Counters, Decision, Denied, Gate},
    identity::Who,
    jwk::KeyKinds,
    jwk_set::{JwkSet, JwkSetError, MAX_JWK_SET_BYTES, SkippedKey},
    key_ring::{ConfigurationError, Fetch, FetchError, Fetched, KeyRing, KeySetId, KeyUpdate},
    policy::{HttpUri, Policy, PolicyError},
    request::{Request, Route},
    signature::{
        CoreSignatures, PublicKey, SignatureVerifier, check_signature_algorithm,
        check_signature_verifier,
    },
    status_list::StatusListError,
    tally::Tally,
    token::{MAX_TOKEN_BYTES, SignedToken, UnverifiedToken, VerifiedToken},
    verification::Verification,
    verified_tokens::CacheCounters,
};

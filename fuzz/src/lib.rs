//! What is held true of anything that a stranger may send. Each function takes what libFuzzer
//! made up, and panics where the core broke a promise.

mod edge;
mod forgery;
mod gate;
mod signed;

use postern_verify::{JwkSet, KeyKinds, MAX_TOKEN_BYTES, Policy, UnverifiedToken};

use crate::signed::Signed;
pub use crate::{edge::edge, forgery::Forgery, gate::Visit};

/// A token is accepted only if it is, to the letter, one that was signed.
///
/// # Panics
/// Where another one is accepted, or a signed one is refused.
pub fn token(text: &[u8]) {
    let signed = Signed::get();
    let accepted = UnverifiedToken::parse(text, MAX_TOKEN_BYTES)
        .is_ok_and(|token| token.verify(&signed.keys).is_ok());
    assert_eq!(accepted, signed.is_signed(text), "{}", text.escape_ascii());
}

/// A document gives each key once, to use or to skip, and secrets only where they are expected.
///
/// # Panics
/// Where it does not.
pub fn jwk_set(document: &[u8]) {
    let [public, all] =
        [KeyKinds::PublicOnly, KeyKinds::WithSecrets].map(|kinds| JwkSet::parse(document, kinds));
    assert_eq!(public.is_ok(), all.is_ok());
    let (Ok(public), Ok(all)) = (public, all) else { return };
    assert_eq!(public.len() + public.skipped().len(), all.len() + all.skipped().len());
    assert!(public.len() <= all.len());
    assert!(public.algorithms().all(|algorithm| !algorithm.is_symmetric()));
    for skipped in public.skipped() {
        let shown = skipped.to_string();
        assert!(!shown.contains(char::is_control), "{shown:?}");
    }
    let keys: serde_json::Value = serde_json::from_slice(document).expect("JSON to serde_json too");
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(all.len() + all.skipped().len()));
}

/// A policy is read in one way, and refused with a reason.
///
/// # Panics
/// Where it is not, or where a request makes it panic.
pub fn policy(document: &[u8]) {
    match Policy::parse(document) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(policy) => {
            // What serde_json reads and writes again is the same policy.
            let value: serde_json::Value =
                serde_json::from_slice(document).expect("JSON to serde_json too");
            let again = Policy::parse(value.to_string().as_bytes()).expect("the same policy");
            assert!(policy.provider_names().eq(again.provider_names()));
            assert!(policy.identity_headers().eq(again.identity_headers()));
            gate::try_out(
                policy,
                &["/", "/healthz", "/api/orders?access_token=e30.e30.AA", "/%2e%2e/"],
            );
        }
    }
}

/// A request passes only where the path is open, or with a token that was signed.
///
/// # Panics
/// Where another one passes.
pub fn decide(visit: &Visit) {
    visit.check();
}

//! Bundles: what is taken, and each way to be refused.

use std::sync::Arc;

use super::*;
use crate::signature::CoreSignatures;

fn enrolment(newest: u64) -> Enrolment {
    let edges = [Arc::new(credential(&[ISSUER]))];
    Enrolment::new(&edges, ISSUER, Duration::from_secs(30), newest).unwrap()
}

fn good() -> ForgedBundle {
    ForgedBundle::new(ISSUER, 7, &secret_keys("a", 6))
}

fn open_at(bundle: &ForgedBundle, seconds: u64) -> Result<String, BundleError> {
    let opened =
        enrolment(7).open(&bundle.text(), &CoreSignatures, Duration::from_secs(seconds))?;
    Ok(String::from_utf8(opened.document.to_vec()).unwrap())
}

fn refusal(change: impl FnOnce(&mut ForgedBundle)) -> BundleError {
    open_at(&good().with(change), NOW).unwrap_err()
}

#[test]
fn the_issuers_bundle_gives_the_keys_until_its_time_is_over() {
    assert_eq!(open_at(&good(), NOW).unwrap(), secret_keys("a", 6).to_string());
    let opened = enrolment(7).open(&good().text(), &CoreSignatures, NOW_IS).unwrap();
    assert_eq!(opened.end, Duration::from_secs(NOW + 86_400 + 30));
    assert!(open_at(&good(), NOW + 86_400 + 29).is_ok());
    assert_eq!(open_at(&good(), NOW + 86_400 + 30), Err(BundleError::Expired));
}

#[test]
fn a_bundle_that_is_not_the_issuers_for_this_edge_is_refused() {
    let code = |change: &dyn Fn(&mut ForgedBundle)| match refusal(change) {
        BundleError::NotOurs(reason) => reason,
        other => panic!("{other}"),
    };
    assert_eq!(code(&|bundle| bundle.signer = STRANGER), "signature_invalid");
    assert_eq!(code(&|bundle| bundle.signer = EDGE_SIGNING), "signature_invalid");
    assert_eq!(code(&|bundle| bundle.header["kid"] = "x".into()), "key_unknown");
    assert_eq!(code(&|bundle| bundle.header["alg"] = "HS256".into()), "algorithm_mismatch");
    assert_eq!(code(&|bundle| bundle.header["crit"] = json!(["x"])), "critical_header");
    assert_eq!(code(&|bundle| bundle.header["typ"] = "JWT".into()), "type_not_allowed");
    assert_eq!(
        code(&|bundle| bundle.header["typ"] = "postern-push+jwt".into()),
        "type_not_allowed"
    );
    let other = "https://auth.example.com/blog";
    assert_eq!(code(&|bundle| bundle.claims["iss"] = other.into()), "issuer_unknown");
    assert_eq!(
        code(&|bundle| bundle.claims["aud"] = "BBECAwQFBgcICQoLDA0ODw".into()),
        "audience_mismatch"
    );
    assert_eq!(code(&|bundle| bundle.claims["seq"] = "8".into()), "its `seq` is missing");
    assert_eq!(code(&|bundle| bundle.claims["seq"] = json!(8.5)), "its `seq` is missing");
    assert_eq!(code(&|bundle| bundle.claims["jwks"] = json!({})), "its `jwks` is missing");
    let without = |name: &'static str| {
        move |bundle: &mut ForgedBundle| {
            bundle.claims.as_object_mut().unwrap().remove(name);
        }
    };
    assert_eq!(code(&without("exp")), "expiration_missing");
    assert_eq!(code(&without("aud")), "audience_mismatch");
    assert_eq!(
        code(&|bundle| {
            bundle.header.as_object_mut().unwrap().remove("kid");
        }),
        "it names no key"
    );
}

#[test]
fn a_bundle_of_the_past_is_refused() {
    assert_eq!(refusal(|bundle| bundle.claims["seq"] = 6.into()), BundleError::RolledBack);
    assert!(open_at(&good().with(|bundle| bundle.claims["seq"] = 7.into()), NOW).is_ok());
    assert!(open_at(&good().with(|bundle| bundle.claims["seq"] = 8.into()), NOW).is_ok());
    assert_eq!(refusal(|bundle| bundle.claims["exp"] = 1.into()), BundleError::Expired);
}

#[test]
fn the_newest_number_stays_the_highest() {
    let mut enrolment = enrolment(0);
    let open = |enrolment: &Enrolment, sequence| {
        let bundle = ForgedBundle::new(ISSUER, sequence, &secret_keys("a", 6));
        enrolment.open(&bundle.text(), &CoreSignatures, NOW_IS)
    };
    let (first, third) = (open(&enrolment, 1).unwrap(), open(&enrolment, 3).unwrap());
    enrolment.keep(&third);
    enrolment.keep(&first);
    assert_eq!(enrolment.newest(), 3);
    assert_eq!(open(&enrolment, 2).err(), Some(BundleError::RolledBack));
}

#[test]
fn what_a_bundle_holds_is_encrypted_for_this_edge() {
    let reason = |change: &dyn Fn(&mut ForgedBundle)| match refusal(change) {
        BundleError::Unreadable(reason) => reason,
        other => panic!("{other}"),
    };
    let another_key = "it is encrypted for another key";
    assert_eq!(reason(&|bundle| bundle.encryption["kid"] = "x".into()), another_key);
    assert_eq!(
        reason(&|bundle| bundle.encryption["kid"] = Value::Null),
        "a member of its header is not a string"
    );
    let cty = "its `cty` is not `jwk-set+json`";
    assert_eq!(reason(&|bundle| bundle.encryption["cty"] = "jwk+json".into()), cty);
    let undecryptable = "it does not decrypt with this key";
    assert_eq!(reason(&|bundle| bundle.recipient = STRANGER), undecryptable);
    assert_eq!(reason(&|bundle| bundle.recipient = EDGE_SIGNING), undecryptable);
    let clear = |bundle: &mut ForgedBundle| bundle.claims["jwks"] = "{\"keys\":[]}".into();
    assert_eq!(reason(&clear), "it has not five parts");
}

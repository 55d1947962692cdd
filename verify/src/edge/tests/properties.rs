//! What holds for any input: no panic, and nothing that was not made is taken.

use std::sync::Arc;

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{edge::jwe::Jwe, signature::CoreSignatures};

/// Changes some bytes of a good text.
fn damage(text: &mut [u8], changes: &[(usize, u8)]) {
    for (place, byte) in changes {
        let place = place % text.len();
        text[place] = *byte;
    }
}

fn open(text: &[u8], now: Duration) -> Result<Vec<u8>, BundleError> {
    let edges = [Arc::new(credential(&[ISSUER]))];
    let enrolment = Enrolment::new(&edges, ISSUER, Duration::ZERO, 0).unwrap();
    Ok(enrolment.open(text, &CoreSignatures, now)?.document.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn any_bytes_are_no_credential_and_no_bundle(text in vec(any::<u8>(), 0..600), now: u64) {
        prop_assert!(EdgeCredential::parse(&text).is_err());
        let now = Duration::from_secs(now);
        prop_assert!(open(&text, now).is_err());
        prop_assert!(credential(&[ISSUER]).check_push(&text, now).is_err());
    }

    #[test]
    fn a_damaged_credential_is_read_or_refused(changes in vec((any::<usize>(), any::<u8>()), 1..4)) {
        let mut text = credential_document(&[ISSUER]).to_string().into_bytes();
        damage(&mut text, &changes);
        if let Ok(edge) = EdgeCredential::parse(&text) {
            prop_assert!(edge.check_push(&text, NOW_IS).is_err());
        }
    }

    #[test]
    fn a_damaged_bundle_is_refused(changes in vec((any::<usize>(), any::<u8>()), 1..4)) {
        let good = ForgedBundle::new(ISSUER, 1, &secret_keys("a", 6)).text();
        let mut text = good.clone();
        damage(&mut text, &changes);
        prop_assert_eq!(open(&text, NOW_IS).is_ok(), text == good);
    }

    #[test]
    fn any_text_is_no_jwe(parts in vec("[A-Za-z0-9_-]{0,60}", 0..7), header in ".{0,80}") {
        let mut parts = parts;
        prop_assert!(Jwe::parse(&parts.join(".")).is_err());
        if let Some(first) = parts.first_mut() {
            *first = base64url::encode(header);
        }
        prop_assert!(Jwe::parse(&parts.join(".")).is_err());
    }

    #[test]
    fn what_a_bundle_carries_may_be_anything(content in vec(any::<u8>(), 0..300), jwks in ".{0,80}") {
        let mut bundle = ForgedBundle::new(ISSUER, 1, &json!({}));
        bundle.content.clone_from(&content);
        prop_assert_eq!(open(&bundle.text(), NOW_IS).unwrap(), content);
        bundle.claims["jwks"] = jwks.into();
        prop_assert!(open(&bundle.text(), NOW_IS).is_err());
    }
}

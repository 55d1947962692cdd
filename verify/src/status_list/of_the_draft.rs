//! The test vectors of the draft (draft-ietf-oauth-status-list-20), where there is a folder of vectors.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    StatusListError,
    document::{Terms, UnverifiedList},
    inflate::inflate,
    places::{Places, status},
};
use crate::{
    base64url, jwk::KeyKinds, jwk_set::JwkSet, jws::vectors::read, signature::CoreSignatures,
};

/// By which the draft's example of a token is signed.
fn demo_key() -> Value {
    json!({
        "kty": "EC", "crv": "P-256", "kid": "12", "alg": "ES256",
        "x": "I3HWm_0Ds1dPMI-IWmf4mBmH-YaeAVbPVu7vB27CxXo",
        "y": "6N_d5Elj9bs1htgV3okJKIdbHEpkgTmAluYKJemzn1M",
    })
}

#[test]
fn the_drafts_vectors_say_what_the_draft_says_place_by_place() {
    let vectors = read("status-list/vectors.json");
    let cases = vectors["cases"].as_array().unwrap();
    for case in cases {
        let bits = case["bits"].as_u64().unwrap();
        let packed = base64url::decode(case["lst"].as_str().unwrap()).unwrap();
        let list = inflate(&packed, 1 << 20).unwrap();
        let expected = |index: u64| match case.get("bytes") {
            Some(bytes) => {
                let bit = index * bits;
                let byte = bytes[usize::try_from(bit / 8).unwrap()].as_u64().unwrap();
                byte >> (bit % 8) & ((1 << bits) - 1)
            }
            None => case["not_valid"].get(index.to_string()).map_or(0, |it| it.as_u64().unwrap()),
        };
        let places = Places::of_list(bits, &list).unwrap();
        let length = list.len() as u64 * 8 / bits;
        assert_eq!(case.get("entries").map_or(length, |it| it.as_u64().unwrap()), length);
        for index in 0..length {
            let (byte, place) = (index * bits / 8, index % (8 / bits));
            let byte = list[usize::try_from(byte).unwrap()];
            let bits = u8::try_from(bits).unwrap();
            let status = status(bits, byte, usize::try_from(place).unwrap());
            assert_eq!(u64::from(status), expected(index), "{bits} bits, {index}");
            assert_eq!(places.refuses(index), status != 0, "{bits} bits, {index}");
        }
        assert!(places.refuses(length));
    }
    assert_eq!(cases.len(), 6);
}

#[test]
fn the_drafts_own_token_is_a_list_by_its_own_key() {
    let vectors = read("status-list/vectors.json");
    let token = vectors["status_list_jwt"].as_str().unwrap();
    let keys = json!({"keys": [demo_key()]}).to_string();
    let keys = JwkSet::parse(keys.as_bytes(), KeyKinds::PublicOnly).unwrap();
    let list_at = |uri, now| {
        let terms = Terms { uri, clock_skew: Duration::ZERO, now: Duration::from_secs(now) };
        let list = UnverifiedList::parse(token.as_bytes()).unwrap();
        list.verify(&CoreSignatures, &keys, &terms)
    };
    let uri = "https://example.com/statuslists/1";
    let list = list_at(uri, 2_291_720_169).unwrap();
    assert_eq!(list.issued_at, Duration::from_secs(1_686_920_170));
    assert_eq!(list.time_to_live, Some(Duration::from_secs(43_200)));
    assert_eq!(list.key_id.as_deref(), Some("12"));
    let refused: Vec<u64> = (0..17).filter(|index| list.places.refuses(*index)).collect();
    assert_eq!(refused, [0, 3, 4, 5, 7, 8, 9, 13, 15, 16]);
    assert_eq!(list_at(uri, 2_291_720_170), Err(StatusListError::Expired));
    assert!(matches!(list_at("https://example.com/2", 0), Err(StatusListError::NotTheList(_))));
}

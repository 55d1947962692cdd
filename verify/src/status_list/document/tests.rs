//! What is taken for a list, and what is not.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    jwk::KeyKinds,
    signature::CoreSignatures,
    status_list::signing::{key_set, list_claims, signed},
};

const URI: &str = "https://i/status-lists/0";
const NOW: Duration = Duration::from_secs(1_000_000);

fn read_at(body: &[u8], now: Duration) -> Result<StatusList, StatusListError> {
    let keys = JwkSet::parse(key_set(&[1]).as_bytes(), KeyKinds::PublicOnly).unwrap();
    let terms = Terms { uri: URI, clock_skew: Duration::from_secs(60), now };
    UnverifiedList::parse(body)?.verify(&CoreSignatures, &keys, &terms)
}

fn read(body: &str) -> Result<StatusList, StatusListError> {
    read_at(body.as_bytes(), NOW)
}

fn with(change: impl FnOnce(&mut Value)) -> Result<StatusList, StatusListError> {
    let mut claims = list_claims(URI, NOW, &[7]);
    change(&mut claims);
    read(&signed(1, "statuslist+jwt", &claims))
}

#[test]
fn a_list_says_what_its_issuer_says() {
    let list = with(|claims| {
        claims["postern_not_before"] = json!({"all": 5, "subjects": {"u": 6}});
        claims["more"] = json!({"is": "ignored"});
    })
    .unwrap();
    assert!(list.places.refuses(7) && !list.places.refuses(8) && list.places.refuses(1_024));
    assert_eq!(list.ends, NOW + Duration::from_secs(360));
    assert_eq!(list.not_before.all, Some(Duration::from_secs(5)));
    let endless = with(|claims| drop(claims.as_object_mut().unwrap().remove("exp"))).unwrap();
    assert_eq!(endless.ends, Duration::MAX);
}

#[test]
fn whatever_is_not_the_list_is_refused() {
    let changes: [(&str, Value); 18] = [
        ("sub", json!("https://i/status-lists/1")),
        ("sub", json!(null)),
        ("iat", json!(null)),
        ("iat", json!("1000000")),
        ("iat", json!(1_000_361)),
        ("exp", json!(999_940)),
        ("exp", json!("never")),
        ("ttl", json!("5")),
        ("status_list", json!(null)),
        ("status_list", json!({"bits": 1})),
        ("status_list", json!({"bits": 3, "lst": "eNrbuRgAAhcBXQ"})),
        ("status_list", json!({"bits": "1", "lst": "eNrbuRgAAhcBXQ"})),
        ("status_list", json!({"bits": 1, "lst": "eNrbuRgAAhcBXR"})),
        ("status_list", json!({"bits": 1, "lst": "eNrbuRgAAhcBXQ=="})),
        ("status_list", json!({"bits": 1, "lst": "eNrbuRgAAhcBXQAA"})),
        ("status_list", json!({"bits": 1, "lst": ""})),
        ("postern_not_before", json!({"all": "now"})),
        ("postern_not_before", json!([])),
    ];
    for (name, value) in changes {
        let result = with(|claims| claims[name] = value.clone());
        assert!(result.is_err(), "{name}: {value}");
    }
    let sound = json!({"bits": 1, "lst": "eNrbuRgAAhcBXQ"});
    assert!(with(|claims| claims["status_list"] = sound).is_ok());
    assert!(with(|claims| claims["iat"] = json!(1_000_360)).is_ok());
    assert!(with(|claims| claims["exp"] = json!(999_941)).is_ok());
}

#[test]
fn another_token_of_the_issuers_is_no_list() {
    let claims = list_claims(URI, NOW, &[]);
    for token_type in ["JWT", "at+jwt", "statuslist+cwt", "", "application/jwt"] {
        let result = read(&signed(1, token_type, &claims));
        assert!(matches!(result, Err(StatusListError::NotTheList(_))), "{token_type}");
    }
    assert!(read(&signed(1, "application/statuslist+jwt", &claims)).is_ok());
    let foreign = read(&signed(2, "statuslist+jwt", &claims));
    assert_eq!(foreign, Err(StatusListError::Token(Denial::KeyUnknown)));
}

#[test]
fn a_changed_byte_anywhere_is_noticed() {
    let token = signed(1, "statuslist+jwt", &list_claims(URI, NOW, &[7]));
    assert!(read(&token).is_ok());
    for index in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
        assert!(read_at(&changed, NOW).is_err(), "{index}");
    }
}

#[test]
fn nothing_longer_than_the_bound_is_looked_at() {
    let long = vec![b'.'; MAX_LIST_BYTES + 1];
    let refused = StatusListError::TooLarge { bytes: MAX_LIST_BYTES + 1 };
    assert_eq!(read_at(&long, NOW), Err(refused));
    let fits = read_at(&long[1..], NOW);
    assert_eq!(fits, Err(StatusListError::Token(Denial::TokenMalformed)));
}

proptest! {
    #[test]
    fn any_bytes_are_refused_in_peace(bytes: Vec<u8>) {
        prop_assert!(read_at(&bytes, NOW).is_err());
    }

    /// Signed by the issuer itself, so that all that follows the signature is met.
    #[test]
    fn any_signed_claims_are_taken_or_refused_in_peace(
        bits in 0_u64..10,
        list: Vec<u8>,
        times in prop::array::uniform3(any::<f64>()),
    ) {
        let packed = miniz_oxide::deflate::compress_to_vec_zlib(&list, 6);
        for list in [&packed, &list] {
            use base64ct::{Base64UrlUnpadded, Encoding};
            let lst = Base64UrlUnpadded::encode_string(list);
            let claims = json!({"sub": URI, "iat": times[0].abs(), "exp": times[1], "ttl": times[2],
                "status_list": {"bits": bits, "lst": lst}, "postern_not_before": {"all": times[2]}});
            let _ = read(&signed(1, "statuslist+jwt", &claims));
        }
    }
}

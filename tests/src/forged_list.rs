//! Status lists (draft-ietf-oauth-status-list) of any content, for a test to sign.

use serde_json::{Value, json};

use crate::{base64url, now};

/// How many places a list has here.
const PLACES: usize = 1024;
/// How long it counts, in seconds.
const LIFETIME: u64 = 300;
const ADLER_MODULUS: u32 = 65_521;

/// What a list at this URI says that revokes these places.
#[must_use]
pub fn status_list_claims(uri: &str, revoked: &[usize]) -> Value {
    let mut list = vec![0_u8; PLACES / 8];
    for place in revoked {
        if let Some(byte) = list.get_mut(place / 8) {
            *byte |= 1 << (place % 8);
        }
    }
    json!({
        "sub": uri, "iat": now(), "exp": now() + LIFETIME, "ttl": 5,
        "status_list": { "bits": 1, "lst": base64url(stored(&list)) },
    })
}

/// Zlib (RFC 1950) of one block that is stored as it is (RFC 1951 §3.2.4).
fn stored(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    let mut packed = vec![0x78, 0x01, 1];
    packed.extend(length.to_le_bytes());
    packed.extend((!length).to_le_bytes());
    packed.extend(bytes);
    packed.extend(adler(bytes).to_be_bytes());
    packed
}

fn adler(bytes: &[u8]) -> u32 {
    let sum = |(low, high): (u32, u32), byte: &u8| {
        let low = (low + u32::from(*byte)) % ADLER_MODULUS;
        (low, (high + low) % ADLER_MODULUS)
    };
    let (low, high) = bytes.iter().fold((1, 0), sum);
    high << 16 | low
}

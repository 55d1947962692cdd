//! What is taken and what not, and the parts that it is made of by the standards' own examples.

use aes_gcm::Aes128Gcm;
use aes_kw::KwAes128;
use p384::elliptic_curve::sec1::ToSec1Point;
use serde_json::json;

use super::*;
use crate::{
    edge::forged::{EDGE_RECEIVING, STRANGER, encrypted, key, public_jwk},
    jws::vectors::read_jwe_example,
};

const CONTENT: &[u8] = b"what nobody else reads";

fn header() -> Value {
    json!({"alg": "ECDH-ES+A256KW", "enc": "A256GCM", "kid": "k", "cty": "application/JWK-set+json"})
}

fn made(header: Value) -> String {
    encrypted(CONTENT, header, &key(EDGE_RECEIVING).public_key(), &key(9))
}

fn open(text: &str) -> Result<Vec<u8>, &'static str> {
    Ok(Jwe::parse(text)?.decrypt(&key(EDGE_RECEIVING))?.to_vec())
}

#[test]
fn what_was_encrypted_for_a_key_decrypts_with_it_and_with_no_other() {
    let text = made(header());
    let jwe = Jwe::parse(&text).unwrap();
    assert_eq!(jwe.key_id.as_deref(), Some("k"));
    assert_eq!(jwe.content_type.as_deref(), Some("jwk-set+json"));
    assert_eq!(*jwe.decrypt(&key(EDGE_RECEIVING)).unwrap(), CONTENT);
    assert_eq!(jwe.decrypt(&key(STRANGER)).unwrap_err(), UNDECRYPTABLE);
}

#[test]
fn the_parties_of_the_header_are_part_of_the_key() {
    let mut header = header();
    (header["apu"], header["apv"]) = (json!("QWxpY2U"), json!("Qm9i"));
    let text = made(header.clone());
    assert_eq!(open(&text).unwrap(), CONTENT);
    header["epk"] = public_jwk(&key(9).public_key());
    (header["apu"], header["apv"]) = (json!("Qm9i"), json!("QWxpY2U"));
    let (_, rest) = text.split_once('.').unwrap();
    let changed = format!("{}.{rest}", base64url::encode(header.to_string()));
    assert_eq!(open(&changed), Err(UNDECRYPTABLE));
}

#[test]
fn every_changed_bit_is_noticed() {
    let text = made(header());
    let parts: Vec<Vec<u8>> =
        text.split('.').map(|part| base64url::decode(part).unwrap()).collect();
    for (index, part) in parts.iter().enumerate() {
        for place in 0..part.len() {
            let mut changed = parts.clone();
            changed[index][place] ^= 1;
            let changed: Vec<String> = changed.iter().map(base64url::encode).collect();
            assert!(open(&changed.join(".")).is_err(), "part {index}, byte {place}");
        }
    }
}

#[test]
fn a_header_means_one_thing_only() {
    let malformed = "its header is not a JSON object of distinct members";
    for (change, reason) in [
        (json!({"alg": "ECDH-ES"}), "its `alg` is not `ECDH-ES+A256KW`"),
        (json!({"alg": "dir"}), "its `alg` is not `ECDH-ES+A256KW`"),
        (json!({"alg": null}), "a member of its header is not a string"),
        (json!({"enc": "A128GCM"}), "its `enc` is not `A256GCM`"),
        (json!({"enc": "A256CBC-HS512"}), "its `enc` is not `A256GCM`"),
        (json!({"crit": ["exp"], "exp": 1}), "its header has `crit`"),
        (json!({"zip": "DEF"}), "it is compressed"),
        (json!({"kid": 1}), "a member of its header is not a string"),
        (json!({"apu": "QQ=="}), "its `apu` or `apv` is not base64url"),
        (json!({"apv": "QR"}), "its `apu` or `apv` is not base64url"),
        (json!({"epk": "x"}), "its `epk` is missing"),
    ] {
        let mut header = header();
        for (name, value) in change.as_object().unwrap() {
            header[name] = value.clone();
        }
        assert_eq!(open(&made(header)).unwrap_err(), reason, "{change}");
    }
    let (header, rest) = (made(header()), "AA.AA.AA.AA");
    let members = String::from_utf8(base64url::decode(header.split('.').next().unwrap()).unwrap());
    let twice = members.unwrap().replacen('{', r#"{"enc":"A256GCM","#, 1);
    for text in [twice.as_str(), "[]", "", "{}}"] {
        let text = format!("{}.{rest}", base64url::encode(text));
        assert_eq!(open(&text).unwrap_err(), malformed, "{text}");
    }
}

/// A point off the curve gives away the private key, bit by bit.
#[test]
fn an_ephemeral_key_is_a_point_on_the_curve() {
    let good = public_jwk(&key(9).public_key());
    let (x, y) = (good["x"].as_str().unwrap(), good["y"].as_str().unwrap());
    let zero = base64url::encode([0; 32]);
    let past = base64url::encode([0xff; 32]);
    let long = base64url::encode([0; 33]);
    for (changed_x, changed_y) in
        [(y, x), (x, &zero), (&zero, &zero), (&past, y), (x, &past), (&long, y), ("", ""), (x, "")]
    {
        let mut header = header();
        header["epk"] = json!({"kty": "EC", "crv": "P-256", "x": changed_x, "y": changed_y});
        assert_eq!(open(&made(header)).unwrap_err(), "its `epk` is not a point on P-256");
    }
    for (name, value) in [("crv", "P-384"), ("kty", "OKP"), ("d", "AA")] {
        let mut header = header();
        header["epk"] = good.clone();
        header["epk"][name] = value.into();
        assert_eq!(open(&made(header)).unwrap_err(), "its `epk` is not a public key on P-256");
    }
}

#[test]
fn there_are_five_parts_of_their_lengths_in_one_spelling() {
    let text = made(header());
    let parts: Vec<&str> = text.split('.').collect();
    let with = |index: usize, part: &str| {
        let mut parts = parts.clone();
        parts[index] = part;
        open(&parts.join("."))
    };
    let length = Err("a part has not the length of its algorithm");
    assert_eq!(with(1, ""), length);
    assert_eq!(with(1, &base64url::encode([0; 24])), length);
    assert_eq!(with(2, &base64url::encode([0; 16])), length);
    assert_eq!(with(4, &base64url::encode([0; 12])), length);
    assert_eq!(with(1, &base64url::encode([0; 40])), Err(UNDECRYPTABLE));
    assert_eq!(with(3, ""), Err(UNDECRYPTABLE));
    for (index, part) in parts.iter().enumerate() {
        let padded = format!("{part}=");
        assert_eq!(with(index, &padded), Err("a part is not base64url"), "{index}");
    }
    for wrong in [&parts[..4], &[&parts[..], &["AA"]].concat()[..], &parts[..0]] {
        assert!(open(&wrong.join(".")).is_err());
    }
}

/// RFC 7520 §5.4: the same steps on another curve and with shorter keys.
#[test]
fn agrees_with_the_cookbook_step_by_step() {
    let example = read_jwe_example(
        "jwe_5_4_ecdh-es_a128kw.json",
        "5_4.key_agreement_with_key_wrapping_using_ecdh-es_and_aes-keywrap_with_aes-gcm.json",
    );
    let bytes = |value: &Value| base64url::decode(value.as_str().unwrap()).unwrap();
    let point = |jwk: &Value| {
        let point = [&[4][..], &bytes(&jwk["x"]), &bytes(&jwk["y"])].concat();
        p384::PublicKey::from_sec1_bytes(&point).unwrap()
    };
    let ephemeral = point(&example["encrypting_content"]["protected"]["epk"]);
    let scalar = p384::SecretKey::from_slice(&bytes(&example["input"]["key"]["d"])).unwrap();
    let shared = ephemeral.to_projective() * *scalar.to_nonzero_scalar();
    let shared = p384::PublicKey::try_from(shared.to_affine()).unwrap().to_sec1_point(false);
    let shared = shared.x().unwrap();
    let key = derive_key(shared, "ECDH-ES+A128KW", &Parties::default(), 128);
    let mut content_key = [0; 16];
    KwAes128::new_from_slice(&key[..16])
        .unwrap()
        .unwrap_key(&bytes(&example["encrypting_key"]["encrypted_key"]), &mut content_key)
        .unwrap();
    assert_eq!(content_key.to_vec(), bytes(&example["generated"]["cek"]));
    let content = &example["encrypting_content"];
    let header = content["protected_b64u"].as_str().unwrap();
    let mut text = bytes(&content["ciphertext"]);
    let nonce: [u8; 12] = bytes(&example["generated"]["iv"]).try_into().unwrap();
    let tag: [u8; 16] = bytes(&content["tag"]).try_into().unwrap();
    Aes128Gcm::new_from_slice(&content_key)
        .unwrap()
        .decrypt_inout_detached(
            (&nonce).into(),
            header.as_bytes(),
            text.as_mut_slice().into(),
            (&tag).into(),
        )
        .unwrap();
    assert_eq!(std::str::from_utf8(&text).unwrap(), example["input"]["plaintext"]);
}

/// RFC 3394 §4.6: 256 bits of key wrapped with 256 bits.
#[test]
fn keys_are_wrapped_as_the_standard_says() {
    let wrapping: [u8; 32] = std::array::from_fn(|index| u8::try_from(index).unwrap());
    let wrapped: [u8; 40] = [
        0x28, 0xc9, 0xf4, 0x04, 0xc4, 0xb8, 0x10, 0xf4, 0xcb, 0xcc, 0xb3, 0x5c, 0xfb, 0x87, 0xf8,
        0x26, 0x3f, 0x57, 0x86, 0xe2, 0xd8, 0x0e, 0xd3, 0x26, 0xcb, 0xc7, 0xf0, 0xe7, 0x1a, 0x99,
        0xf4, 0x3b, 0xfb, 0x98, 0x8b, 0x9b, 0x7a, 0x02, 0xdd, 0x21,
    ];
    let mut unwrapped = [0; 40];
    let key = KwAes256::new((&wrapping).into()).unwrap_key(&wrapped, &mut unwrapped).unwrap();
    let expected: Vec<u8> = (0..8)
        .map(|index| index * 0x11)
        .chain((8..16).map(|index| index * 0x11))
        .chain(0..16)
        .collect();
    assert_eq!(key, expected);
}

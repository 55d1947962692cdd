//! Other forms of a known signature: right ones that a host may refuse by mistake, and wrong ones
//! that it may accept.

use std::iter;

use serde_json::Value;

use super::Known;
use crate::{algorithm::Algorithm, base64url};

/// A signature, and what is the matter with it.
pub(super) type Form = (&'static str, Vec<u8>);

/// `(r, n - s)` is as right as `(r, s)`: JOSE knows no rule of the low s (RFC 7518 §3.4).
pub(super) fn twin(known: &Known, signature: &[u8]) -> Option<Vec<u8>> {
    let order = known.order.as_deref().filter(|_| is_ecdsa(known.algorithm()))?;
    let (r, s) = halves(signature);
    Some([r, &subtract(order, s)].concat())
}

/// Forms that no verifier may accept.
pub(super) fn wrong(known: &Known, signature: &[u8]) -> Vec<Form> {
    let shorter = signature.split_last().map(|(_, rest)| rest.to_vec());
    let mut forms = vec![
        ("a signature with a changed first byte", flipped(signature, 0, 1)),
        ("a signature with a changed last byte", flipped(signature, signature.len() - 1, 1)),
        ("a shortened signature", shorter.unwrap_or_default()),
        ("a lengthened signature", [signature, &[0]].concat()),
        ("a signature behind a zero byte", [&[0], signature].concat()),
        ("an empty signature", Vec::new()),
        ("an all-zero signature", vec![0; signature.len()]),
    ];
    match (known.algorithm(), &known.order) {
        (Algorithm::EdDsa, Some(order)) => forms.extend(wrong_eddsa(order, signature)),
        (_, Some(order)) => forms.extend(wrong_ecdsa(order, signature)),
        (_, None) => forms.extend(wrong_rsa(known, signature)),
    }
    forms
}

/// RFC 8017 §8.1.2, §8.2.2: a representative that is not below the modulus is none.
fn wrong_rsa(known: &Known, signature: &[u8]) -> Option<Form> {
    let modulus = known.key.jwk().get("n").and_then(Value::as_str).and_then(base64url::decode)?;
    Some(("a signature with the modulus added", add(signature, &modulus)?))
}

fn wrong_ecdsa(order: &[u8], signature: &[u8]) -> Vec<Form> {
    let (r, s) = halves(signature);
    let zero = vec![0; order.len()];
    let pair = |r: &[u8], s: &[u8]| [r, s].concat();
    let mut forms = vec![
        ("a signature whose r is 0", pair(&zero, s)),
        ("a signature whose s is 0", pair(r, &zero)),
        ("a signature whose r is the group order", pair(order, s)),
        ("a signature whose s is the group order", pair(r, order)),
        ("a signature whose r and s are the group order", pair(order, order)),
        ("a signature with r and s exchanged", pair(s, r)),
        ("the DER form of a signature", der(r, s)),
    ];
    if let Some(r) = add(r, order) {
        forms.push(("a signature whose r has the group order added", pair(&r, s)));
    }
    if let Some(s) = add(s, order) {
        forms.push(("a signature whose s has the group order added", pair(r, &s)));
    }
    if let ([0, r @ ..], [0, s @ ..]) = (r, s) {
        forms.push(("a signature without its leading zero bytes", pair(r, s)));
    }
    // The order of P-521 leaves seven bits of the leading byte unused.
    if order.first() == Some(&1) {
        let name = "a signature with a bit above the group order";
        forms.push((name, flipped(signature, 0, 0x80)));
        forms.push((name, flipped(signature, order.len(), 0x02)));
    }
    forms
}

/// RFC 8032 §5.1.7, §8.4: S is below the group order, or the signature can be respelled.
fn wrong_eddsa(order: &[u8], signature: &[u8]) -> Vec<Form> {
    let (r, s) = halves(signature);
    let added = add(&reversed(s), &reversed(order)).unwrap_or_default();
    let name = "a signature whose S has a bit above the group order";
    let high_bit = |bit| (name, flipped(signature, signature.len() - 1, bit));
    vec![
        ("a signature whose S has the group order added", [r, &reversed(&added)].concat()),
        ("a signature whose S is 0", [r, &vec![0; s.len()]].concat()),
        ("a signature with R and S exchanged", [s, r].concat()),
        high_bit(0x20),
        high_bit(0x40),
        high_bit(0x80),
    ]
}

pub(super) fn is_ecdsa(algorithm: Algorithm) -> bool {
    algorithm.name().starts_with("ES")
}

pub(super) fn halves(signature: &[u8]) -> (&[u8], &[u8]) {
    signature.split_at(signature.len() / 2)
}

fn flipped(signature: &[u8], index: usize, bits: u8) -> Vec<u8> {
    let flip = |(at, byte): (usize, &u8)| if at == index { byte ^ bits } else { *byte };
    signature.iter().enumerate().map(flip).collect()
}

/// `SEQUENCE { r INTEGER, s INTEGER }` (RFC 3279 §2.2.3), which a host's library may want.
fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let content = [integer(r), integer(s)].concat();
    let short = if content.len() < 0x80 { &[][..] } else { &[0x81] };
    [&[0x30], short, &length(&content), &content].concat()
}

fn integer(big_endian: &[u8]) -> Vec<u8> {
    let significant: Vec<u8> = big_endian.iter().copied().skip_while(|byte| *byte == 0).collect();
    let sign = if significant.first().is_some_and(|byte| *byte < 0x80) { &[][..] } else { &[0] };
    let content = [sign, &significant].concat();
    [&[0x02][..], &length(&content), &content].concat()
}

/// The last octet of a DER length: no content here has more than 255 bytes.
fn length(content: &[u8]) -> Vec<u8> {
    u8::try_from(content.len()).into_iter().collect()
}

fn reversed(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().rev().copied().collect()
}

/// The sum of two big-endian integers of one length, where it has this length too.
pub(super) fn add(left: &[u8], right: &[u8]) -> Option<Vec<u8>> {
    let (sum, carry) = add_carrying(left, right, 0);
    (carry == 0).then_some(sum)
}

/// The difference of two big-endian integers of one length, modulo its range: `left + !right + 1`.
pub(super) fn subtract(left: &[u8], right: &[u8]) -> Vec<u8> {
    let complement: Vec<u8> = right.iter().map(|byte| !byte).collect();
    add_carrying(left, &complement, 1).0
}

fn add_carrying(left: &[u8], right: &[u8], carry: u8) -> (Vec<u8>, u8) {
    let mut carry = carry;
    let digits = iter::zip(left.iter().rev(), right.iter().rev());
    let mut sum: Vec<u8> = digits
        .map(|(left, right)| {
            let total = u16::from(*left) + u16::from(*right) + u16::from(carry);
            let [low, high] = total.to_le_bytes();
            carry = high;
            low
        })
        .collect();
    sum.reverse();
    (sum, carry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_many_bytes_are_added_and_subtracted() {
        assert_eq!(add(&[0, 255], &[0, 1]), Some(vec![1, 0]));
        assert_eq!(add(&[255, 255], &[0, 1]), None);
        assert_eq!(subtract(&[1, 0], &[0, 1]), [0, 255]);
        assert_eq!(subtract(&[5, 5], &[5, 5]), [0, 0]);
    }

    #[test]
    fn der_has_the_fewest_bytes_and_a_sign() {
        assert_eq!(der(&[0, 1], &[0, 0x80]), [0x30, 7, 2, 1, 1, 2, 2, 0, 0x80]);
        let long = der(&[1; 66], &[1; 66]);
        assert_eq!((long.len(), &long[..4]), (139, &[0x30, 0x81, 136, 2][..]));
        assert_eq!(integer(&[0]), [2, 1, 0]);
    }
}

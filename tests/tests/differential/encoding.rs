//! The text of a token, bent: bits, lengths, and base64url.

use postern_tests::base64url;

use crate::{
    case::{Corpus, claims, header},
    signer::ALGORITHMS,
};

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

pub(crate) fn fill(corpus: &mut Corpus) {
    for algorithm in ALGORITHMS {
        let good = corpus.good(algorithm);
        bit_flips(corpus, algorithm, &good);
        signature_bytes(corpus, algorithm, &good);
        lengths(corpus, algorithm, &good);
        spellings(corpus, algorithm, &good);
        signed_spellings(corpus, algorithm);
    }
}

fn bit_flips(corpus: &mut Corpus, algorithm: &str, good: &str) {
    for _ in 0..120 {
        let (at, bit) = (corpus.random.below(good.len()), corpus.random.below(7));
        let mut bytes = good.as_bytes().to_vec();
        bytes[at] ^= 1 << bit;
        let flipped = String::from_utf8(bytes).unwrap();
        let class = if same_bytes(good, &flipped) { RESPELLED } else { "a flipped bit" };
        corpus.add(class, format!("{algorithm}, bit {bit} of byte {at}"), flipped);
    }
}

/// A change that lenient decoders do not see.
const RESPELLED: &str = "unused bits of base64url";

fn same_bytes(one: &str, other: &str) -> bool {
    let decode = |text: &str| text.split('.').map(lenient).collect::<Option<Vec<_>>>();
    decode(one).is_some() && decode(one) == decode(other)
}

/// The bytes of a part, whatever its unused bits are.
fn lenient(part: &str) -> Option<Vec<u8>> {
    let digit = |letter: u8| ALPHABET.iter().position(|other| *other == letter);
    let digits = part.bytes().map(digit).collect::<Option<Vec<usize>>>()?;
    let bits: Vec<bool> = digits
        .iter()
        .flat_map(|digit| (0..6).rev().map(move |bit| digit >> bit & 1 == 1))
        .collect();
    let byte = |bits: &[bool]| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    Some(bits.chunks_exact(8).map(byte).collect())
}

fn signature_bytes(corpus: &mut Corpus, algorithm: &str, good: &str) {
    let (text, signature) = good.rsplit_once('.').unwrap();
    let signature = lenient(signature).unwrap();
    let mut forms: Vec<(String, Vec<u8>)> = vec![
        ("empty".into(), vec![]),
        ("zero".into(), vec![0; signature.len()]),
        ("a byte more".into(), [&signature[..], &[0]].concat()),
        ("a byte in front".into(), [&[0], &signature[..]].concat()),
        ("a byte less".into(), signature[..signature.len() - 1].to_vec()),
        ("halves exchanged".into(), {
            let (first, second) = signature.split_at(signature.len() / 2);
            [second, first].concat()
        }),
    ];
    for _ in 0..40 {
        let (at, bit) = (corpus.random.below(signature.len()), corpus.random.below(8));
        let mut bytes = signature.clone();
        bytes[at] ^= 1 << bit;
        forms.push((format!("bit {bit} of byte {at}"), bytes));
    }
    for (name, bytes) in forms {
        let token = format!("{text}.{}", base64url(bytes));
        corpus.add("a wrong signature", format!("{algorithm}, {name}"), token);
    }
}

fn lengths(corpus: &mut Corpus, algorithm: &str, good: &str) {
    for _ in 0..20 {
        let end = corpus.random.below(good.len());
        let cut = good.split_at(end).0.to_owned();
        corpus.add("cut off", format!("{algorithm}, at {end}"), cut);
    }
    let parts: Vec<&str> = good.split('.').collect();
    let [head, body, signature] = parts[..] else { unreachable!("a token has three parts") };
    for token in [
        String::new(),
        ".".into(),
        "..".into(),
        head.into(),
        format!("{head}.{body}"),
        format!("{head}.{body}."),
        format!("{head}..{signature}"),
        format!(".{body}.{signature}"),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{signature}"),
        format!("{head}.{head}.{body}.{signature}"),
        format!("{head}.{body}.{signature}.{head}.{body}"),
        format!("{head}..{body}.{signature}"),
    ] {
        corpus.add("parts missing or added", algorithm, token);
    }
}

/// Other spellings of a signature, which the signature does not cover.
fn spellings(corpus: &mut Corpus, algorithm: &str, good: &str) {
    let (text, signature) = good.rsplit_once('.').unwrap();
    let (start, end) = signature.split_at(signature.len() / 2);
    for inside in ["\n", "\r\n", " ", "\t", "%", "!", "=", "\u{0}", "\u{e9}", "*"] {
        let token = format!("{text}.{start}{inside}{end}");
        let class =
            if inside.trim().is_empty() { "white space in base64url" } else { "not base64url" };
        corpus.add(class, format!("{algorithm}, {inside:?} in the signature"), token);
    }
    for around in ["\n", "\r\n", " ", "\t"] {
        let class = "white space around the token";
        corpus.add(class, format!("{algorithm}, {around:?} behind"), format!("{good}{around}"));
        corpus.add(class, format!("{algorithm}, {around:?} in front"), format!("{around}{good}"));
    }
    let missing = (4 - signature.len() % 4) % 4;
    if missing > 0 {
        let token = format!("{good}{}", "=".repeat(missing));
        corpus.add("padded base64url", format!("{algorithm}, the signature"), token);
    }
    corpus.add("padding of a wrong length", algorithm, format!("{good}==="));
    let standard = signature.replace('-', "+").replace('_', "/");
    if standard != signature {
        let token = format!("{text}.{standard}");
        corpus.add("the alphabet of plain base64", algorithm, token);
    }
    let last = ALPHABET.iter().position(|letter| signature.ends_with(char::from(*letter))).unwrap();
    for bits in 1..16 {
        let other = char::from(ALPHABET[last ^ bits]);
        let token = format!("{text}.{}{other}", signature.split_at(signature.len() - 1).0);
        if same_bytes(good, &token) {
            corpus.add(RESPELLED, format!("{algorithm}, {bits} at the end"), token);
        }
    }
}

/// Other spellings of the header and the claims, under a right signature.
fn signed_spellings(corpus: &mut Corpus, algorithm: &str) {
    // Spaces behind the objects make each length of base64url.
    for spaces in 0..3 {
        let header = format!("{}{}", header(algorithm, &[]), " ".repeat(spaces));
        let claims = format!("{}{}", claims(&[]), " ".repeat(spaces));
        let (head, body) = (base64url(&header), base64url(&claims));
        let token = corpus.signer.token_of_text(algorithm, &format!("{head}.{body}"));
        corpus.add("good", format!("{algorithm}, {spaces} spaces behind the JSON"), token);
        for (place, part) in [("header", &head), ("claims", &body)] {
            let sign = |corpus: &Corpus, spelled: String| {
                let parts = if place == "header" { [&spelled, &body] } else { [&head, &spelled] };
                corpus.signer.token_of_text(algorithm, &format!("{}.{}", parts[0], parts[1]))
            };
            let name = format!("{algorithm}, {place}, {spaces} spaces");
            let missing = (4 - part.len() % 4) % 4;
            if missing > 0 {
                let token = sign(corpus, format!("{part}{}", "=".repeat(missing)));
                corpus.add("signed: padded base64url", name.clone(), token);
                let (start, last) = part.split_at(part.len() - 1);
                let digit = ALPHABET.iter().position(|other| *other == last.as_bytes()[0]).unwrap();
                let respelled = format!("{start}{}", char::from(ALPHABET[digit ^ 1]));
                let token = sign(corpus, respelled);
                corpus.add("signed: unused bits of base64url", name.clone(), token);
            }
            let (start, end) = part.split_at(8);
            for (class, inside) in [
                ("signed: white space in base64url", "\n"),
                ("signed: white space in base64url", " "),
                ("signed: not base64url", "!"),
                ("signed: not base64url", "="),
            ] {
                let token = sign(corpus, format!("{start}{inside}{end}"));
                corpus.add(class, format!("{name}, {inside:?}"), token);
            }
        }
    }
}

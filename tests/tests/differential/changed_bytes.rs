//! Headers and claims with random bytes changed, under right signatures.

use crate::{
    case::{Corpus, claims, header},
    random::Seeded,
};

/// What JSON is made of, and what it is not.
const BYTES: &[u8] = b"\"\\{}[]:,.0123456789+-eEtfn \t\n\r\x00\x7f\x80\xbf\xc3\xed\xffaZ_/'";

pub(crate) fn fill(corpus: &mut Corpus) {
    let mut random = Seeded(0x6368_616e_6765);
    let plain = [header("HS256", &[("typ", Some("\"JWT\""))]), claims(&[("nbf", Some("1"))])];
    for round in 0..4_000 {
        let [mut header, mut claims] = plain.clone().map(String::into_bytes);
        let (class, part) = if round % 3 == 0 {
            ("changed bytes in the header", &mut header)
        } else {
            ("changed bytes in the claims", &mut claims)
        };
        for _ in 0..=random.below(2) {
            change(part, &mut random);
        }
        let name = String::from_utf8_lossy(part).into_owned();
        let token = corpus.signer.token("HS256", &header, &claims);
        corpus.add(class, name, token);
    }
}

/// Replaces, inserts, removes or repeats.
fn change(text: &mut Vec<u8>, random: &mut Seeded) {
    let at = random.below(text.len());
    let byte = BYTES[random.below(BYTES.len())];
    match random.below(4) {
        0 => text[at] = byte,
        1 => text.insert(at, byte),
        2 => drop(text.remove(at)),
        _ => {
            let end = (at + 1 + random.below(24)).min(text.len());
            let piece = text[at..end].to_vec();
            text.splice(at..at, piece);
        }
    }
}

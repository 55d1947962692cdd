//! The compact form: three parts of canonical base64url, within the size budget.

use postern_tests::Key;

use super::Table;
use crate::local_gate::{HEADER, claims as good_claims};

pub(super) fn fill(table: &mut Table<'_>) {
    let good = table.keys.sign(Key::Es256, HEADER, good_claims().to_string());
    let parts: Vec<&str> = good.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("three parts") };
    part_counts(table, &good, header, claims, signature);
    alphabets(table, header, claims, signature);
    table.raw("over the size budget", format!("{good}{}", "A".repeat(20_000)), "token_too_large");
    table.raw("bytes outside of ASCII", b"\xff\xfe.\xfd.\xfc", "token_malformed");
}

fn part_counts(table: &mut Table<'_>, good: &str, header: &str, claims: &str, signature: &str) {
    for (name, token) in [
        ("one part", header.to_owned()),
        ("two parts", format!("{header}.{claims}")),
        ("four parts", format!("{good}.{signature}")),
        ("five parts, as a JWE", format!("{header}.{claims}.{claims}.{claims}.{signature}")),
        ("a dot at the end", format!("{good}.")),
        ("a dot at the start", format!(".{good}")),
        ("a dot", ".".to_owned()),
        ("a word", "token".to_owned()),
        ("two dots in a row", format!("{header}..{claims}.{signature}")),
        ("a scheme twice", format!("Bearer {good}")),
        ("a quoted token", format!("\"{good}\"")),
    ] {
        table.raw(name, token, "token_malformed");
    }
    table.raw("an empty header", format!(".{claims}.{signature}"), "header_malformed");
    table.raw("empty claims", format!("{header}..{signature}"), "claims_malformed");
    table.raw("only dots", "..", "header_malformed");
    table.raw("an empty signature", format!("{header}.{claims}."), "signature_invalid");
}

fn alphabets(table: &mut Table<'_>, header: &str, claims: &str, signature: &str) {
    let space_within = |part: &str| format!("{} {}", &part[..8], &part[8..]);
    for (name, token) in [
        ("a padded signature", format!("{header}.{claims}.{signature}==")),
        ("a padded header", format!("{header}=.{claims}.{signature}")),
        ("padding of three", format!("{header}.{claims}.{signature}===")),
        ("a space in the header", format!("{}.{claims}.{signature}", space_within(header))),
        ("a space in the signature", format!("{header}.{claims}.{}", space_within(signature))),
        ("a space before a dot", format!("{header} .{claims}.{signature}")),
        ("bits set behind the signature", format!("{header}.{claims}.{}", bits_behind(signature))),
        ("bits set behind the header", format!("{}.{claims}.{signature}", bits_behind(header))),
        ("a plus", format!("{header}.{claims}.+{}", &signature[1..])),
        ("a slash", format!("{header}.{claims}./{}", &signature[1..])),
        ("a percent escape", format!("{header}.{claims}.%41{}", &signature[1..])),
        ("one letter too many", format!("{header}.{claims}.{signature}AAA")),
        ("a letter that is none", format!("{header}.{claims}.{}\u{e9}", &signature[1..])),
        ("an asterisk", format!("{header}.{claims}.{}*", &signature[1..])),
    ] {
        table.raw(name, token, "token_malformed");
    }
}

/// The same bytes in a second spelling: where their number is no multiple of three, the last
/// letter has bits that mean nothing and must be zero.
fn bits_behind(part: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    assert_ne!(part.len() % 4, 0, "no bits are left over");
    let (rest, last) = part.split_at(part.len() - 1);
    let index = ALPHABET.find(last).unwrap();
    format!("{rest}{}", &ALPHABET[index + 1..index + 2])
}

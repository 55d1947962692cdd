//! Tokens that are nearly right.

use arbitrary::Arbitrary;

use crate::signed::Signed;

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const SKIPPED: &[u8] = b" \t\r\n\0=.";

/// A signed token, and what was done to it.
#[derive(Arbitrary, Debug)]
pub struct Forgery {
    token: u8,
    edits: Vec<Edit>,
}

#[derive(Arbitrary, Debug)]
enum Edit {
    Replace {
        at: u16,
        byte: u8,
    },
    Insert {
        at: u16,
        bytes: Vec<u8>,
    },
    Remove {
        at: u16,
        length: u8,
    },
    /// What a lenient reader skips, before or behind a part.
    Surround {
        part: u8,
        behind: bool,
        with: u8,
    },
    /// The same bytes to a decoder that ignores the bits behind the last whole byte.
    Respell {
        part: u8,
    },
    /// A part of another signed token in the place of its own.
    Exchange {
        part: u8,
        token: u8,
    },
    /// This text, encoded, in the place of a part.
    Write {
        part: u8,
        text: Vec<u8>,
    },
}

impl Forgery {
    /// The token's text.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        let mut text = signed(self.token).to_vec();
        for edit in &self.edits {
            edit.apply(&mut text);
        }
        text
    }
}

impl Edit {
    fn apply(&self, text: &mut Vec<u8>) {
        let place = |at: u16| usize::from(at) % (text.len() + 1);
        match self {
            Self::Replace { at, byte } => {
                if let Some(old) = text.get_mut(usize::from(*at)) {
                    *old = *byte;
                }
            }
            Self::Insert { at, bytes } => {
                let at = place(*at);
                text.splice(at..at, bytes.iter().copied());
            }
            Self::Remove { at, length } => {
                let at = place(*at);
                let end = text.len().min(at + usize::from(*length));
                text.drain(at..end);
            }
            Self::Surround { part, behind, with } => {
                let with = SKIPPED[usize::from(*with) % SKIPPED.len()];
                edit_part(text, *part, |content| {
                    content.insert(if *behind { content.len() } else { 0 }, with);
                });
            }
            Self::Respell { part } => edit_part(text, *part, |content| {
                let Some(last) = content.last_mut() else { return };
                let at = LETTERS.iter().position(|letter| letter == last).unwrap_or_default();
                *last = LETTERS[at ^ 1];
            }),
            Self::Exchange { part, token } => {
                let other = signed(*token).split(|byte| *byte == b'.').nth(usize::from(part % 3));
                edit_part(text, *part, |content| *content = other.unwrap_or_default().to_vec());
            }
            Self::Write { part, text: content } => {
                edit_part(text, *part, |old| *old = base64url(content));
            }
        }
    }
}

fn signed(index: u8) -> &'static [u8] {
    let tokens = &Signed::get().tokens;
    tokens[usize::from(index) % tokens.len()].as_bytes()
}

fn edit_part(text: &mut Vec<u8>, part: u8, edit: impl FnOnce(&mut Vec<u8>)) {
    let mut parts: Vec<Vec<u8>> = text.split(|byte| *byte == b'.').map(<[u8]>::to_vec).collect();
    if let Some(content) = parts.get_mut(usize::from(part % 3)) {
        edit(content);
    }
    *text = parts.join(&b'.');
}

fn base64url(bytes: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for letter in 0..=chunk.len() {
            encoded.push(LETTERS[(bits >> (18 - 6 * letter) & 63) as usize]);
        }
    }
    encoded
}

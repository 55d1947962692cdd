//! Base64url without padding (RFC 7515 §2), in its one canonical spelling.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// Decodes `text`, or returns `None` where it holds padding, white space, a character outside
/// the alphabet, or set bits behind the last whole byte. The last matters because a token that
/// can be respelled is a token that can dodge a list of revoked ones.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Encodes any bytes.
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn takes_the_canonical_spelling_only() {
        assert_eq!(decode("Zm9v").as_deref(), Some(&b"foo"[..]));
        assert_eq!(decode("Zm8").as_deref(), Some(&b"fo"[..]));
        assert_eq!(decode("_-8").as_deref(), Some(&[0xff, 0xef][..]));
        assert_eq!(decode("").as_deref(), Some(&b""[..]));
        for refused in ["Zm8=", "Zm 9v", "Zm9v\n", "Zm9", "Zm-+", "+/8", "Z", "Zm9v====", "Zmé"] {
            assert_eq!(decode(refused), None, "{refused:?}");
        }
    }
}

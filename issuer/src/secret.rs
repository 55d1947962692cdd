//! Values that are never printed and do not stay in memory.

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use rand_core::{OsRng, RngCore};
use ring::hmac;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Bytes that print as `[redacted]` and are zeroized on drop.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct SecretBytes(Vec<u8>);

impl SecretBytes {
    /// Takes over `bytes`.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// `length` bytes from the operating system's random source.
    pub(crate) fn random(length: usize) -> Self {
        let mut bytes = vec![0; length];
        OsRng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The bytes themselves.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// HMAC-SHA256 (RFC 2104) of `parts`, one after the other, under this key.
    pub(crate) fn hmac(&self, parts: &[&[u8]]) -> Self {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        for part in parts {
            context.update(part);
        }
        Self(context.sign().as_ref().to_vec())
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

/// As base64url without padding; only the vault's own documents are serialized.
impl Serialize for SecretBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = Zeroizing::new(Base64UrlUnpadded::encode_string(&self.0));
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for SecretBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        Base64UrlUnpadded::decode_vec(&text)
            .map(Self)
            .map_err(|_| D::Error::custom("a secret is not base64url"))
    }
}

/// Text that prints as `[redacted]` and is zeroized on drop: a password or a token.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct SecretText(String);

impl SecretText {
    /// Takes over `text`.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

/// A random identifier: `length` bytes as base64url.
pub(crate) fn random_id(length: usize) -> String {
    Base64UrlUnpadded::encode_string(SecretBytes::random(length).expose())
}

/// SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_print_redacted() {
        assert_eq!(format!("{:?}", SecretBytes::random(32)), "[redacted]");
        assert_eq!(format!("{:?}", SecretText::new("hunter2".to_owned())), "[redacted]");
    }

    #[test]
    fn random_values_differ() {
        assert_ne!(random_id(16), random_id(16));
        assert_eq!(random_id(16).len(), 22);
    }

    #[test]
    fn hmac_is_rfc_4231_case_2() {
        let mac = SecretBytes::new(b"Jefe".to_vec()).hmac(&[b"what do ya want ", b"for nothing?"]);
        let expected = "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM";
        assert_eq!(Base64UrlUnpadded::encode_string(mac.expose()), expected);
    }
}

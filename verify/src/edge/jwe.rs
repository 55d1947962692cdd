//! JSON Web Encryption in compact form (RFC 7516 §7.1), of one algorithm: ECDH-ES+A256KW on P-256,
//! and A256GCM for the content.

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use aes_kw::KwAes256;
use p256::{PublicKey, SecretKey};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{
    key_agreement::{Parties, derive_key},
    private_key::public_key,
};
use crate::{base64url, json, jws::media_type};

const KEY_ALGORITHM: &str = "ECDH-ES+A256KW";
const CONTENT_ALGORITHM: &str = "A256GCM";
/// A content key of 256 bits, wrapped (RFC 3394 §2.2.1).
const WRAPPED_KEY_BYTES: usize = 40;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// Of all that can be wrong behind the header: a sender is told no more (RFC 7516 §11.5).
const UNDECRYPTABLE: &str = "it does not decrypt with this key";

/// A JWE whose structure and header are right. Nothing in it is to be trusted before
/// [`Jwe::decrypt`].
pub(super) struct Jwe<'t> {
    pub(super) key_id: Option<String>,
    /// The header's `cty`, in lower case and without `application/`.
    pub(super) content_type: Option<String>,
    header_text: &'t str,
    parties: Parties,
    ephemeral: PublicKey,
    wrapped_key: [u8; WRAPPED_KEY_BYTES],
    nonce: [u8; NONCE_BYTES],
    ciphertext: Vec<u8>,
    tag: [u8; TAG_BYTES],
}

impl<'t> Jwe<'t> {
    pub(super) fn parse(text: &'t str) -> Result<Self, &'static str> {
        let mut parts = text.split('.');
        let mut part = || parts.next().ok_or("it has not five parts");
        let (header_text, wrapped_key, nonce) = (part()?, part()?, part()?);
        let (ciphertext, tag) = (part()?, part()?);
        if parts.next().is_some() {
            return Err("it has not five parts");
        }
        let header = base64url::decode(header_text).ok_or("a part is not base64url")?;
        let Header { key_id, content_type, parties, ephemeral } = Header::parse(&header)?;
        Ok(Self {
            key_id,
            content_type,
            header_text,
            parties,
            ephemeral,
            wrapped_key: fixed(wrapped_key)?,
            nonce: fixed(nonce)?,
            ciphertext: base64url::decode(ciphertext).ok_or("a part is not base64url")?,
            tag: fixed(tag)?,
        })
    }

    /// The content, if it was encrypted for this key and nobody has changed it or the header.
    pub(super) fn decrypt(&self, key: &SecretKey) -> Result<Zeroizing<Vec<u8>>, &'static str> {
        let shared = key.diffie_hellman(&self.ephemeral);
        let wrapping = derive_key(shared.raw_secret_bytes(), KEY_ALGORITHM, &self.parties, 256);
        let mut content_key = Zeroizing::new([0; WRAPPED_KEY_BYTES]);
        let content_key = KwAes256::new((&*wrapping).into())
            .unwrap_key(&self.wrapped_key, content_key.as_mut_slice())
            .map_err(|_| UNDECRYPTABLE)?;
        let cipher = Aes256Gcm::new_from_slice(content_key).map_err(|_| UNDECRYPTABLE)?;
        let mut content = Zeroizing::new(self.ciphertext.clone());
        cipher
            .decrypt_inout_detached(
                (&self.nonce).into(),
                self.header_text.as_bytes(),
                content.as_mut_slice().into(),
                (&self.tag).into(),
            )
            .map_err(|_| UNDECRYPTABLE)?;
        Ok(content)
    }
}

struct Header {
    key_id: Option<String>,
    content_type: Option<String>,
    parties: Parties,
    ephemeral: PublicKey,
}

impl Header {
    fn parse(text: &[u8]) -> Result<Self, &'static str> {
        let malformed = "its header is not a JSON object of distinct members";
        let members = json::parse_object(text).ok().flatten().ok_or(malformed)?;
        let string = |name| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err("a member of its header is not a string"),
        };
        if string("alg")? != Some(KEY_ALGORITHM) {
            return Err("its `alg` is not `ECDH-ES+A256KW`");
        }
        if string("enc")? != Some(CONTENT_ALGORITHM) {
            return Err("its `enc` is not `A256GCM`");
        }
        if members.contains_key("crit") {
            return Err("its header has `crit`");
        }
        if members.contains_key("zip") {
            return Err("it is compressed"); // RFC 8725 §3.6
        }
        string("typ")?;
        let party = |name| match string(name)? {
            None => Ok(Vec::new()),
            Some(text) => base64url::decode(text).ok_or("its `apu` or `apv` is not base64url"),
        };
        Ok(Self {
            key_id: string("kid")?.map(str::to_owned),
            content_type: string("cty")?.map(media_type),
            parties: Parties { producer: party("apu")?, recipient: party("apv")? },
            ephemeral: ephemeral_key(&members)?,
        })
    }
}

/// RFC 7518 §4.6.1.1.
fn ephemeral_key(header: &Map<String, Value>) -> Result<PublicKey, &'static str> {
    let epk = header.get("epk").and_then(Value::as_object).ok_or("its `epk` is missing")?;
    let says = |name: &str, value: &str| epk.get(name).is_some_and(|member| member == value);
    if !says("kty", "EC") || !says("crv", "P-256") || epk.contains_key("d") {
        return Err("its `epk` is not a public key on P-256");
    }
    public_key(epk).ok_or("its `epk` is not a point on P-256")
}

fn fixed<const N: usize>(part: &str) -> Result<[u8; N], &'static str> {
    let decoded = base64url::decode(part).ok_or("a part is not base64url")?;
    decoded.try_into().map_err(|_| "a part has not the length of its algorithm")
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

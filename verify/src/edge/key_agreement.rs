//! From a point that two keys agree on to a key that nothing else is encrypted with.

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// What the header says of the two parties (RFC 7518 §4.6.1.2, §4.6.1.3); empty where it is silent.
#[derive(Debug, Default)]
pub(super) struct Parties {
    pub(super) producer: Vec<u8>,
    pub(super) recipient: Vec<u8>,
}

/// The Concat KDF (RFC 7518 §4.6.2) with SHA-256, for keys of up to 256 bits: the first `bits` of
/// what is returned.
pub(super) fn derive_key(
    shared: &[u8],
    algorithm: &str,
    parties: &Parties,
    bits: u32,
) -> Zeroizing<[u8; 32]> {
    let mut hash = Sha256::new();
    hash.update(1_u32.to_be_bytes()); // one round is enough for 256 bits
    hash.update(shared);
    for part in [algorithm.as_bytes(), &parties.producer, &parties.recipient] {
        // Nothing here is longer than a bundle.
        hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.update(bits.to_be_bytes());
    Zeroizing::new(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use p256::SecretKey;

    use super::*;
    use crate::{base64url, edge::private_key::public_key};

    /// RFC 7518 Appendix C: Alice's ephemeral key, Bob's, and what they agree on.
    #[test]
    fn agrees_with_the_example_of_the_standard() {
        let alice = base64url::decode("0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo").unwrap();
        let bob = serde_json::json!({
            "x": "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
            "y": "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck",
        });
        let bob = public_key(bob.as_object().unwrap()).unwrap();
        let shared = SecretKey::from_slice(&alice).unwrap().diffie_hellman(&bob);
        let parties = Parties { producer: b"Alice".to_vec(), recipient: b"Bob".to_vec() };
        let key = derive_key(shared.raw_secret_bytes(), "A128GCM", &parties, 128);
        assert_eq!(base64url::encode(&key[..16]), "VqqN6vgjbSBcIijNcacQGg");
    }
}

//! The bits of one list.

use miniz_oxide::deflate::compress_to_vec_zlib;

use super::place::LIST_PLACES;
use crate::store::StoreError;

const PLACES_PER_BYTE: u32 = 8;
/// The default of zlib; the highest takes three times as long for some percent less.
const COMPRESSION_LEVEL: u8 = 6;

/// One bit for each place, the least significant first. A set one is never cleared.
#[derive(Clone)]
pub(super) struct BitList(Vec<u8>);

impl BitList {
    pub(super) fn new() -> Self {
        Self::with_places(LIST_PLACES)
    }

    fn with_places(places: u32) -> Self {
        Self(vec![0; places.div_ceil(PLACES_PER_BYTE) as usize])
    }

    /// Sets a bit. Answers whether it was not set yet.
    pub(super) fn set(&mut self, index: u32) -> Result<bool, StoreError> {
        let byte = self.0.get_mut((index / PLACES_PER_BYTE) as usize);
        let byte = byte.ok_or(StoreError::Damaged("revocation"))?;
        let before = *byte;
        *byte |= 1 << (index % PLACES_PER_BYTE);
        Ok(*byte != before)
    }

    /// In the ZLIB data format (RFC 1950), as `lst` has it before base64url.
    pub(super) fn compress(&self) -> Vec<u8> {
        compress_to_vec_zlib(&self.0, COMPRESSION_LEVEL)
    }
}

#[cfg(test)]
mod tests {
    use base64ct::{Base64UrlUnpadded, Encoding};
    use miniz_oxide::inflate::decompress_to_vec_zlib;

    use super::*;

    #[test]
    fn bits_are_least_significant_first_and_stay_set() {
        let mut list = BitList::with_places(16);
        for index in [0, 3, 4, 5, 7, 8, 9, 13, 15] {
            assert!(list.set(index).unwrap());
        }
        // The draft's own example of one bit: section 4.1.
        assert_eq!(list.0, [0xb9, 0xa3]);
        assert!(!list.set(15).unwrap());
        assert_eq!(list.0, [0xb9, 0xa3]);
        assert!(matches!(list.set(16), Err(StoreError::Damaged("revocation"))));
    }

    /// The first test vector of the draft. The bytes of a compression may differ; what comes out of
    /// it may not.
    #[test]
    fn the_drafts_list_comes_out_of_the_same_bits() {
        let mut list = BitList::new();
        for index in REVOKED {
            assert!(list.set(index).unwrap());
        }
        let theirs = Base64UrlUnpadded::decode_vec(COMPRESSED).unwrap();
        let theirs = decompress_to_vec_zlib(&theirs).unwrap();
        assert_eq!(decompress_to_vec_zlib(&list.compress()).unwrap(), theirs);
        assert_eq!(theirs, list.0);
    }

    const REVOKED: [u32; 11] =
        [0, 1993, 25_460, 159_495, 495_669, 554_353, 645_645, 723_232, 854_545, 934_534, 1_000_345];
    const COMPRESSED: &str = "eNrt3AENwCAMAEGogklACtKQPg9LugC9k_ACvreiogEAAKkeCQAAAAAAAAAAAAAAAAAAAIBylgQAAAAAAAAAAA\
        AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAXG9IAAAAAAAAAPwsJAAAAAAAAAAAAAAAvhsSAAAAAAAA\
        AAAA7KpLAAAAAAAAAAAAAAAAAAAAAJsLCQAAAAAAAAAAADjelAAAAAAAAAAAKjDMAQAAAACAZC8L2AEb";
}

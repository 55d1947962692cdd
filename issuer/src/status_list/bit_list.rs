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

    /// The places of the draft's first example, which the core reads from what the draft prints.
    #[test]
    fn what_is_packed_comes_out_again() {
        let mut list = BitList::new();
        let revoked = [0, 1993, 25_460, 159_495, 495_669, 554_353, 645_645, 1_000_345];
        assert!(revoked.into_iter().all(|index| list.set(index).unwrap()));
        let unpacked = decompress_to_vec_zlib(&list.compress()).unwrap();
        assert_eq!(unpacked, list.0);
        let bits = |byte: &u8| byte.count_ones() as usize;
        assert_eq!(unpacked.iter().map(bits).sum::<usize>(), revoked.len());
    }
}

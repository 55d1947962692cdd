//! Where a session stands in its domain's status lists.

use aes::Aes256;
use fpe::ff1::{FF1, FlexibleNumeralString};

use crate::{secret::SecretBytes, store::StoreError};

/// A list has 2^20 places: with one bit each, 128 KiB.
const LIST_BITS: u32 = 20;
pub(super) const LIST_PLACES: u32 = 1 << LIST_BITS;
const KEY_BYTES: usize = 32;
const BINARY: u32 = 2;

/// A place of one bit, which belongs to one session and is never given away again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusPlace {
    /// The number of the list in its domain, from 0.
    pub list: u32,
    /// The place in the list, below 2^20: the `idx` of tokens.
    pub index: u32,
}

impl StatusPlace {
    /// How many lists that many places fill, the last one in part.
    pub(crate) fn lists_begun(places: u64) -> Result<u32, StoreError> {
        u32::try_from(places.div_ceil(LIST_PLACES.into())).map_err(|_| damaged())
    }
}

/// Turns a domain's count of logins into places, so that no two share one and none tells which
/// login it was of.
pub(crate) struct PlaceKey(SecretBytes);

impl PlaceKey {
    pub(crate) fn random() -> Self {
        Self(SecretBytes::random(KEY_BYTES))
    }

    /// One that was stored.
    pub(crate) fn stored(bytes: Vec<u8>) -> Result<Self, StoreError> {
        let key = SecretBytes::new(bytes);
        if key.expose().len() == KEY_BYTES { Ok(Self(key)) } else { Err(damaged()) }
    }

    pub(crate) fn expose(&self) -> &[u8] {
        self.0.expose()
    }

    /// The place of the login of that number, counted from 0.
    ///
    /// Within a list it is a permutation: FF1 of NIST SP 800-38G, on 20 binary digits, the fewest
    /// that its revision 1 allows (a million numbers at least); the number of the list is the tweak.
    pub(crate) fn place(&self, count: u64) -> Result<StatusPlace, StoreError> {
        let list = u32::try_from(count >> LIST_BITS).map_err(|_| damaged())?;
        let permutation = FF1::<Aes256>::new(self.expose(), BINARY).map_err(|_| damaged())?;
        let digits = (0..LIST_BITS).rev().map(|digit| u16::from(count >> digit & 1 == 1));
        let digits = FlexibleNumeralString::from(digits.collect::<Vec<_>>());
        let permuted = permutation.encrypt(&list.to_be_bytes(), &digits).map_err(|_| damaged())?;
        let digits = Vec::<u16>::from(permuted).into_iter();
        let index = digits.fold(0, |index, digit| (index << 1) | u32::from(digit));
        Ok(StatusPlace { list, index })
    }
}

fn damaged() -> StoreError {
    StoreError::Damaged("status counter")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn key(byte: u8) -> PlaceKey {
        PlaceKey::stored(vec![byte; KEY_BYTES]).unwrap()
    }

    #[test]
    fn no_two_counts_share_a_place_and_lists_follow_one_another() {
        let key = key(7);
        let end = u64::from(LIST_PLACES);
        let counts = (0..2000).chain(end - 2000..end + 2000).chain(2 * end..2 * end + 2000);
        let places: Vec<_> = counts.clone().map(|count| key.place(count).unwrap()).collect();
        let distinct: HashSet<_> = places.iter().collect();
        assert_eq!(distinct.len(), places.len());
        for (count, place) in counts.zip(places) {
            assert_eq!(u64::from(place.list), count / end);
            assert!(place.index < LIST_PLACES);
        }
    }

    #[test]
    fn a_list_is_begun_with_its_first_place() {
        let places = u64::from(LIST_PLACES);
        let begun = [(0, 0), (1, 1), (places, 1), (places + 1, 2)];
        for (places, lists) in begun {
            assert_eq!(StatusPlace::lists_begun(places).unwrap(), lists);
        }
    }

    #[test]
    fn order_does_not_show_and_is_another_one_for_each_key_and_each_list() {
        let indices = |key: &PlaceKey, first: u64| -> Vec<_> {
            (first..first + 200).map(|count| key.place(count).unwrap().index).collect()
        };
        let first = indices(&key(7), 0);
        let next_to_each_other =
            |pair: &&[u32]| pair.first().unwrap().abs_diff(*pair.last().unwrap()) < 100;
        assert!(first.windows(2).filter(next_to_each_other).count() < 5);
        let rising = first.windows(2).filter(|pair| pair[0] < pair[1]).count();
        assert!((60..140).contains(&rising), "{rising}");
        assert_eq!(first, indices(&key(7), 0));
        assert_ne!(first, indices(&key(8), 0));
        assert_ne!(first, indices(&key(7), u64::from(LIST_PLACES)));
    }

    #[test]
    fn a_key_of_another_length_and_a_count_beyond_all_lists_are_damaged() {
        assert!(PlaceKey::stored(vec![1; 31]).is_err());
        assert!(key(1).place(1 << 52).is_err());
        assert!(key(1).place((1 << 52) - 1).is_ok());
    }
}

//! Which places of a list do not say that their token is valid.

/// Beyond what share of a list's bits the numbers of its places take more room than it is worth.
const SPARSE_SHARE: usize = 8;

/// The places whose status is not `VALID` (0): a token is refused for any other status, so that no
/// more is held of it than that.
///
/// A list of 2^20 places is 128 KiB of bits, whatever bits it has for each. Where at most 4096 of them
/// do not say valid (0.4 %), it is their numbers: 4 bytes each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    length: u32,
    refused: Refused,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Refused {
    /// Least significant bit first.
    Bits(Box<[u64]>),
    /// In ascending order.
    Numbers(Box<[u32]>),
}

impl Places {
    /// The places of an unpacked list with so many bits for each (§4.1); `None` for other than 1, 2,
    /// 4 and 8 bits, and for more than 2^32 places.
    pub(crate) fn of_list(bits: u64, list: &[u8]) -> Option<Self> {
        let bits = u8::try_from(bits).ok().filter(|bits| [1, 2, 4, 8].contains(bits))?;
        let per_byte = usize::from(8 / bits);
        let length = u32::try_from(list.len().checked_mul(per_byte)?).ok()?;
        let words = if bits == 1 { words(list) } else { narrowed(bits, list) };
        Some(Self::of_words(length, words))
    }

    fn of_words(length: u32, words: Vec<u64>) -> Self {
        let count: usize = words.iter().map(|word| word.count_ones() as usize).sum();
        let is_sparse = count * size_of::<u32>() * SPARSE_SHARE <= words.len() * size_of::<u64>();
        let refused = if is_sparse {
            Refused::Numbers(numbers(&words).collect())
        } else {
            Refused::Bits(words.into())
        };
        Self { length, refused }
    }

    /// Whether the token of this place is to be refused; so is one beyond the end of the list (§8.3).
    pub(crate) fn refuses(&self, index: u64) -> bool {
        let Some(index) = u32::try_from(index).ok().filter(|index| *index < self.length) else {
            return true;
        };
        match &self.refused {
            Refused::Numbers(numbers) => numbers.binary_search(&index).is_ok(),
            Refused::Bits(words) => {
                words.get(index as usize / 64).is_none_or(|word| word >> (index % 64) & 1 == 1)
            }
        }
    }

    /// What both of them refuse together, but for what lies beyond the end of both.
    pub(crate) fn united(&self, other: &Self) -> Self {
        let length = self.length.max(other.length);
        let mut words = vec![0; (length as usize).div_ceil(64)];
        for number in self.numbers().chain(other.numbers()) {
            set(&mut words, number as usize);
        }
        Self::of_words(length, words)
    }

    /// How many there are that it refuses.
    pub(crate) fn count(&self) -> usize {
        match &self.refused {
            Refused::Numbers(numbers) => numbers.len(),
            Refused::Bits(words) => words.iter().map(|word| word.count_ones() as usize).sum(),
        }
    }

    fn numbers(&self) -> Box<dyn Iterator<Item = u32> + '_> {
        match &self.refused {
            Refused::Numbers(known) => Box::new(known.iter().copied()),
            Refused::Bits(words) => Box::new(numbers(words)),
        }
    }
}

fn words(list: &[u8]) -> Vec<u64> {
    let (chunks, rest) = list.as_chunks::<8>();
    let mut end = [0; 8];
    end.iter_mut().zip(rest).for_each(|(end, byte)| *end = *byte);
    let end = (!rest.is_empty()).then_some(end);
    chunks.iter().copied().chain(end).map(u64::from_le_bytes).collect()
}

/// One bit for each place that has several: whether any of them is set.
fn narrowed(bits: u8, list: &[u8]) -> Vec<u64> {
    let per_byte = usize::from(8 / bits);
    let mut words = vec![0; (list.len() * per_byte).div_ceil(64)];
    for (index, byte) in list.iter().enumerate().filter(|(_, byte)| **byte != 0) {
        for place in (0..per_byte).filter(|place| status(bits, *byte, *place) != 0) {
            set(&mut words, index * per_byte + place);
        }
    }
    words
}

/// The status of a place within a byte: the first one has its lowest bits (§4.1).
pub(super) fn status(bits: u8, byte: u8, place: usize) -> u8 {
    let mask = u8::MAX >> (8 - bits);
    (byte >> (place * usize::from(bits))) & mask
}

fn set(words: &mut [u64], number: usize) {
    if let Some(word) = words.get_mut(number / 64) {
        *word |= 1 << (number % 64);
    }
}

fn numbers(words: &[u64]) -> impl Iterator<Item = u32> + '_ {
    let first_of = |index: usize| u32::try_from(index * 64).unwrap_or(u32::MAX);
    let set = words.iter().enumerate().filter(|(_, word)| **word != 0);
    set.flat_map(move |(index, word)| {
        (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| first_of(index) + bit)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the draft says, place by place.
    fn naive(bits: u64, list: &[u8], index: u64) -> bool {
        let first_bit = index * bits;
        let Some(byte) = list.get(usize::try_from(first_bit / 8).unwrap()) else { return true };
        (u64::from(*byte) >> (first_bit % 8)) & ((1 << bits) - 1) != 0
    }

    fn same(bits: u64, list: &[u8]) -> Result<(), TestCaseError> {
        let places = Places::of_list(bits, list).unwrap();
        let length = list.len() as u64 * 8 / bits;
        for index in 0..length + 70 {
            prop_assert_eq!(places.refuses(index), naive(bits, list, index), "{}", index);
        }
        for index in [u64::from(u32::MAX), 1 << 32, u64::MAX] {
            prop_assert!(places.refuses(index));
        }
        let refused = (0..length).filter(|index| naive(bits, list, *index)).count();
        prop_assert_eq!(places.count(), refused);
        Ok(())
    }

    fn bits() -> impl Strategy<Value = u64> {
        prop_oneof![Just(1), Just(2), Just(4), Just(8)]
    }

    proptest! {
        #[test]
        fn lists_mean_what_the_draft_says(bits in bits(), list: Vec<u8>) {
            same(bits, &list)?;
        }

        #[test]
        fn so_do_lists_that_are_almost_empty(
            bits in bits(),
            length in 1_usize..3_000,
            set in prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 0..4),
        ) {
            let mut list = vec![0; length];
            for (index, byte) in set {
                list[index.index(length)] = byte;
            }
            same(bits, &list)?;
        }

        #[test]
        fn two_lists_together_refuse_what_either_does(one: Vec<u8>, other: Vec<u8>) {
            let places = |list: &[u8]| Places::of_list(1, list).unwrap();
            let united = places(&one).united(&places(&other));
            let is_set = |list: &[u8], index: u64| {
                index < list.len() as u64 * 8 && naive(1, list, index)
            };
            let length = one.len().max(other.len()) as u64 * 8;
            for index in 0..length {
                let expected = is_set(&one, index) || is_set(&other, index);
                prop_assert_eq!(united.refuses(index), expected);
            }
            prop_assert!(united.refuses(length));
        }
    }

    #[test]
    fn a_list_has_one_two_four_or_eight_bits() {
        for bits in [0, 3, 5, 6, 7, 9, 16, 257, u64::MAX] {
            assert_eq!(Places::of_list(bits, &[0]), None, "{bits}");
        }
    }

    #[test]
    fn few_are_held_as_numbers_and_many_as_bits() {
        let list = |every: usize| {
            let mut list = vec![0_u8; 128 * 1024];
            (0..1 << 20).step_by(every).for_each(|place| list[place / 8] |= 1 << (place % 8));
            Places::of_list(1, &list).unwrap()
        };
        assert!(matches!(list(256).refused, Refused::Numbers(numbers) if numbers.len() == 4_096));
        assert!(matches!(list(255).refused, Refused::Bits(words) if words.len() * 8 == 128 * 1024));
    }
}

//! Unpacking (zlib, RFC 1950) within a bound.

use miniz_oxide::inflate::{
    TINFLStatus,
    core::{
        DecompressorOxide, decompress,
        inflate_flags::{TINFL_FLAG_PARSE_ZLIB_HEADER, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF},
    },
};

/// What a list of a million places has, by one bit each: room for that is there at once.
const USUAL_BYTES: usize = 128 * 1024;

/// The bytes that `packed` unpacks to; `None` where they are more than `limit`, where it is no zlib
/// stream with the right checksum, and where anything comes after it.
pub(super) fn inflate(mut packed: &[u8], limit: usize) -> Option<Vec<u8>> {
    let flags = TINFL_FLAG_PARSE_ZLIB_HEADER | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let mut state = Box::<DecompressorOxide>::default();
    let mut bytes = vec![0; limit.min(USUAL_BYTES)];
    let mut filled = 0;
    loop {
        let (status, read, written) = decompress(&mut state, packed, &mut bytes, filled, flags);
        packed = packed.get(read..)?;
        filled += written;
        match status {
            TINFLStatus::Done if packed.is_empty() => break,
            TINFLStatus::HasMoreOutput if bytes.len() < limit => {
                bytes.resize(limit.min(bytes.len() * 2), 0);
            }
            _ => return None,
        }
    }
    bytes.truncate(filled);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use miniz_oxide::deflate::compress_to_vec_zlib;
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 1 << 20;

    #[test]
    fn unpacks_up_to_the_limit_and_not_a_byte_more() {
        for length in [0, 1, USUAL_BYTES, USUAL_BYTES + 1, LIMIT - 1, LIMIT] {
            let packed = compress_to_vec_zlib(&vec![7; length], 9);
            assert_eq!(inflate(&packed, LIMIT), Some(vec![7; length]), "{length}");
        }
        assert_eq!(inflate(&compress_to_vec_zlib(&vec![7; LIMIT + 1], 9), LIMIT), None);
        // A thousandfold: what unpacks to a gigabyte costs no more than the limit.
        assert_eq!(inflate(&compress_to_vec_zlib(&vec![0; 32 * LIMIT], 9), LIMIT), None);
    }

    #[test]
    fn takes_one_whole_stream_and_nothing_else() {
        let packed = compress_to_vec_zlib(b"status", 6);
        let with = |change: fn(&mut Vec<u8>)| {
            let mut packed = packed.clone();
            change(&mut packed);
            inflate(&packed, LIMIT)
        };
        assert_eq!(with(|_| {}).as_deref(), Some(&b"status"[..]));
        assert_eq!(with(|packed| packed.push(0)), None);
        assert_eq!(with(|packed| packed.extend_from_within(..)), None);
        assert_eq!(with(|packed| packed.truncate(packed.len() - 1)), None);
        assert_eq!(with(Vec::clear), None);
        assert_eq!(with(|packed| *packed.last_mut().unwrap() ^= 1), None, "the checksum");
        assert_eq!(with(|packed| drop(packed.drain(..2))), None, "raw deflate");
    }

    proptest! {
        #[test]
        fn any_bytes_unpack_to_something_or_nothing(bytes: Vec<u8>) {
            prop_assert!(inflate(&bytes, 1_000).is_none_or(|unpacked| unpacked.len() <= 1_000));
        }

        #[test]
        fn what_was_packed_comes_out(bytes: Vec<u8>, level in 0_u8..=10) {
            prop_assert_eq!(inflate(&compress_to_vec_zlib(&bytes, level), LIMIT), Some(bytes));
        }
    }
}

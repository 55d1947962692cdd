//! Tokens: as they come, and signed ones that were tampered with.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use postern_fuzz::Forgery;

fuzz_target!(|bytes: &[u8]| {
    postern_fuzz::token(bytes);
    if let Ok(forgery) = Forgery::arbitrary(&mut Unstructured::new(bytes)) {
        postern_fuzz::token(&forgery.text());
    }
});

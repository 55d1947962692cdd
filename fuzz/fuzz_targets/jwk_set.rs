//! Documents: JWK Sets.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|document: &[u8]| postern_fuzz::jwk_set(document));

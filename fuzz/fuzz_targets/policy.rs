//! Documents: policies.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|document: &[u8]| postern_fuzz::policy(document));

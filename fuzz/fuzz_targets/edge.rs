//! Documents: credentials of edges, and the bundles of keys that they fetch.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|document: &[u8]| postern_fuzz::edge(document));

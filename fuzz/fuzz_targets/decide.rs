//! Requests to a gate.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_fuzz::Visit;

fuzz_target!(|visit: Visit| postern_fuzz::decide(&visit));

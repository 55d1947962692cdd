//! The source of randomness that there is none: whoever asks gets an error, never a guessable
//! number. Verifying a signature needs none; crates that can also sign link to one.

use std::num::NonZeroU32;

getrandom::register_custom_getrandom!(refuse);

fn refuse(_destination: &mut [u8]) -> Result<(), getrandom::Error> {
    // Any code from CUSTOM_START on is ours to give.
    Err(NonZeroU32::MIN.saturating_add(getrandom::Error::CUSTOM_START - 1).into())
}

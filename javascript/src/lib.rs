//! What Postern's gates in JavaScript hosts (workerd, Node, browsers) share. Each call between
//! JavaScript and Wasm costs, so a request comes in one string and what to do leaves in one.
//!
//! - [`RequestText`] reads a request that JavaScript hands over.
//! - [`forward_text`] and [`answer_text`] write down what JavaScript is to do.
//! - [`NodeSignatures`] checks signatures with `node:crypto`, where the host has that.

mod crypto;
#[cfg(target_family = "wasm")]
mod entropy;
mod orders;
mod text;

use std::time::Duration;

pub use crate::{
    crypto::{NodeCrypto, NodeSignatures},
    orders::{answer_text, forward_text},
    text::{FieldCoding, RequestText},
};

/// The time that `Date.now()` returned: milliseconds since the Unix epoch. `None` where that is no
/// time: there is none to assume in its stead.
#[must_use]
pub fn time(milliseconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(milliseconds / 1_000.0).ok()
}

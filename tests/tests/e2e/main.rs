//! End to end, on the real programs.
//!
//! Tests under `envoy::` start a real Envoy with the built filter, those under `browser::` a
//! Chromium; the others need only the issuer. One binary, because each would link everything
//! again.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
)]

mod browser;
mod edge_gate;
mod envoy;
mod issuer;
mod local_gate;
mod node;
mod npm;
mod random;
mod shop;

//! The issuer on AWS, on emulators that speak AWS's own protocols.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
)]

mod authorizer_corpus;
mod gateway;
mod lambda;
mod shop;
mod store;
mod table;

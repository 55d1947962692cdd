//! The issuer on AWS, on emulators that speak AWS's own protocols.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod service;
mod shop;
mod store;
mod store_faults;
mod table;

//! The issuer on AWS: its templates, the pipelines that deploy them, and what runs on emulators that
//! speak AWS's own protocols.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
)]

mod authorizer_corpus;
mod chaos;
mod command;
mod edges;
mod envoy;
mod gateway;
mod lambda;
mod pipelines;
mod rotation;
mod secrets;
mod service;
mod shop;
mod status;
mod store;
mod store_faults;
mod table;
mod template;
mod vault;

//! The issuer on AWS: its templates, the pipelines that deploy them, and what runs on emulators that
//! speak AWS's own protocols.

mod pipelines;
mod template;
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod shop;
mod store;
mod table;

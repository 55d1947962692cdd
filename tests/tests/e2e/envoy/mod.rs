//! Tests that start a real Envoy.

mod answers;
mod configuration;
mod corpus;
mod headers;
mod host_calls;
mod identity;
mod journey;
mod keys;
mod large_headers;
mod logs;
mod malformed;
mod metrics;
mod one_fetch;
mod outage;
mod places;
mod soak;
mod waiting;

//! Tests that start a real Envoy.

mod answers;
mod chaos;
mod configuration;
mod corpus;
mod edge_credential;
mod edge_keys;
mod edge_restart;
mod fuzz;
mod headers;
mod host_calls;
mod hot_change;
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
mod traffic;
mod vm_failure;
mod waiting;

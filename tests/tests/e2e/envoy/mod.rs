//! Tests that start a real Envoy.

mod answers;
mod configuration;
mod fuzz;
mod headers;
mod hot_change;
mod journey;
mod keys;
mod large_headers;
mod logs;
mod malformed;
mod outage;
mod places;
mod traffic;
mod vm_failure;
mod waiting;

//! Tests of the issuer as a process.

mod crash;
mod refresh;

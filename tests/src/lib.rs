//! Postern end to end: what starts the real programs and speaks to them.
//!
//! The tour (`cargo xtask demo`) and the tests stand on the same harness: a real [`Envoy`]
//! with the built filter, the real [`Issuer`] as a process of its own, and an [`Upstream`]
//! that answers with what reached it. Everything listens on the loopback interface only.

pub mod chaos;
mod clock;
mod cloud;
mod config;
mod connection;
mod edge_issuer;
mod envoy;
mod failure;
mod fault_proxy;
mod forge;
mod forged_edge;
mod forged_list;
mod function_server;
mod http;
mod http_api;
mod issuer;
mod key_server;
mod lambda;
mod live_envoy;
mod load;
mod ministack;
mod moto;
mod page_server;
mod process;
mod programs;
mod raw;
pub mod soak;
pub mod tour;
mod upstream;
mod worker;

pub use clock::{SetClock, ShiftedClock};
pub use cloud::Cloud;
pub use config::EnvoyConfig;
pub use connection::Connection;
pub use edge_issuer::{EdgeIssuer, Poll, Published};
pub use envoy::{Envoy, LogLevel};
pub use failure::Failure;
pub use fault_proxy::{Fault, FaultProxy};
pub use forge::{ForgedKeys, Key, base64url, claims_of, header_of, now};
pub use forged_edge::{ForgedEdge, secret_keys};
pub use forged_list::status_list_claims;
pub use function_server::FunctionServer;
pub use http::{Client, Protocol, Request, Response, send_raw};
pub use http_api::HttpApi;
pub use issuer::Issuer;
pub use key_server::KeyServer;
pub use lambda::LambdaFunction;
pub use live_envoy::LiveEnvoy;
pub use ministack::MiniStack;
pub use moto::Moto;
pub use page_server::PageServer;
pub use process::wait_until;
pub(crate) use programs::clock_library;
pub use programs::{
    aws_tool, envoy_program, filter_module, lambda_program, npm_package, postern_program,
    workspace_root,
};
pub use raw::RawConnection;
pub use upstream::{Seen, Upstream};
pub use worker::Worker;

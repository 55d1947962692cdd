//! Postern's gate for Envoy and Istio: a proxy-wasm filter.
//!
//! The plugin configuration *is* the policy (see `postern-verify`). The filter only translates: it
//! shows the core a request and carries out the verdict, and it fetches the key sets that the core
//! asks for through Envoy's clusters. It has no rule of its own.
//!
//! - [`root`] holds one policy and one key ring per worker thread, fetches on ticks, and wakes
//!   requests that wait for keys.
//! - [`request`] is one HTTP request.
//! - [`signatures`] is the proxy's own cryptography.
//! - [`station`] is what both share.
//! - [`host`] is the part of the proxy-wasm interface that is used here.
//! - `entropy` is the source of randomness that there is none.

#![expect(missing_docs, reason = "proxy_wasm::main! exports a function without documentation")]

#[cfg(target_arch = "wasm32")]
mod entropy;
mod host;
mod request;
mod root;
mod signatures;
mod station;

use proxy_wasm::types::LogLevel;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|context_id| Box::new(root::Root::new(context_id)));
}}

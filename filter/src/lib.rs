//! Postern's gate for Envoy and Istio: a proxy-wasm filter.
//!
//! The plugin configuration *is* the policy (see `postern-verify`). The filter only translates: it
//! shows the core a request and carries out the verdict, and it fetches the key sets that the core
//! asks for through Envoy's clusters. It has no rule of its own.
//!
//! - [`root`] holds one policy and one key ring per worker thread, fetches on ticks, and wakes
//!   requests that wait for keys.
//! - [`request`] is one HTTP request.
//! - [`gate`] is what both share.
//! - [`host`] is the part of the proxy-wasm interface that is used here.

#![expect(missing_docs, reason = "proxy_wasm::main! exports a function without documentation")]

mod gate;
mod host;
mod request;
mod root;

use proxy_wasm::types::LogLevel;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|context_id| Box::new(root::Root::new(context_id)));
}}

//! Postern's gate for Envoy and Istio: a proxy-wasm filter.
//!
//! The plugin configuration *is* the policy (see `postern-verify`). The filter only translates: it
//! shows the core a request and carries out the verdict, and it fetches the key sets that the core
//! asks for through Envoy's clusters. It has no rule of its own.
//!
//! - [`exports`] are the callbacks that the proxy makes,
//! - [`plugins`] finds whose they are,
//! - [`plugin`] is one policy in one worker thread,
//! - [`post`] what it does there: it fetches on ticks, and wakes requests that wait,
//! - [`station`] is its gate, and the requests before it.
//! - [`credentials`] is who the edge is to its issuers.
//! - [`key_exchange`] lets one thread fetch what all need.
//! - [`metrics`] tells the proxy's statistics what happened.
//! - [`signatures`] is the proxy's own cryptography.
//! - [`host`] is the part of the proxy-wasm interface that is used here. It is not the Rust SDK: that
//!   exports every callback there is, and each costs each request half a microsecond; it copies
//!   every header into an allocation of its own; and it traps where the proxy refuses a call.
//! - `entropy` is the source of randomness that there is none.

mod credentials;
#[cfg(target_arch = "wasm32")]
mod entropy;
mod exports;
mod host;
mod key_exchange;
mod metrics;
mod plugin;
mod plugins;
mod post;
mod signatures;
mod station;

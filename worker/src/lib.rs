//! Postern's gate for Cloudflare Workers.
//!
//! `index.mjs` is the Worker: it hands each request to [`exports::decide`] in one string, and carries
//! out what comes back in one. This crate only translates: it shows the core a request, and fetches
//! the key sets that the core asks for. It has no rule of its own.
//!
//! - [`exports`] are the functions that `index.mjs` calls,
//! - [`settings`] is what the Worker's variables and bindings say,
//! - [`origins`] is where requests go that are let through,
//! - [`station`] is the gate, and what is to be done for a request.
//! - [`keys`] fetches what is due: from [`store`], which isolates share, or over the [`network`].
//! - [`lists`] are the status lists that any isolate uses.
//! - [`policy`] reads the policy, and from KV now and then anew.
//! - [`log`] and [`analytics`] tell what happened.

mod analytics;
mod exports;
mod keys;
mod lists;
mod log;
mod network;
mod origins;
mod policy;
mod settings;
mod station;
mod store;

pub use crate::exports::{configure, decide, heed, push, refresh, work};

//! What the proxy calls, and nothing else: each callback that a module exports is called for every
//! request, used or not.

#![expect(unsafe_code, reason = "the proxy finds its callbacks by their names")]

use std::cell::RefCell;

use crate::plugins::Plugins;

thread_local! {
    static PLUGINS: RefCell<Plugins> = RefCell::default();
}

/// What a callback tells the proxy to do next (`Action` of proxy-wasm, `FilterHeadersStatus` of
/// Envoy).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Action {
    /// Go on.
    Continue = 0,
    /// Stop here: neither headers nor body nor trailers go on until told so. The plain «pause» would
    /// let the body go on, and the headers with it, where the proxy is set to
    /// `allow_on_headers_stop_iteration`.
    StopAll = 4,
}

fn with<T>(call: impl FnOnce(&mut Plugins) -> T) -> T {
    PLUGINS.with(|plugins| call(&mut plugins.borrow_mut()))
}

/// Says which version of the interface this is.
#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

/// A plugin (without a parent) or a request is about to begin.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context_id: u32, parent_context_id: u32) {
    with(|plugins| plugins.create(context_id, parent_context_id));
}

/// A plugin or a request is over.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(context_id: u32) {
    with(|plugins| plugins.delete(context_id));
}

/// The virtual machine runs. What is wrong with what it was given is told with the configuration, which
/// the proxy then rejects by name.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_vm_start(_context_id: u32, _configuration_size: usize) -> u32 {
    with(Plugins::start);
    u32::from(true)
}

/// Returning false makes the proxy reject the configuration.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(context_id: u32, _configuration_size: usize) -> u32 {
    u32::from(with(|plugins| plugins.configure(context_id)))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(context_id: u32) {
    with(|plugins| plugins.tick(context_id));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context_id: u32, _count: usize, end: u32) -> u32 {
    with(|plugins| plugins.request(context_id, end != 0)) as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(context_id: u32, _count: usize) -> u32 {
    with(|plugins| plugins.trailers(context_id)) as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(
    context_id: u32,
    token: u32,
    _headers: usize,
    _body_size: usize,
    _trailers: usize,
) {
    with(|plugins| plugins.fetched(context_id, token));
}

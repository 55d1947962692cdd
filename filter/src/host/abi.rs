//! The proxy-wasm interface, version 0.2.1, as far as it is used here: what the host has, as safe
//! functions. A call that the host refuses is an error here, never a trap.

#![expect(unsafe_code, reason = "the host's functions take addresses")]

use std::ptr::{null_mut, slice_from_raw_parts_mut};

/// Bytes that the host wrote.
pub(crate) type Bytes = Vec<u8>;

/// That the host refused a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused;

const OK: u32 = 0;

/// Which fields.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
pub(crate) enum MapType {
    RequestHeaders = 0,
    RequestTrailers = 1,
    HttpCallResponseHeaders = 6,
}

/// Which bytes.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
pub(crate) enum BufferType {
    HttpCallResponseBody = 4,
    VmConfiguration = 6,
    PluginConfiguration = 7,
}

/// How much a message matters.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
pub(crate) enum LogLevel {
    Debug = 1,
    Info = 2,
    Warn = 3,
    Critical = 5,
}

/// What a metric does.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
pub(crate) enum MetricType {
    Counter = 0,
    Gauge = 1,
}

const HTTP_REQUEST: u32 = 0;
/// A response of no gRPC status: the host tells gRPC clients by the HTTP status.
const NO_GRPC_STATUS: i32 = -1;

mod raw {
    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        pub(super) fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
        pub(super) fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
        pub(super) fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
        pub(super) fn proxy_get_buffer_bytes(
            buffer: u32,
            start: usize,
            max: usize,
            data: *mut *mut u8,
            size: *mut usize,
        ) -> u32;
        pub(super) fn proxy_get_header_map_pairs(
            map: u32,
            data: *mut *mut u8,
            size: *mut usize,
        ) -> u32;
        pub(super) fn proxy_replace_header_map_value(
            map: u32,
            name: *const u8,
            name_size: usize,
            value: *const u8,
            value_size: usize,
        ) -> u32;
        pub(super) fn proxy_add_header_map_value(
            map: u32,
            name: *const u8,
            name_size: usize,
            value: *const u8,
            value_size: usize,
        ) -> u32;
        pub(super) fn proxy_remove_header_map_value(
            map: u32,
            name: *const u8,
            name_size: usize,
        ) -> u32;
        pub(super) fn proxy_send_local_response(
            status: u32,
            details: *const u8,
            details_size: usize,
            body: *const u8,
            body_size: usize,
            headers: *const u8,
            headers_size: usize,
            grpc_status: i32,
        ) -> u32;
        pub(super) fn proxy_http_call(
            upstream: *const u8,
            upstream_size: usize,
            headers: *const u8,
            headers_size: usize,
            body: *const u8,
            body_size: usize,
            trailers: *const u8,
            trailers_size: usize,
            timeout: u32,
            token: *mut u32,
        ) -> u32;
        pub(super) fn proxy_continue_stream(stream: u32) -> u32;
        pub(super) fn proxy_set_effective_context(context_id: u32) -> u32;
        pub(super) fn proxy_define_metric(
            metric: u32,
            name: *const u8,
            size: usize,
            id: *mut u32,
        ) -> u32;
        pub(super) fn proxy_increment_metric(id: u32, offset: i64) -> u32;
        pub(super) fn proxy_record_metric(id: u32, value: u64) -> u32;
        pub(super) fn proxy_get_property(
            path: *const u8,
            path_size: usize,
            data: *mut *mut u8,
            size: *mut usize,
        ) -> u32;
        pub(super) fn proxy_set_property(
            path: *const u8,
            path_size: usize,
            value: *const u8,
            value_size: usize,
        ) -> u32;
        pub(super) fn proxy_get_shared_data(
            key: *const u8,
            key_size: usize,
            data: *mut *mut u8,
            size: *mut usize,
            version: *mut u32,
        ) -> u32;
        pub(super) fn proxy_set_shared_data(
            key: *const u8,
            key_size: usize,
            data: *const u8,
            size: usize,
            version: u32,
        ) -> u32;
        pub(super) fn proxy_call_foreign_function(
            name: *const u8,
            name_size: usize,
            arguments: *const u8,
            arguments_size: usize,
            data: *mut *mut u8,
            size: *mut usize,
        ) -> u32;
    }
}

/// Where the host puts what it hands over. The only memory that it writes to by itself.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    Box::into_raw(Box::<[u8]>::new_uninit_slice(size)).cast()
}

/// Takes what the host handed over: it asked [`proxy_on_memory_allocate`] for the room, or wrote
/// nothing.
fn taken(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Bytes, Refused> {
    let (mut data, mut size) = (null_mut(), 0);
    done(call(&raw mut data, &raw mut size))?;
    if data.is_null() {
        return Ok(Bytes::new());
    }
    // SAFETY: `proxy_on_memory_allocate` made it, of this size, and the host has filled it.
    Ok(unsafe { Box::from_raw(slice_from_raw_parts_mut(data, size)) }.into_vec())
}

fn done(status: u32) -> Result<(), Refused> {
    if status == OK { Ok(()) } else { Err(Refused) }
}

pub(crate) fn log(level: LogLevel, message: &str) -> Result<(), Refused> {
    // SAFETY: here and below, the host reads the slices while the call lasts, and writes to the
    // places of the results only.
    done(unsafe { raw::proxy_log(level as u32, message.as_ptr(), message.len()) })
}

/// Nanoseconds since the Unix epoch.
pub(crate) fn current_time() -> Result<u64, Refused> {
    let mut time = 0;
    done(unsafe { raw::proxy_get_current_time_nanoseconds(&raw mut time) })?;
    Ok(time)
}

pub(crate) fn set_tick_period(milliseconds: u32) -> Result<(), Refused> {
    done(unsafe { raw::proxy_set_tick_period_milliseconds(milliseconds) })
}

pub(crate) fn buffer(buffer: BufferType, max_bytes: usize) -> Result<Bytes, Refused> {
    taken(|data, size| unsafe {
        raw::proxy_get_buffer_bytes(buffer as u32, 0, max_bytes, data, size)
    })
}

/// All fields of a map, as [`super::pairs`] reads them.
pub(crate) fn map(map: MapType) -> Result<Bytes, Refused> {
    taken(|data, size| unsafe { raw::proxy_get_header_map_pairs(map as u32, data, size) })
}

/// Sets the one field of a name.
pub(crate) fn replace(map: MapType, name: &str, value: &[u8]) -> Result<(), Refused> {
    let (name, size, bytes) = (name.as_ptr(), name.len(), value.len());
    done(unsafe {
        raw::proxy_replace_header_map_value(map as u32, name, size, value.as_ptr(), bytes)
    })
}

/// Adds a field, whatever there is of its name.
pub(crate) fn add(map: MapType, name: &str, value: &[u8]) -> Result<(), Refused> {
    let (name, size, bytes) = (name.as_ptr(), name.len(), value.len());
    done(unsafe { raw::proxy_add_header_map_value(map as u32, name, size, value.as_ptr(), bytes) })
}

/// Removes all fields of a name.
pub(crate) fn remove(map: MapType, name: &str) -> Result<(), Refused> {
    done(unsafe { raw::proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) })
}

/// Answers the request at hand. `details` are for the access log.
pub(crate) fn send_local_response(
    status: u32,
    details: &str,
    body: &[u8],
    headers: &[u8],
) -> Result<(), Refused> {
    done(unsafe {
        raw::proxy_send_local_response(
            status,
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            NO_GRPC_STATUS,
        )
    })
}

/// Sends a request without a body; its end comes with the token that this returns.
pub(crate) fn http_call(
    upstream: &str,
    headers: &[u8],
    no_trailers: &[u8],
    timeout_milliseconds: u32,
) -> Result<u32, Refused> {
    let mut token = 0;
    done(unsafe {
        raw::proxy_http_call(
            upstream.as_ptr(),
            upstream.len(),
            headers.as_ptr(),
            headers.len(),
            [].as_ptr(),
            0,
            no_trailers.as_ptr(),
            no_trailers.len(),
            timeout_milliseconds,
            &raw mut token,
        )
    })?;
    Ok(token)
}

pub(crate) fn continue_request() -> Result<(), Refused> {
    done(unsafe { raw::proxy_continue_stream(HTTP_REQUEST) })
}

pub(crate) fn set_effective_context(context_id: u32) -> Result<(), Refused> {
    done(unsafe { raw::proxy_set_effective_context(context_id) })
}

pub(crate) fn define_metric(metric: MetricType, name: &str) -> Result<u32, Refused> {
    let mut id = 0;
    let (name, size) = (name.as_ptr(), name.len());
    done(unsafe { raw::proxy_define_metric(metric as u32, name, size, &raw mut id) })?;
    Ok(id)
}

pub(crate) fn increment_metric(id: u32, offset: i64) -> Result<(), Refused> {
    done(unsafe { raw::proxy_increment_metric(id, offset) })
}

pub(crate) fn record_metric(id: u32, value: u64) -> Result<(), Refused> {
    done(unsafe { raw::proxy_record_metric(id, value) })
}

/// `path` is segments with a zero byte between them.
pub(crate) fn property(path: &[u8]) -> Result<Bytes, Refused> {
    taken(|data, size| unsafe { raw::proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

pub(crate) fn set_property(path: &[u8], value: &[u8]) -> Result<(), Refused> {
    let (path, size, bytes) = (path.as_ptr(), path.len(), value.len());
    done(unsafe { raw::proxy_set_property(path, size, value.as_ptr(), bytes) })
}

/// What all threads of the process see under a key, and its version.
pub(crate) fn shared_data(key: &[u8]) -> Result<(Bytes, u32), Refused> {
    let mut version = 0;
    let bytes = taken(|data, size| unsafe {
        raw::proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut version)
    })?;
    Ok((bytes, version))
}

/// Refused where the version is another by now. Version 0 is any.
pub(crate) fn set_shared_data(key: &[u8], value: &[u8], version: u32) -> Result<(), Refused> {
    let (key, size, bytes) = (key.as_ptr(), key.len(), value.len());
    done(unsafe { raw::proxy_set_shared_data(key, size, value.as_ptr(), bytes, version) })
}

pub(crate) fn call_foreign_function(name: &str, arguments: &[u8]) -> Result<Bytes, Refused> {
    taken(|data, size| unsafe {
        raw::proxy_call_foreign_function(
            name.as_ptr(),
            name.len(),
            arguments.as_ptr(),
            arguments.len(),
            data,
            size,
        )
    })
}

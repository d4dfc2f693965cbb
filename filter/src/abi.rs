//! Proxy-wasm ABI 0.2.1, as much of it as the filter needs: the calls that it makes. Those that it answers are below.
//!
//! The one module with unsafe code. By hand and not from the SDK: that looks up each push in several hash tables, and its
//! host calls panic on a status they do not expect, which stops the pushes of a whole worker. Here every status is a
//! value. Sizes and addresses are `usize`, 32 bits as the ABI wants: lib.rs is for wasm32 alone.

#[path = "abi/callbacks.rs"] // where it is anyway; bench/calls takes this file in by its path
mod callbacks;

use std::fmt;
use std::ptr::{null, null_mut};

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const REQUEST_HEADERS: u32 = 0;
const PLUGIN_CONFIGURATION: u32 = 7;
/// A local response is meant for HTTP: it has no status of gRPC.
const NO_GRPC_STATUS: i32 = -1;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: Level, text: *const u8, size: usize) -> u32;
    fn proxy_get_buffer_bytes(
        kind: u32,
        start: usize,
        max: usize,
        bytes: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *mut *mut u8,
        value_size: *mut usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_define_metric(kind: MetricKind, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    safe fn proxy_increment_metric(id: u32, by: i64) -> u32;
    safe fn proxy_record_metric(id: u32, value: u64) -> u32;
}

/// The host did not do what it was asked for; holds its status. 10 is a call missing among the allowed capabilities.
#[derive(Clone, Copy)]
pub(crate) struct Refused(u32);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}", self.0)
    }
}

#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Level {
    Info = 2,
    Error = 4,
    Critical = 5,
}

#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum MetricKind {
    Counter = 0,
    Gauge = 1,
}

/// What the host is to do with a request.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Action {
    Continue = 0,
    Pause = 1,
}

/// Writes to the host's log. There is nowhere to tell that it failed.
pub(crate) fn log(level: Level, text: &str) {
    // SAFETY: the host reads `text` during the call.
    unsafe { proxy_log(level, text.as_ptr(), text.len()) };
}

/// The configuration that `proxy_on_configure` is about.
pub(crate) fn configuration() -> Result<Option<Vec<u8>>, Refused> {
    given(|bytes, size| {
        // SAFETY: the host writes to both places during the call.
        unsafe { proxy_get_buffer_bytes(PLUGIN_CONFIGURATION, 0, usize::MAX, bytes, size) }
    })
}

/// First value of a request header, any bytes.
pub(crate) fn header(name: &str) -> Result<Option<Vec<u8>>, Refused> {
    given(|value, size| {
        // SAFETY: the host reads `name` and writes to both places during the call.
        unsafe { proxy_get_header_map_value(REQUEST_HEADERS, name.as_ptr(), name.len(), value, size) }
    })
}

/// Replaces all values of a request header by this one.
pub(crate) fn replace_header(name: &str, value: &[u8]) -> Result<(), Refused> {
    // SAFETY: the host reads `name` and `value` during the call.
    done(unsafe {
        proxy_replace_header_map_value(
            REQUEST_HEADERS,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

/// Removes all values of a request header, which may have none.
pub(crate) fn remove_header(name: &str) -> Result<(), Refused> {
    // SAFETY: the host reads `name` during the call.
    match unsafe { proxy_remove_header_map_value(REQUEST_HEADERS, name.as_ptr(), name.len()) } {
        NOT_FOUND => Ok(()),
        status => done(status),
    }
}

/// Answers the request. It must then be paused.
pub(crate) fn respond(status: u16, headers: &[(&str, String)], body: &[u8]) -> Result<(), Refused> {
    let headers = pairs(headers);
    // SAFETY: the host reads `body` and `headers` during the call, and none of the details, which are empty.
    done(unsafe {
        proxy_send_local_response(
            status.into(),
            null(),
            0,
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            NO_GRPC_STATUS,
        )
    })
}

/// The id of a new metric.
pub(crate) fn define_metric(kind: MetricKind, name: &str) -> Result<u32, Refused> {
    let mut id = 0;
    // SAFETY: the host reads `name` and writes `id` during the call.
    done(unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &raw mut id) })?;
    Ok(id)
}

/// Adds to a counter.
pub(crate) fn increment_metric(id: u32, by: i64) -> Result<(), Refused> {
    done(proxy_increment_metric(id, by))
}

/// Sets a gauge.
pub(crate) fn record_metric(id: u32, value: u64) -> Result<(), Refused> {
    done(proxy_record_metric(id, value))
}

fn done(status: u32) -> Result<(), Refused> {
    if status == OK { Ok(()) } else { Err(Refused(status)) }
}

/// What a call gives that is told where to write address and size of it. Nothing is written for what is empty.
fn given(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Option<Vec<u8>>, Refused> {
    let (mut bytes, mut size) = (null_mut(), 0);
    match call(&raw mut bytes, &raw mut size) {
        OK if bytes.is_null() => Ok(Some(Vec::new())),
        // SAFETY: the host filled memory of exactly this size that it had from `proxy_on_memory_allocate`, and is done
        // with it.
        OK => Ok(Some(unsafe { Vec::from_raw_parts(bytes, size, size) })),
        NOT_FOUND => Ok(None),
        status => Err(Refused(status)),
    }
}

/// Headers as the ABI has them: their count, the sizes of each name and value, then both, each with a zero byte after.
fn pairs(headers: &[(&str, String)]) -> Vec<u8> {
    let size: usize = headers.iter().map(|(name, value)| name.len() + value.len() + 10).sum();
    let mut bytes = Vec::with_capacity(4 + size);
    bytes.extend(headers.len().to_le_bytes());
    for (name, value) in headers {
        bytes.extend(name.len().to_le_bytes());
        bytes.extend(value.len().to_le_bytes());
    }
    for (name, value) in headers {
        for text in [name, value.as_str()] {
            bytes.extend(text.as_bytes());
            bytes.push(0);
        }
    }
    bytes
}

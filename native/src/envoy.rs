//! Envoy's functions with safe signatures. They copy or read the module's bytes during the call; see `abi`.

use std::ffi::c_char;
use std::marker::PhantomData;
use std::ptr;

use crate::abi::{self, EnvoyBuffer, HttpHeaderType, LogLevel, ModuleBuffer, ModuleHttpHeader};

impl From<&[u8]> for ModuleBuffer {
    fn from(bytes: &[u8]) -> Self {
        Self { ptr: bytes.as_ptr().cast::<c_char>(), length: bytes.len() }
    }
}

/// No bytes: the callback for headers takes them as the removal of the header.
const NONE: ModuleBuffer = ModuleBuffer { ptr: ptr::null(), length: 0 };

pub(crate) fn info(message: &str) {
    // SAFETY: Envoy reads the message during the call.
    unsafe { abi::envoy_dynamic_module_callback_log(LogLevel::Info, message.as_bytes().into()) }
}

pub(crate) fn error(message: &str) {
    // SAFETY: As in `info`.
    unsafe { abi::envoy_dynamic_module_callback_log(LogLevel::Error, message.as_bytes().into()) }
}

/// A counter or gauge that Envoy has defined.
#[derive(Clone, Copy)]
pub(crate) struct Metric(usize);

/// Envoy's functions that define a metric.
type Define = unsafe extern "C" fn(
    abi::HttpFilterConfigEnvoyPtr,
    ModuleBuffer,
    *mut ModuleBuffer,
    usize,
    *mut usize,
) -> abi::MetricsResult;
/// Envoy's functions that change a metric of a configuration or of a request.
type Update<P> = unsafe extern "C" fn(P, usize, *mut ModuleBuffer, usize, u64) -> abi::MetricsResult;

/// Changes a metric. Envoy answers an unknown id with an error; no request depends on a metric.
///
/// # Safety
/// `raw` is the pointer of the running hook that `callback` expects.
unsafe fn update<P>(callback: Update<P>, raw: P, metric: Option<Metric>, value: u64) {
    let Some(Metric(id)) = metric else { return };
    // SAFETY: As above; there are no labels.
    unsafe { callback(raw, id, ptr::null_mut(), 0, value) };
}

/// A configuration of the filter in Envoy, during the hook that received it.
pub(crate) struct Config<'h> {
    raw: abi::HttpFilterConfigEnvoyPtr,
    hook: PhantomData<&'h ()>,
}

impl Config<'_> {
    /// # Safety
    /// `raw` is the pointer that Envoy passed to the running hook.
    pub(crate) unsafe fn new(raw: abi::HttpFilterConfigEnvoyPtr) -> Self {
        Self { raw, hook: PhantomData }
    }

    /// Defines a counter; `None` if Envoy rejects it. A known name returns the known counter.
    pub(crate) fn counter(&self, name: &str) -> Option<Metric> {
        self.define(name, abi::envoy_dynamic_module_callback_http_filter_config_define_counter)
    }

    /// Defines a gauge, as [`Config::counter`].
    pub(crate) fn gauge(&self, name: &str) -> Option<Metric> {
        self.define(name, abi::envoy_dynamic_module_callback_http_filter_config_define_gauge)
    }

    fn define(&self, name: &str, callback: Define) -> Option<Metric> {
        let (mut id, name) = (0, name.as_bytes().into());
        // SAFETY: `raw` is valid during the hook, there are no labels, and Envoy writes an id into `id`.
        let result = unsafe { callback(self.raw, name, ptr::null_mut(), 0, &raw mut id) };
        (result == 0).then_some(Metric(id))
    }

    /// Increments a counter of this configuration.
    pub(crate) fn increment(&self, counter: Option<Metric>) {
        let callback = abi::envoy_dynamic_module_callback_http_filter_config_increment_counter;
        // SAFETY: `raw` is valid during the hook.
        unsafe { update(callback, self.raw, counter, 1) };
    }

    /// Sets a gauge of this configuration.
    pub(crate) fn set(&self, gauge: Option<Metric>, value: usize) {
        let callback = abi::envoy_dynamic_module_callback_http_filter_config_set_gauge;
        // SAFETY: `raw` is valid during the hook.
        unsafe { update(callback, self.raw, gauge, value as u64) };
    }
}

/// A request in Envoy, during the hook that received its headers.
pub(crate) struct Request<'h> {
    raw: abi::HttpFilterEnvoyPtr,
    hook: PhantomData<&'h ()>,
}

impl Request<'_> {
    /// # Safety
    /// `raw` is the pointer that Envoy passed to the running hook, and no other `Request` exists for it.
    pub(crate) unsafe fn new(raw: abi::HttpFilterEnvoyPtr) -> Self {
        Self { raw, hook: PhantomData }
    }

    /// Returns the first value of a header. It lasts until a header is set, which takes the request mutably.
    pub(crate) fn header(&self, name: &str) -> Option<&[u8]> {
        let mut value = EnvoyBuffer { ptr: ptr::null(), length: 0 };
        // SAFETY: `raw` is valid during the hook, and Envoy writes a buffer of its own into `value`.
        let found = unsafe {
            abi::envoy_dynamic_module_callback_http_get_header(
                self.raw,
                HttpHeaderType::RequestHeader,
                name.as_bytes().into(),
                &raw mut value,
                0,
                ptr::null_mut(),
            )
        };
        if !found {
            return None;
        }
        if value.length == 0 || value.ptr.is_null() {
            return Some(&[]);
        }
        // SAFETY: Envoy keeps these bytes until a header is set, and the result borrows the request until then.
        Some(unsafe { std::slice::from_raw_parts(value.ptr.cast(), value.length) })
    }

    /// Replaces the values of a header, or removes them. Returns whether Envoy did it.
    pub(crate) fn set_header(&mut self, name: &str, value: Option<&[u8]>) -> bool {
        let value = value.map_or(NONE, ModuleBuffer::from);
        // SAFETY: `raw` is valid during the hook; Envoy copies name and value.
        unsafe {
            abi::envoy_dynamic_module_callback_http_set_header(
                self.raw,
                HttpHeaderType::RequestHeader,
                name.as_bytes().into(),
                value,
            )
        }
    }

    /// Makes Envoy choose the route again, by the headers as they are now.
    pub(crate) fn clear_route(&mut self) {
        // SAFETY: `raw` is valid during the hook.
        unsafe { abi::envoy_dynamic_module_callback_http_clear_route_cache(self.raw) };
    }

    /// Answers the request. `details` are Envoy's response code details.
    pub(crate) fn reply(&mut self, status: u16, headers: &[(&str, &str)], body: &[u8], details: &str) {
        let header = |(name, value): &(&str, &str)| ModuleHttpHeader {
            key_ptr: name.as_ptr().cast(),
            key_length: name.len(),
            value_ptr: value.as_ptr().cast(),
            value_length: value.len(),
        };
        let mut headers: Vec<_> = headers.iter().map(header).collect();
        // SAFETY: `raw` is valid during the hook; Envoy copies headers, body and details.
        unsafe {
            abi::envoy_dynamic_module_callback_http_send_response(
                self.raw,
                status.into(),
                headers.as_mut_ptr(),
                headers.len(),
                body.into(),
                details.as_bytes().into(),
            );
        }
    }

    /// Increments a counter of the request's configuration.
    pub(crate) fn increment(&mut self, counter: Option<Metric>) {
        let callback = abi::envoy_dynamic_module_callback_http_filter_increment_counter;
        // SAFETY: `raw` is valid during the hook.
        unsafe { update(callback, self.raw, counter, 1) };
    }
}

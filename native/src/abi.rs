//! The part of Envoy's `source/extensions/dynamic_modules/abi/abi.h` that the module uses.
//!
//! Types have the names of the header, without `envoy_dynamic_module_type_` and in camel case, so that
//! `native/compare_abi.py` can compare them with the header of another Envoy.

use std::ffi::{CStr, c_char, c_void};

/// The version of the header, which Envoy compares with its own. Envoy 1.40 has it.
pub(crate) const VERSION: &CStr = c"v0.2.0";

pub(crate) type AbiVersionModulePtr = *const c_char;
pub(crate) type HttpFilterConfigEnvoyPtr = *mut c_void;
pub(crate) type HttpFilterConfigModulePtr = *const c_void;
pub(crate) type HttpFilterEnvoyPtr = *mut c_void;
pub(crate) type HttpFilterModulePtr = *const c_void;

/// Bytes that Envoy owns.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct EnvoyBuffer {
    pub(crate) ptr: *const c_char,
    pub(crate) length: usize,
}

/// Bytes that the module owns. Envoy only reads them, during the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct ModuleBuffer {
    pub(crate) ptr: *const c_char,
    pub(crate) length: usize,
}

/// A header of a reply. Envoy only reads it, during the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct ModuleHttpHeader {
    pub(crate) key_ptr: *const c_char,
    pub(crate) key_length: usize,
    pub(crate) value_ptr: *const c_char,
    pub(crate) value_length: usize,
}

/// A header of a response to a call of the module, which makes none.
#[repr(C)]
pub(crate) struct EnvoyHttpHeader {
    unread: [u8; 0],
}

/// The headers that a callback means.
#[repr(C)]
pub(crate) enum HttpHeaderType {
    RequestHeader = 0,
}

/// The level of a log line.
#[repr(C)]
pub(crate) enum LogLevel {
    Info = 2,
    Error = 4,
}

/// Says whether Envoy passes on the headers of a request, and all that follows them.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) enum OnHttpFilterRequestHeadersStatus {
    Continue = 0,
    StopIteration = 1,
}

// Enums whose values Envoy chooses, or of which the module returns 0 alone (continue). They are no Rust enums, because a value
// that the enum lacks would be undefined behavior.
/// The result of a callback for metrics; 0 if it worked.
pub(crate) type MetricsResult = u32;
pub(crate) type HttpCalloutResult = u32;
pub(crate) type HttpStreamResetReason = u32;
pub(crate) type OnHttpFilterRequestBodyStatus = u32;
pub(crate) type OnHttpFilterRequestTrailersStatus = u32;
pub(crate) type OnHttpFilterResponseHeadersStatus = u32;
pub(crate) type OnHttpFilterResponseBodyStatus = u32;
pub(crate) type OnHttpFilterResponseTrailersStatus = u32;

unsafe extern "C" {
    pub(crate) fn envoy_dynamic_module_callback_log(level: LogLevel, message: ModuleBuffer);

    pub(crate) fn envoy_dynamic_module_callback_http_get_header(
        filter: HttpFilterEnvoyPtr,
        headers: HttpHeaderType,
        key: ModuleBuffer,
        result: *mut EnvoyBuffer,
        index: usize,
        count: *mut usize,
    ) -> bool;

    pub(crate) fn envoy_dynamic_module_callback_http_set_header(
        filter: HttpFilterEnvoyPtr,
        headers: HttpHeaderType,
        key: ModuleBuffer,
        value: ModuleBuffer,
    ) -> bool;

    pub(crate) fn envoy_dynamic_module_callback_http_clear_route_cache(filter: HttpFilterEnvoyPtr);

    pub(crate) fn envoy_dynamic_module_callback_http_send_response(
        filter: HttpFilterEnvoyPtr,
        status: u32,
        headers: *mut ModuleHttpHeader,
        headers_length: usize,
        body: ModuleBuffer,
        details: ModuleBuffer,
    );

    pub(crate) fn envoy_dynamic_module_callback_http_filter_config_define_counter(
        config: HttpFilterConfigEnvoyPtr,
        name: ModuleBuffer,
        label_names: *mut ModuleBuffer,
        label_names_length: usize,
        id: *mut usize,
    ) -> MetricsResult;

    pub(crate) fn envoy_dynamic_module_callback_http_filter_config_define_gauge(
        config: HttpFilterConfigEnvoyPtr,
        name: ModuleBuffer,
        label_names: *mut ModuleBuffer,
        label_names_length: usize,
        id: *mut usize,
    ) -> MetricsResult;

    pub(crate) fn envoy_dynamic_module_callback_http_filter_config_increment_counter(
        config: HttpFilterConfigEnvoyPtr,
        id: usize,
        label_values: *mut ModuleBuffer,
        label_values_length: usize,
        value: u64,
    ) -> MetricsResult;

    pub(crate) fn envoy_dynamic_module_callback_http_filter_config_set_gauge(
        config: HttpFilterConfigEnvoyPtr,
        id: usize,
        label_values: *mut ModuleBuffer,
        label_values_length: usize,
        value: u64,
    ) -> MetricsResult;

    pub(crate) fn envoy_dynamic_module_callback_http_filter_increment_counter(
        filter: HttpFilterEnvoyPtr,
        id: usize,
        label_values: *mut ModuleBuffer,
        label_values_length: usize,
        value: u64,
    ) -> MetricsResult;
}

//! The functions that Envoy calls. It resolves them when it loads the module; a missing one of these is an error.

use std::ffi::c_void;
use std::ptr;

use pushring_router::Verdict;

use crate::abi::{
    self, AbiVersionModulePtr, EnvoyBuffer, EnvoyHttpHeader, HttpCalloutResult, HttpFilterConfigEnvoyPtr,
    HttpFilterConfigModulePtr, HttpFilterEnvoyPtr, HttpFilterModulePtr, HttpStreamResetReason,
    OnHttpFilterRequestBodyStatus, OnHttpFilterRequestHeadersStatus, OnHttpFilterRequestTrailersStatus,
    OnHttpFilterResponseBodyStatus, OnHttpFilterResponseHeadersStatus, OnHttpFilterResponseTrailersStatus,
};
use crate::envoy::{Config, Request};
use crate::panics::{self, caught};
use crate::plugin::Plugin;

/// Called once, when the module is loaded.
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_program_init() -> AbiVersionModulePtr {
    panics::log_the_first();
    abi::VERSION.as_ptr()
}

/// Returns a configuration for [`envoy_dynamic_module_on_http_filter_config_destroy`]; null rejects it.
#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_new(
    config: HttpFilterConfigEnvoyPtr,
    _name: EnvoyBuffer,
    json: EnvoyBuffer,
) -> HttpFilterConfigModulePtr {
    // SAFETY: Envoy's pointer, during the hook.
    let config = unsafe { Config::new(config) };
    let json: &[u8] = if json.length == 0 || json.ptr.is_null() {
        &[]
    } else {
        // SAFETY: Envoy keeps these bytes during the hook, and nothing below keeps them longer.
        unsafe { std::slice::from_raw_parts(json.ptr.cast(), json.length) }
    };
    let plugin = caught(|| Plugin::new(&config, json)).ok().flatten();
    plugin.map_or(ptr::null(), |plugin| Box::into_raw(Box::new(plugin)).cast::<c_void>().cast_const())
}

/// Called after the last request of the configuration was destroyed.
#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_destroy(plugin: HttpFilterConfigModulePtr) {
    let plugin = plugin.cast::<Plugin>().cast_mut();
    // SAFETY: The box of `config_new`, which Envoy gives back once.
    let plugin = unsafe { Box::from_raw(plugin) };
    let _ = caught(|| drop(plugin));
}

/// A request has no state of its own, so its configuration is its filter: one allocation less for each push.
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_new(
    plugin: HttpFilterConfigModulePtr,
    _filter: HttpFilterEnvoyPtr,
) -> HttpFilterModulePtr {
    plugin
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_destroy(_plugin: HttpFilterModulePtr) {}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_on_http_filter_request_headers(
    filter: HttpFilterEnvoyPtr,
    plugin: HttpFilterModulePtr,
    _end_of_stream: bool,
) -> OnHttpFilterRequestHeadersStatus {
    // SAFETY: The configuration of `http_filter_new`, which Envoy destroys after its last request; workers only read it.
    let plugin = unsafe { &*plugin.cast::<Plugin>() };
    // SAFETY: Envoy's pointer, during the hook.
    let request = unsafe { Request::new(filter) };
    match plugin.request(request) {
        Verdict::Forward => OnHttpFilterRequestHeadersStatus::Continue,
        Verdict::Answered => OnHttpFilterRequestHeadersStatus::StopIteration,
    }
}

/// The rest of a request and its response pass unseen: 0 continues.
macro_rules! passes {
    ($($hook:ident($($argument:ty),*) -> $status:ty;)*) => {
        $(#[unsafe(no_mangle)]
        extern "C" fn $hook(_: HttpFilterEnvoyPtr, _: HttpFilterModulePtr, $(_: $argument),*) -> $status {
            0
        })*
    };
}

passes! {
    envoy_dynamic_module_on_http_filter_request_body(bool) -> OnHttpFilterRequestBodyStatus;
    envoy_dynamic_module_on_http_filter_request_trailers() -> OnHttpFilterRequestTrailersStatus;
    envoy_dynamic_module_on_http_filter_response_headers(bool) -> OnHttpFilterResponseHeadersStatus;
    envoy_dynamic_module_on_http_filter_response_body(bool) -> OnHttpFilterResponseBodyStatus;
    envoy_dynamic_module_on_http_filter_response_trailers() -> OnHttpFilterResponseTrailersStatus;
}

/// Events of calls that the module never makes, and the end of a request, which needs no work.
macro_rules! unused {
    ($($hook:ident($($argument:ty),*);)*) => {
        $(#[unsafe(no_mangle)]
        extern "C" fn $hook(_: HttpFilterEnvoyPtr, _: HttpFilterModulePtr, $(_: $argument),*) {})*
    };
}

unused! {
    envoy_dynamic_module_on_http_filter_stream_complete();
    envoy_dynamic_module_on_http_filter_scheduled(u64);
    envoy_dynamic_module_on_http_filter_downstream_above_write_buffer_high_watermark();
    envoy_dynamic_module_on_http_filter_downstream_below_write_buffer_low_watermark();
    envoy_dynamic_module_on_http_filter_http_callout_done(u64, HttpCalloutResult, *mut EnvoyHttpHeader, usize, *mut EnvoyBuffer, usize);
    envoy_dynamic_module_on_http_filter_http_stream_headers(u64, *mut EnvoyHttpHeader, usize, bool);
    envoy_dynamic_module_on_http_filter_http_stream_data(u64, *const EnvoyBuffer, usize, bool);
    envoy_dynamic_module_on_http_filter_http_stream_trailers(u64, *mut EnvoyHttpHeader, usize);
    envoy_dynamic_module_on_http_filter_http_stream_complete(u64);
    envoy_dynamic_module_on_http_filter_http_stream_reset(u64, HttpStreamResetReason);
}

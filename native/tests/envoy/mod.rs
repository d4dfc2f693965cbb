//! An Envoy for one request at a time: Envoy's side of the interface, for tests and for the fuzz targets. It frees the values of a
//! header that is set, so that AddressSanitizer finds a module that keeps them.

#![allow(clippy::expect_used, clippy::panic)] // a panic is how a test fails

use std::cell::RefCell;
use std::ffi::{c_char, c_void};
use std::ptr;

// The exported functions are in this library.
use pushring_native as _;

/// `envoy_dynamic_module_type_envoy_buffer` and `…_module_buffer`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Buffer {
    ptr: *const c_char,
    length: usize,
}

/// `envoy_dynamic_module_type_module_http_header`.
#[repr(C)]
struct Header {
    key: Buffer,
    value: Buffer,
}

impl Buffer {
    fn of(bytes: &[u8]) -> Self {
        Self { ptr: bytes.as_ptr().cast(), length: bytes.len() }
    }

    /// Copies the bytes; `None` for a null pointer.
    fn copy(self) -> Option<Vec<u8>> {
        if self.ptr.is_null() {
            return None;
        }
        // SAFETY: The module passes its own bytes, which it keeps during the call.
        Some(unsafe { std::slice::from_raw_parts(self.ptr.cast::<u8>(), self.length) }.to_vec())
    }

    fn text(self) -> String {
        String::from_utf8(self.copy().unwrap_or_default()).expect("names and messages are UTF-8")
    }
}

type Config = *mut Metrics;
type Filter = *mut Request;

#[allow(improper_ctypes, reason = "to the module, these pointers are opaque")]
unsafe extern "C" {
    fn envoy_dynamic_module_on_program_init() -> *const c_char;
    fn envoy_dynamic_module_on_http_filter_config_new(
        config: Config,
        name: Buffer,
        json: Buffer,
    ) -> *const c_void;
    fn envoy_dynamic_module_on_http_filter_config_destroy(config: *const c_void);
    fn envoy_dynamic_module_on_http_filter_new(config: *const c_void, filter: Filter) -> *const c_void;
    fn envoy_dynamic_module_on_http_filter_request_headers(
        filter: Filter,
        module: *const c_void,
        end: bool,
    ) -> u32;
    fn envoy_dynamic_module_on_http_filter_destroy(module: *const c_void);
}

thread_local! {
    static LOG: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Names and values of counters and gauges, by id.
#[derive(Default)]
struct Metrics(Vec<(String, u64)>);

impl Metrics {
    fn define(&mut self, name: String) -> usize {
        self.0.push((name, 0));
        self.0.len() - 1
    }
}

/// A reply of the module.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u32,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    pub(crate) details: String,
}

/// A request as Envoy has it, and what the module did with it.
pub(crate) struct Request {
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) reply: Option<Reply>,
    /// How often Envoy has to choose the route again.
    pub(crate) cleared: u32,
    /// Envoy rejects to set this header.
    pub(crate) rejects: Option<&'static str>,
    metrics: Config,
}

impl Request {
    /// Returns the values of a header.
    pub(crate) fn values(&self, name: &str) -> Vec<&[u8]> {
        self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| &**value).collect()
    }
}

/// A configuration that the module accepted.
pub(crate) struct Configuration {
    metrics: Box<Metrics>,
    module: *const c_void,
}

impl Configuration {
    /// Passes a configuration to the module; `Err` has its log if it rejects it.
    pub(crate) fn load(json: &[u8]) -> Result<Self, Vec<String>> {
        LOG.take();
        // SAFETY: Without arguments.
        unsafe { envoy_dynamic_module_on_program_init() };
        let mut metrics = Box::<Metrics>::default();
        // SAFETY: The box does not move, and the buffers outlast the call.
        let module = unsafe {
            envoy_dynamic_module_on_http_filter_config_new(
                &raw mut *metrics,
                Buffer::of(b"pushring"),
                Buffer::of(json),
            )
        };
        if module.is_null() { Err(LOG.take()) } else { Ok(Self { metrics, module }) }
    }

    /// Passes a request to the module; returns it with its status: 0 if Envoy forwards it.
    pub(crate) fn handle(&mut self, headers: &[(&str, &[u8])]) -> (Request, u32) {
        self.handle_rejecting(headers, None)
    }

    /// As [`Configuration::handle`], with an Envoy that rejects to set a header.
    pub(crate) fn handle_rejecting(
        &mut self,
        headers: &[(&str, &[u8])],
        rejects: Option<&'static str>,
    ) -> (Request, u32) {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect();
        let metrics = &raw mut *self.metrics;
        let mut request = Request { headers, reply: None, cleared: 0, rejects, metrics };
        let filter = &raw mut request;
        // SAFETY: The configuration was not destroyed, and the request outlasts the filter.
        let module = unsafe { envoy_dynamic_module_on_http_filter_new(self.module, filter) };
        // SAFETY: As above.
        let status = unsafe { envoy_dynamic_module_on_http_filter_request_headers(filter, module, true) };
        // SAFETY: As above; the filter is not used again.
        unsafe { envoy_dynamic_module_on_http_filter_destroy(module) };
        (request, status)
    }

    /// Returns a counter or gauge.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let found = self.metrics.0.iter().find(|(known, _)| known == name);
        found.unwrap_or_else(|| panic!("the module has not defined {name}")).1
    }
}

impl Drop for Configuration {
    fn drop(&mut self) {
        // SAFETY: The module's pointer, once.
        unsafe { envoy_dynamic_module_on_http_filter_config_destroy(self.module) }
    }
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_log(_level: u32, message: Buffer) {
    LOG.with_borrow_mut(|log| log.push(message.text()));
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_callback_http_get_header(
    filter: Filter,
    headers: u32,
    key: Buffer,
    result: *mut Buffer,
    index: usize,
    count: *mut usize,
) -> bool {
    assert!(headers == 0 && index == 0 && count.is_null());
    // SAFETY: The filter of `handle`.
    let request = unsafe { &*filter };
    let name = key.text();
    let found = request.headers.iter().find(|(key, _)| *key == name);
    let value = found.map_or(Buffer { ptr: ptr::null(), length: 0 }, |(_, value)| Buffer::of(value));
    // SAFETY: The module passes a place for the buffer.
    unsafe { result.write(value) };
    found.is_some()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_callback_http_set_header(
    filter: Filter,
    headers: u32,
    key: Buffer,
    value: Buffer,
) -> bool {
    assert_eq!(headers, 0);
    // SAFETY: The filter of `handle`.
    let request = unsafe { &mut *filter };
    let name = key.text();
    if request.rejects == Some(&*name) {
        return false;
    }
    request.headers.retain(|(key, _)| *key != name);
    request.headers.extend(value.copy().map(|value| (name, value)));
    true
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_callback_http_clear_route_cache(filter: Filter) {
    // SAFETY: The filter of `handle`.
    unsafe { (*filter).cleared += 1 };
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_callback_http_send_response(
    filter: Filter,
    status: u32,
    headers: *mut Header,
    length: usize,
    body: Buffer,
    details: Buffer,
) {
    let headers = if length == 0 {
        &[]
    } else {
        // SAFETY: The module passes that many headers.
        unsafe { std::slice::from_raw_parts(headers, length) }
    };
    let headers = headers.iter().map(|header| (header.key.text(), header.value.copy().unwrap_or_default()));
    let (headers, body) = (headers.collect(), body.copy().unwrap_or_default());
    // SAFETY: The filter of `handle`.
    let request = unsafe { &mut *filter };
    assert!(request.reply.is_none(), "a request has one reply");
    request.reply = Some(Reply { status, headers, body, details: details.text() });
}

/// Defines a counter and a gauge alike.
unsafe fn define(config: Config, name: Buffer, labels: *mut Buffer, length: usize, id: *mut usize) -> u32 {
    assert!(labels.is_null() && length == 0);
    // SAFETY: The metrics of the configuration.
    let defined = unsafe { &mut *config }.define(name.text());
    // SAFETY: The module passes a place for the id.
    unsafe { id.write(defined) };
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_callback_http_filter_config_define_counter(
    config: Config,
    name: Buffer,
    labels: *mut Buffer,
    length: usize,
    id: *mut usize,
) -> u32 {
    // SAFETY: The arguments of the module.
    unsafe { define(config, name, labels, length, id) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_callback_http_filter_config_define_gauge(
    config: Config,
    name: Buffer,
    labels: *mut Buffer,
    length: usize,
    id: *mut usize,
) -> u32 {
    // SAFETY: The arguments of the module.
    unsafe { define(config, name, labels, length, id) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_callback_http_filter_config_increment_counter(
    config: Config,
    id: usize,
    _labels: *mut Buffer,
    _length: usize,
    value: u64,
) -> u32 {
    // SAFETY: The metrics of the configuration.
    unsafe { &mut *config }.0[id].1 += value;
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_callback_http_filter_config_set_gauge(
    config: Config,
    id: usize,
    _labels: *mut Buffer,
    _length: usize,
    value: u64,
) -> u32 {
    // SAFETY: The metrics of the configuration.
    unsafe { &mut *config }.0[id].1 = value;
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_callback_http_filter_increment_counter(
    filter: Filter,
    id: usize,
    labels: *mut Buffer,
    length: usize,
    value: u64,
) -> u32 {
    // SAFETY: The filter of `handle`.
    let config = unsafe { (*filter).metrics };
    // SAFETY: Its configuration's metrics.
    unsafe {
        envoy_dynamic_module_callback_http_filter_config_increment_counter(config, id, labels, length, value)
    }
}

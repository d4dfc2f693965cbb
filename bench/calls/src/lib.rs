//! A filter made with the SDK that makes the four host calls of a push and nothing else: what is over the no-op filter is
//! Envoy's part of it (the calls, the second choice of a route), what pushring is over this one is its own.

#![allow(missing_docs)] // the module's entry point is made by the SDK's macro; nothing else is public

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, MapType};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root));
}}

struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Request))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Request;

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        // The destination as the client named it: this filter decides nothing.
        let _ = get(":method");
        let destination = get("x-pushring-destination");
        set("x-pushring-destination", destination.as_deref());
        set("x-pushring-destination-mirror", None);
        Action::Continue
    }
}

fn get(name: &str) -> Option<Vec<u8>> {
    hostcalls::get_map_value_bytes(MapType::HttpRequestHeaders, name).ok().flatten()
}

fn set(name: &str, value: Option<&[u8]>) {
    let _ = hostcalls::set_map_value_bytes(MapType::HttpRequestHeaders, name, value);
}

//! A filter that makes the four host calls of a push, as pushring does, and decides nothing. Its cost over the no-op
//! filter is Envoy's part of a push, which no filter that makes these calls can avoid; pushring's cost over this filter
//! is pushring's own.

#![allow(missing_docs)] // the SDK's macro makes the only public item, the entry point of the module

use proxy_wasm::hostcalls::{get_map_value_bytes, remove_map_value, set_map_value_bytes};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, MapType};

const DESTINATION: &str = "x-pushring-destination";
const MIRROR: &str = "x-pushring-destination-mirror";

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
    /// Writes back the destination that the client set.
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let headers = MapType::HttpRequestHeaders;
        let _ = get_map_value_bytes(headers, ":method");
        if let Ok(Some(destination)) = get_map_value_bytes(headers, DESTINATION) {
            let _ = set_map_value_bytes(headers, DESTINATION, Some(&destination));
        }
        let _ = remove_map_value(headers, MIRROR);
        Action::Continue
    }
}

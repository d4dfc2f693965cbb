//! A filter that makes the four host calls of a push, as pushring does, and decides nothing. Its cost over the no-op
//! filter is Envoy's part of a push, which no filter that makes these calls can avoid; pushring's cost over this filter
//! is pushring's own.

#![allow(missing_docs)] // the SDK's macro makes the only public item, the entry point of the module

use proxy_wasm::hostcalls::{get_map_value_bytes, remove_map_value, set_map_value_bytes};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, MapType};

const DESTINATION: &str = "x-pushring-destination";
const MIRROR: &str = "x-pushring-destination-mirror";

proxy_wasm::main! {{
    proxy_wasm::set_http_context(|_, _| Box::new(Request));
}}

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

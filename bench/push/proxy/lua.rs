//! pushring's ring and hash in Envoy's Lua filter: the alternative to a Wasm filter.

use std::fmt::Write;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::variant::RouteBy;

const RING: &str = include_str!("../../lua/ring.lua");
/// Derives the key of a push path as pushring does.
const BY_GROUP: &str = include_str!("../../lua/group.lua");
/// Uses the path as received, so each spelling of a group has its own owner.
const BY_PATH: &str = "local function key_of(path) return path end\n";

pub(super) fn filter(route_by: RouteBy, gateways: &[SocketAddr]) -> Value {
    let mut code = "local members = {".to_owned();
    for gateway in gateways {
        let _ = write!(code, "\"{gateway}\",");
    }
    code.push_str("}\n");
    code.push_str(if route_by == RouteBy::Group { BY_GROUP } else { BY_PATH });
    code.push_str(RING);
    json!({
        "name": "envoy.filters.http.lua",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": code},
        },
    })
}

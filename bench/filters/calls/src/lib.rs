//! pushring's filter without its router: the same layer over the ABI, the four host calls of a push, and nothing decided.
//! What it is over the no-op filter is Envoy's part of a push, which no filter that makes these calls can go below; what
//! pushring is over this one is its own.

// A host's calls exist in a VM alone, as in pushring's filter.
#![cfg(target_arch = "wasm32")]

#[allow(dead_code, unsafe_code)] // pushring's own, of which not all is needed; see filter/Cargo.toml
#[path = "../../../../filter/src/abi.rs"]
mod abi;
#[allow(dead_code)] // this filter follows no configuration
#[path = "../../../../filter/src/contexts.rs"]
mod contexts;

use abi::Action;

const DESTINATION: &str = "x-pushring-destination";
const MIRROR: &str = "x-pushring-destination-mirror";

/// What the requests of one configuration share.
struct Shared;

fn configure() -> Option<Shared> {
    Some(Shared)
}

/// The destination as the client named it: this filter decides nothing.
fn decide(_shared: &Shared) -> Action {
    let _ = abi::header(":method");
    if let Ok(Some(destination)) = abi::header(DESTINATION) {
        let _ = abi::replace_header(DESTINATION, &destination);
    }
    let _ = abi::remove_header(MIRROR);
    Action::Continue
}

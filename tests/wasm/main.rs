//! Runs the compiled filter, exactly the file that ships, under wasmtime with a small host.

mod any_bytes;
mod calls;
mod capabilities;
mod capability_list;
mod configurations;
mod contexts;
mod costs;
mod golden;
mod host;
mod host_state;
mod requests;
use pushring_model::spelling;
use pushring_vectors as vectors;

use host::Vm;
use host_state::Headers;

/// The default name of the destination header.
const DESTINATION: &str = "x-pushring-destination";
const MIRROR: &str = "x-pushring-destination-mirror";

/// Returns the headers of a request with forged destinations, which must never be forwarded.
fn forged(method: &str, path: &[u8]) -> Headers {
    let header = |name: &str, value: &[u8]| (name.as_bytes().to_vec(), value.to_vec());
    vec![
        header(":method", method.as_bytes()),
        header(":path", path),
        header(DESTINATION, b"evil"),
        header("x-other", b"\xff kept"),
        header(DESTINATION, b"evil twice"),
        header(MIRROR, b"evil mirror"),
    ]
}

/// Starts a VM with this configuration in force.
fn vm(json: &str) -> Vm {
    let mut vm = Vm::start().expect("the filter starts");
    assert!(vm.configure(json.as_bytes()).expect("no trap"), "rejected: {:?}", vm.take_log(0));
    vm
}

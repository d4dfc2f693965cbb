//! Starts the real servers that pushring works with, each on free ports and below a folder of the caller, and stops
//! them when dropped. The end-to-end tests, `make run` and `make chaos` are written with it.
//!
//! Blocking calls throughout; errors are `anyhow` texts for the person who output the test or the demo.

pub mod chaos;
pub mod command;
pub mod consul;
pub mod delaying_proxy;
pub mod envoy;
pub mod http;
pub mod layout;
pub mod live;
pub mod load;
pub mod poll;
pub mod process;
mod publish;
pub mod pushgateway;
pub mod server;
pub mod templates;
pub mod tools;
pub mod world;

pub use consul::{Consul, ConsulTemplate};
pub use delaying_proxy::{DelayingProxy, Shift};
pub use envoy::Envoy;
pub use layout::{Layout, Ports};
pub use live::{Member, Mode};
pub use poll::poll_until;
pub use process::Process;
pub use pushgateway::Pushgateway;
pub use templates::Templates;
pub use world::World;

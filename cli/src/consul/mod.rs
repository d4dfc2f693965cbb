//! The HTTP API of the Consul agent.

pub(crate) mod client;
mod health;
pub(crate) mod holders;
pub(crate) mod leaving;
pub(crate) mod lock;
pub(crate) mod service_name;

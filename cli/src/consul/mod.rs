//! The HTTP API of the Consul agent.

pub(crate) mod client;
mod health;
pub(crate) mod holders;
mod keeper;
pub(crate) mod lock;
pub(crate) mod lock_state;
pub(crate) mod service_name;
